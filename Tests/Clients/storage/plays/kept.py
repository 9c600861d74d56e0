"""Small scenes with a kill in each: what a client was told is there after it, and nothing else is."""

import time
import unittest

import wire
from broker import DurableBroker, eventually

PERSISTENT = {"delivery_mode": 2}
SECONDS = 30
EVERYTHING = {
    "content_type": "text/plain",
    "content_encoding": "utf-8",
    "headers": {"text": "ä", "number": -7, "big": 1 << 40, "yes": True, "nothing": None, "list": [1, "two"]},
    "delivery_mode": 2,
    "priority": 3,
    "correlation_id": "c",
    "reply_to": "r",
    "message_id": "m",
    "timestamp": 1 << 31,
    "type": "t",
    "user_id": "guest",
    "app_id": "a",
}


class Kept(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = DurableBroker("kept")
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.discard()

    def setUp(self):
        if not self.broker.runs:
            self.broker.start()
        self.queue = self.id().rsplit(".", 1)[1]
        self.connect()
        self.declare(self.queue)

    def tearDown(self):
        self.line.drop()

    # The client

    def connect(self):
        self.confirms = 0
        self.sent = 0
        self.line = self.broker.line(self.heard)
        self.line.open_channel(1, confirms=True)

    def heard(self, event):
        self.assertEqual(event.name, "basic.ack")
        tag, multiple = event.fields["delivery_tag"], event.fields["multiple"]
        self.confirms = tag if multiple else self.confirms + 1

    def restart(self):
        self.line.drop()
        self.broker.kill()
        self.broker.start()
        self.connect()

    def declare(self, queue, **arguments):
        arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.line.call(1, "queue.declare", queue=queue, durable=True, arguments=arguments)

    def publish(self, body, properties=PERSISTENT, *, exchange="", key=None):
        """It is confirmed when this returns, and so all that was done before is stored."""
        self.line.publish(1, exchange, key or self.queue, body, properties)
        self.sent += 1
        eventually(lambda: self.line.pump(0.01) or self.confirms >= self.sent, seconds=SECONDS, every=0)

    def get(self, queue=None):
        event = self.line.call(1, "basic.get", queue=queue or self.queue)
        return event if event.name == "basic.get-ok" else None

    def take(self, queue=None):
        """The body of the next message, acked; None if there is none."""
        event = self.get(queue)
        if event:
            self.line.ack(1, event.fields["delivery_tag"])
        return event and event.body

    def take_all(self, queue=None):
        return list(iter(lambda: self.take(queue), None))

    # Scenes

    def test_a_message_is_as_it_was_sent(self):
        self.publish(b"body", EVERYTHING)
        before = self.get()
        self.restart()
        after = self.get()
        self.assertEqual(after.header, before.header)
        self.assertEqual(after.body, b"body")
        self.assertEqual(after.fields["routing_key"], self.queue)
        self.assertTrue(after.fields["redelivered"])

    def test_a_message_without_a_body(self):
        self.publish(b"")
        self.restart()
        self.assertEqual(self.take_all(), [b""])

    def test_a_place_in_a_queue_is_not_given_twice(self):
        """A transient message goes last, and leaves nothing behind; the next one must not take its place."""
        self.publish(b"persistent")
        self.publish(b"transient", {"delivery_mode": 1})
        self.assertEqual(self.take_all(), [b"persistent", b"transient"])
        self.publish(b"fence", key=self.other())
        self.restart()
        self.publish(b"next")
        self.publish(b"after it")
        self.restart()
        self.assertEqual(self.take_all(), [b"next", b"after it"])

    def test_unacked_messages_come_first_and_marked(self):
        for body in (b"1", b"2", b"3"):
            self.publish(body)
        self.assertEqual([self.get().body for _ in range(2)], [b"1", b"2"])
        self.restart()
        self.publish(b"4")
        events = [self.get() for _ in range(4)]
        self.assertEqual([event.body for event in events], [b"1", b"2", b"3", b"4"])
        self.assertEqual([event.fields["redelivered"] for event in events[:2]], [True, True])

    def test_a_purge(self):
        for _ in range(3):
            self.publish(b"before")
        self.line.call(1, "queue.purge", queue=self.queue)
        self.publish(b"behind")
        self.restart()
        self.assertEqual(self.take_all(), [b"behind"])

    def test_a_queue_that_was_deleted(self):
        self.publish(b"before")
        self.line.call(1, "queue.delete", queue=self.queue)
        self.publish(b"fence", key=self.other())
        self.restart()
        self.assert_absent("queue.declare", queue=self.queue)
        self.declare(self.queue)
        self.assertEqual(self.take_all(), [])

    def test_a_binding_and_an_exchange_that_were_deleted(self):
        for name in ("kept", "gone"):
            self.line.call(1, "exchange.declare", exchange=name, type="direct", durable=True)
        for key in ("a", "b"):
            self.line.call(1, "queue.bind", queue=self.queue, exchange="kept", routing_key=key)
        self.line.call(1, "queue.unbind", queue=self.queue, exchange="kept", routing_key="a")
        self.line.call(1, "exchange.delete", exchange="gone")
        self.publish(b"fence", key=self.other())
        self.restart()
        self.publish(b"by a", exchange="kept", key="a")
        self.publish(b"by b", exchange="kept", key="b")
        self.assertEqual(self.take_all(), [b"by b"])
        self.assert_absent("exchange.declare", exchange="gone", type="direct")

    def test_a_transaction(self):
        self.line.call(2, "channel.open")
        self.line.call(2, "tx.select")
        for body in (b"one", b"two"):
            self.line.publish(2, "", self.queue, body, PERSISTENT)
        self.line.call(2, "tx.commit")
        self.line.publish(2, "", self.queue, b"not committed", PERSISTENT)
        self.line.call(2, "basic.qos", prefetch_count=1)
        self.restart()
        self.assertEqual(self.take_all(), [b"one", b"two"])

    def test_a_dead_letter_moves(self):
        dead = self.other()
        self.queue += "-rejects"
        self.declare(self.queue, x_dead_letter_exchange="", x_dead_letter_routing_key=dead)
        self.publish(b"bad")
        self.line.send(1, "basic.reject", delivery_tag=self.get().fields["delivery_tag"], requeue=False)
        self.publish(b"good")
        eventually(lambda: self.count(dead), seconds=SECONDS, what="the dead letter")
        self.publish(b"good")
        self.restart()
        self.assertEqual(self.take_all(), [b"good", b"good"])
        event = self.get(dead)
        self.assertEqual(event.body, b"bad")
        self.assertIn("x-death", dict(event.properties["headers"]))

    def test_delayed_messages_that_come_due_while_it_is_down(self):
        kind = {"type": "x-delayed-message", "arguments": {"x-delayed-type": "direct"}}
        self.line.call(1, "exchange.declare", exchange="later", durable=True, **kind)
        self.line.call(1, "queue.bind", queue=self.queue, exchange="later", routing_key=self.queue)
        for delay in (200, 400, 4000, 600):
            headers = {"headers": {"x-delay": delay}}
            self.publish(str(delay).encode(), {**PERSISTENT, **headers}, exchange="later")
        last = time.monotonic() + 4
        self.line.drop()
        self.broker.kill()
        time.sleep(0.5)  # two are due when it starts, and one may be while it does
        self.broker.start()
        self.connect()
        bodies = []
        eventually(lambda: self.taken_into(bodies, 3), seconds=SECONDS, what="what was due")
        self.assertEqual(bodies, [b"200", b"400", b"600"])
        if time.monotonic() < last - 0.5:
            self.assertEqual(self.take_all(), [])
        eventually(lambda: self.taken_into(bodies, 4), seconds=SECONDS, what="the last")
        self.assertEqual(bodies[3:], [b"4000"])
        self.assertGreaterEqual(time.monotonic(), last - 0.1)

    def test_a_large_body_goes_when_the_last_queue_lets_go(self):
        queues = [f"{self.queue}-{number}" for number in range(3)]
        self.line.call(1, "exchange.declare", exchange="wide", type="fanout", durable=True)
        for queue in queues:
            self.declare(queue)
            self.line.call(1, "queue.bind", queue=queue, exchange="wide")
        body = bytes(range(256)) * 4096
        self.publish(body, exchange="wide")
        for taken, queue in enumerate(queues):
            self.restart()
            for other in queues[taken:]:
                self.assertEqual(self.count(other), 1)
            self.assertEqual(self.take(queue), body)
            self.publish(b"fence", key=self.other())
        self.restart()
        self.assertEqual([self.count(queue) for queue in queues], [0, 0, 0])

    # What scenes need

    def other(self):
        self.declare(self.queue + "-other")
        return self.queue + "-other"

    def count(self, queue):
        return self.line.call(1, "queue.declare", queue=queue, passive=True).fields["message_count"]

    def taken_into(self, bodies, count):
        bodies += self.take_all()
        return len(bodies) >= count

    def assert_absent(self, method, **fields):
        self.line.call(2, "channel.open")
        with self.assertRaises(wire.Closed) as caught:
            self.line.call(2, method, passive=True, **fields)
        self.assertEqual(caught.exception.code, 404)
