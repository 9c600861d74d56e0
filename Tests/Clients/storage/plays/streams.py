"""Streams that readers replay while others publish, through kills: each offset keeps its message for good."""

import contextlib
import random
import threading
import time
import unittest

import pika
from broker import DurableBroker, eventually

SECONDS = 60
STREAM = {"x-queue-type": "stream"}


def leave(connection):
    """The broker may be gone already."""
    with contextlib.suppress(pika.exceptions.AMQPError):
        connection.close()


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = DurableBroker("streams")
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.discard()

    def channel(self, prefetch=100):
        parameters = pika.ConnectionParameters("127.0.0.1", self.broker.port)
        connection = pika.BlockingConnection(parameters)
        self.addCleanup(leave, connection)
        channel = connection.channel()
        channel.basic_qos(prefetch_count=prefetch)
        return channel

    def declare(self, name, **more):
        arguments = {**STREAM, **{key.replace("_", "-"): value for key, value in more.items()}}
        self.channel().queue_declare(name, durable=True, arguments=arguments)

    def publish(self, name, bodies):
        channel = self.channel()
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", name, str(body).encode())

    def read(self, name, offset="first", count=None, idle=1.0, prefetch=50):
        """The offsets and bodies from a place on: so many, or until nothing comes for a while."""
        channel = self.channel(prefetch)
        found = []
        arguments = {"x-stream-offset": offset}
        for method, properties, body in channel.consume(name, arguments=arguments, inactivity_timeout=idle):
            if method is None:
                break
            found.append((properties.headers["x-stream-offset"], int(body)))
            channel.basic_ack(method.delivery_tag)
            if count and len(found) == count:
                break
        channel.connection.close()
        return found

    def kill(self):
        self.broker.kill()
        self.broker.start()

    def test_what_was_confirmed_is_there_at_its_offset(self):
        self.declare("kept")
        self.publish("kept", range(100))
        before = self.read("kept", count=100)
        self.assertEqual(before, [(number, number) for number in range(100)])
        self.kill()
        self.assertEqual(self.read("kept", count=100), before)
        self.publish("kept", range(100, 110))
        self.assertEqual(self.read("kept", 95, count=15)[-1], (109, 109))

    def test_segments_that_were_given_up_stay_away(self):
        self.declare("short", x_max_length_bytes=20_000, x_stream_max_segment_size_bytes=4000)
        self.publish("short", range(1000))
        before = self.read("short")
        self.assertEqual(before[-1], (999, 999))
        self.assertLess(len(before), 700)
        self.kill()
        after = self.read("short")
        self.assertEqual(after, before[-len(after) :])
        self.assertGreater(len(after), len(before) - 200)

    def test_a_stream_that_was_deleted_stays_away(self):
        self.declare("gone")
        self.publish("gone", range(10))
        self.channel().queue_delete("gone")
        self.kill()
        self.declare("gone")
        self.publish("gone", [7])
        self.assertEqual(self.read("gone", count=1), [(0, 7)])

    def test_readers_replay_while_others_publish_through_kills(self):
        """Publishers number their messages; whoever reads notes which stands where, and nobody may differ."""
        self.declare("busy", x_stream_max_segment_size_bytes=20_000)
        chance = random.Random(1)
        places, confirmed, wrong = {}, set(), []
        ends = time.monotonic() + 12
        lock = threading.Lock()

        def publisher(first):
            number = first
            while time.monotonic() < ends:
                try:
                    channel = self.channel()
                    channel.confirm_delivery()
                    while time.monotonic() < ends:
                        channel.basic_publish("", "busy", str(number).encode())
                        with lock:
                            confirmed.add(number)
                        number += 10
                except pika.exceptions.AMQPError:
                    number += 10
                    time.sleep(0.05)

        def note(offset, number):
            with lock:
                if places.setdefault(offset, number) != number:
                    wrong.append((offset, places[offset], number))

        def reader():
            while time.monotonic() < ends:
                try:
                    start = chance.choice(["first", "last", "next", chance.randrange(2000)])
                    channel = self.channel(chance.randrange(1, 200))
                    last = None
                    for method, properties, body in channel.consume(
                        "busy", arguments={"x-stream-offset": start}, inactivity_timeout=1
                    ):
                        if method is None or time.monotonic() > ends or chance.random() < 0.0005:
                            break
                        offset = properties.headers["x-stream-offset"]
                        if last is not None and offset != last + 1:
                            wrong.append(("gap", last, offset))
                        last = offset
                        note(offset, int(body))
                        channel.basic_ack(method.delivery_tag)
                    channel.connection.close()
                except pika.exceptions.AMQPError:
                    time.sleep(0.05)

        threads = [threading.Thread(target=publisher, args=(first,), daemon=True) for first in range(3)]
        threads += [threading.Thread(target=reader, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        while time.monotonic() < ends - 2:
            time.sleep(chance.uniform(1, 2))
            self.kill()
        for thread in threads:
            thread.join(SECONDS)
        self.assertEqual(wrong, [])
        log = []
        eventually(lambda: log.extend(self.read("busy")) or log, seconds=SECONDS, what="the log")
        for offset, number in log:
            note(offset, number)
        self.assertEqual(wrong, [])
        self.assertEqual([offset for offset, _ in log], list(range(len(log))))
        self.assertEqual(confirmed - {number for _, number in log}, set())
        self.assertGreater(len(log), 100)
