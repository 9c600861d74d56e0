"""Takes numbers as a kombu consumer, which connects again by itself: URL"""

import sys

from kombu import Connection, Queue
from kombu.mixins import ConsumerMixin


class Worker(ConsumerMixin):
    def __init__(self, connection):
        self.connection = connection

    def get_consumers(self, Consumer, channel):
        return [Consumer([Queue("numbers", durable=True)], callbacks=[self.work], prefetch_count=10)]

    def work(self, body, message):
        again = "again" if message.delivery_info["redelivered"] else ""
        print("got", body["number"], again, flush=True)
        message.ack()

    def on_connection_revived(self):
        print("connected", flush=True)


with Connection(sys.argv[1]) as connection:
    Worker(connection).run()
