"""Delayed messages whose time comes just before a kill: what a client saw of them must come back marked.

They are stored and confirmed long before, and go to their queue, and to a consumer, without anybody waiting for
the disk. A start that finds them where they waited must not take them for unseen.
"""

import random
import time
import unittest

from broker import DurableBroker, eventually
from checker import check
from clients import Consumer, Habit, Publisher, Route
from history import History
from judge.plays import note
from plays.crashes import SEED

KILLS = 8
MESSAGES = 400
WAIT_SECONDS, SPREAD_SECONDS = 1.5, 0.2  # the first falls due after so long, the last so much later
ROUTE = Route(("delayed",), "later", "d", sizes=((1, 200),), rate=1e6, window=MESSAGES)


class Wave(Publisher):
    """Many messages that fall due one shortly after the other."""

    due = 0.0

    def may_publish(self):
        return self.last_tag < MESSAGES and super().may_publish()

    def publish(self):
        self.due = self.due or time.time() + WAIT_SECONDS
        due = self.due + SPREAD_SECONDS * self.last_tag / MESSAGES
        delay = max(1, int((due - time.time()) * 1000))
        message, body = self.history.publish(
            self.name, self.route.queues, size=self.size(), due=time.time() + delay / 1000
        )
        properties = {"delivery_mode": 2, "headers": {"x-delay": delay}}
        self.line.publish(1, self.route.exchange, self.route.key, body, properties)
        return message


class DueMessages(unittest.TestCase):
    def setUp(self):
        self.broker = DurableBroker("due")
        self.addCleanup(self.broker.discard)
        self.history = History()
        self.chance = random.Random(SEED)

    def client(self, make, name, *parts):
        client = make(*parts, name, self.broker, self.history, random.Random(self.chance.random()))
        client.start()
        return client

    def declare(self):
        line = self.broker.line()
        line.open_channel()
        delayed = {"type": "x-delayed-message", "arguments": {"x-delayed-type": "direct"}}
        line.call(1, "exchange.declare", exchange="later", durable=True, **delayed)
        line.call(1, "queue.declare", queue="delayed", durable=True)
        line.call(1, "queue.bind", queue="delayed", exchange="later", routing_key="d")
        line.close()

    def test_those_that_were_seen_come_back_marked(self):
        self.history.begin_life()
        self.broker.start()
        self.declare()
        for number in range(KILLS):
            wave = self.client(Wave, f"p-{number}", ROUTE)
            eventually(lambda one=wave: one.last_tag == MESSAGES and not one.unconfirmed, what="the confirms")
            consumer = self.client(Consumer, f"c-{number}", "delayed", Habit(prefetch=MESSAGES))
            # The moment of the kill is what this is about.
            time.sleep(max(0, wave.due + self.chance.uniform(0, SPREAD_SECONDS) - time.time()))
            self.broker.kill()
            for client in wave, consumer:
                client.join(20)
            self.history.end_life("kill")
            self.history.begin_life()
            self.broker.start()
        consumer = self.client(Consumer, "d", "delayed", Habit(prefetch=MESSAGES))
        eventually(self.is_settled, what="all that was confirmed")
        consumer.retire()
        consumer.join(20)
        self.broker.stop()
        self.history.end_life("stop")
        findings = check(self.history, is_drained=True)
        note(f"due messages: {findings.counts['seen again in a later life']} seen again after {KILLS} kills")
        self.assertFalse(str(findings), f"seed {SEED}")
        self.assertGreater(findings.counts["seen again in a later life"], 0, "no kill came in between")

    def is_settled(self):
        copies = self.history.copies["delayed"].items()
        return all(copy.acked for number, copy in copies if self.history.messages[number].confirmed)
