"""What all plays share: a broker for each class, connections that are closed after each test, and how a
message fares. Knows no hook."""

import threading
import time
import unittest
from dataclasses import dataclass, field

import pika
from judge import plays
from scripted import ScriptedBroker, eventually

SECONDS = 10  # for what is expected to happen; a busy machine may need long


@dataclass
class Letter:
    """A message as a client sees it."""

    key: str
    body: str
    headers: dict = field(default_factory=dict)
    properties: object = None
    redelivered: bool = False
    tag: int = 0
    exchange: str = ""


def letter(method, properties, body):
    return Letter(
        key=method.routing_key,
        body=body.decode(),
        headers=properties.headers or {},
        properties=properties,
        redelivered=method.redelivered,
        tag=method.delivery_tag,
        exchange=method.exchange,
    )


class Play(unittest.TestCase):
    """A class of tests with a broker of its own: `plugins` by name, and `config`.

    A broker that is stuck would let its clients wait for ever: it is killed when a test outlasts `patience`.
    """

    plugins = {}
    config = ""
    patience = 60  # seconds

    @classmethod
    def setUpClass(cls):
        cls.broker = ScriptedBroker(cls.__name__, cls.plugins, cls.config)

    @classmethod
    def tearDownClass(cls):
        if wrong := cls.broker.stop():
            raise AssertionError(wrong)

    def setUp(self):
        self.connections = []
        self.addCleanup(self.hang_up)
        watchdog = threading.Timer(self.patience, self.broker.process.child.kill)
        watchdog.daemon = True
        watchdog.start()
        self.addCleanup(watchdog.cancel)

    def hang_up(self):
        for connection in self.connections:
            try:
                connection.close()
            except Exception:  # it may be gone already, or in the middle of something: that is the test's
                pass

    def note(self, text):
        plays.note(text)

    # Connections

    def connect(self, user="guest", password="guest", **options):
        options.setdefault("credentials", pika.PlainCredentials(user, password))
        options.setdefault("heartbeat", 0)
        options.setdefault("blocked_connection_timeout", 30)
        parameters = pika.ConnectionParameters(self.broker.host, self.broker.port, **options)
        connection = pika.BlockingConnection(parameters)
        self.connections.append(connection)
        return connection

    def channel(self, *, confirm=True, connection=None, **options):
        channel = (connection or self.connect(**options)).channel()
        if confirm:
            channel.confirm_delivery()
        return channel

    def queue(self, channel, name, **options):
        options.setdefault("exclusive", True)
        channel.queue_declare(name, **options)
        return name

    # Messages

    def publish(self, channel, key="", body="", *, exchange="", headers=None, mandatory=False, **properties):
        """What became of it, on a channel in confirm mode: "acked", "nacked" or "returned"."""
        properties = pika.BasicProperties(headers=headers, **properties)
        try:
            channel.basic_publish(exchange, key, body.encode(), properties, mandatory=mandatory)
        except pika.exceptions.NackError:
            return "nacked"
        except pika.exceptions.UnroutableError:
            return "returned"
        return "acked"

    def take(self, channel, queue, seconds=SECONDS):
        """The next message of the queue; it must come."""
        return eventually(lambda: self.look(channel, queue), seconds=seconds, what=f"a message in '{queue}'")

    def look(self, channel, queue):
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        return letter(method, properties, body) if method else None

    def take_all(self, channel, *queues):
        """What lies in the queues: queue -> bodies."""
        found = {}
        for queue in queues:
            while (one := self.look(channel, queue)) is not None:
                found.setdefault(queue, []).append(one.body)
        return found

    def count(self, channel, queue):
        return channel.queue_declare(queue, passive=True).method.message_count

    def returned(self, channel, *arguments, seconds=SECONDS, **options):
        """Publishes with `mandatory` on a channel without confirms; returns the basic.return."""
        heard = []
        channel.add_on_return_callback(lambda _, method, properties, body: heard.append(method))
        self.publish(channel, *arguments, mandatory=True, **options)
        deadline = time.monotonic() + seconds
        while not heard and time.monotonic() < deadline:
            channel.connection.process_data_events(0.05)
        self.assertTrue(heard, "no basic.return came")
        return heard[0]

    def consume(self, channel, queue, *, auto_ack=True):
        """A list that fills while `wait` runs."""
        letters = []
        channel.basic_consume(queue, lambda _, *parts: letters.append(letter(*parts)), auto_ack=auto_ack)
        return letters

    def wait(self, channel, done, *, seconds=SECONDS, what="it"):
        """Lets the connection work until `done()`."""
        deadline = time.monotonic() + seconds
        while not done():
            self.assertLess(time.monotonic(), deadline, f"{what} did not happen within {seconds} s")
            channel.connection.process_data_events(0.02)

    # Refusals

    def assert_closed(self, code, *texts, by):
        """The call must close the channel or connection with this code, and a text that holds all these."""
        with self.assertRaises(pika.exceptions.AMQPError) as caught:
            by()
        # pika hides what the broker said of a login in another error's text, quoted once more.
        said = repr(caught.exception).replace("\\", "")
        self.assertIn(f"({code})", said)
        for text in texts:
            self.assertIn(text, said)
        return said
