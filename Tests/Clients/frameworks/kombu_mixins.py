"""kombu: a ConsumerProducerMixin answers the calls of a ConsumerMixin, also after its connection broke."""

import os
import threading
import uuid

from kombu import Connection, Exchange, Queue
from kombu.mixins import ConsumerMixin, ConsumerProducerMixin

URL = os.environ["AMQP_URL"]
SECONDS = 20
calls = Exchange("frameworks.calls", "topic", durable=False, auto_delete=True)
squares = Queue("frameworks.squares", calls, routing_key="square.#", durable=False, auto_delete=True)


class Server(ConsumerProducerMixin):
    """Squares numbers; the word "drop" breaks its connection."""

    def __init__(self, connection):
        self.connection = connection
        self.ready = threading.Event()

    def get_consumers(self, consumer, channel):
        return [consumer(squares, callbacks=[self.asked], prefetch_count=1)]

    def on_consume_ready(self, connection, channel, consumers, **_):
        self.ready.set()

    def asked(self, body, message):
        if body == "drop":
            message.ack()
            self.ready.clear()
            raise ConnectionResetError("the network is gone")
        self.producer.publish(
            body * body, routing_key=message.properties["reply_to"],
            correlation_id=message.properties["correlation_id"], retry=True,
        )
        message.ack()


class Client(ConsumerMixin):
    """Asks, and gathers answers until there are enough."""

    def __init__(self, connection, numbers):
        self.connection = connection
        self.replies = Queue(f"frameworks.replies.{uuid.uuid4()}", durable=False, exclusive=True)
        self.waiting = {str(number): number for number in numbers}
        self.answers = {}

    def get_consumers(self, consumer, channel):
        return [consumer(self.replies, callbacks=[self.answered], no_ack=True)]

    def on_consume_ready(self, connection, channel, consumers, **_):
        producer = connection.Producer(channel)
        for name, number in self.waiting.items():
            producer.publish(
                number, exchange=calls, routing_key=f"square.{name}", reply_to=self.replies.name,
                correlation_id=name, declare=[squares],
            )

    def answered(self, body, message):
        self.answers[message.properties["correlation_id"]] = body
        self.should_stop = len(self.answers) == len(self.waiting)


def ask(numbers):
    with Connection(URL) as connection:
        client = Client(connection, numbers)
        client.run()
        print("squares:", *(client.answers[str(number)] for number in numbers))


with Connection(URL) as connection:
    server = Server(connection)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.ready.wait(SECONDS)
    ask(range(1, 6))
    with Connection(URL) as other:
        other.Producer().publish("drop", exchange=calls, routing_key="square.none")
    ask(range(6, 11))
    print("the server is", "alive" if thread.is_alive() else "gone")
    server.should_stop = True
    thread.join(SECONDS)
