"""Another process fills the disk: publishers are blocked, consumers go on, nothing confirmed is lost."""

import pathlib
import random
import sys
import tempfile
import time
import unittest

from broker import DurableBroker, eventually
from checker import check
from clients import Consumer, Habit, Publisher, Route
from history import History
from judge import places
from judge.plays import note
from judge.process import Process
from mounts import mount

PROGRAM = pathlib.Path(__file__).parent.parent / "programs" / "fill.py"
SIZE = "400m"
LIMIT = 64 << 20
SECONDS = 30
FULL_SECONDS = 3  # without an octet


class FullDisk(unittest.TestCase):
    def setUp(self):
        places.WORK.mkdir(parents=True, exist_ok=True)
        self.disk = pathlib.Path(tempfile.mkdtemp(prefix="storage-disk-", dir=places.WORK))
        self.addCleanup(self.disk.rmdir)
        mount(self, "-t", "tmpfs", "-o", f"size={SIZE}", "none", at=self.disk)
        config = f"""
            [data]
            disk_free_limit = {LIMIT}
        """
        self.broker = DurableBroker("full-disk", config=config, data=self.disk / "data")
        self.addCleanup(self.broker.discard)
        self.history = History()
        self.filler = None

    def client(self, make, name, *parts):
        client = make(*parts, name, self.broker, self.history, random.Random(name))
        client.start()
        return client

    def fill(self, left):
        """Until so many octets are free, by another process, whose file stays when it has ended."""
        filler = Process([sys.executable, PROGRAM, self.disk / "filler", left], merged=True)
        self.addCleanup(filler.kill)
        filler.wait_for("^full$")
        filler.kill()

    def give_back_space(self):
        (self.disk / "filler").unlink()

    def confirmed(self):
        return sum(1 for message in self.history.messages if message.confirmed)

    def acked(self):
        return sum(1 for copy in self.history.copies.get("full", {}).values() if copy.acked)

    def test_publishers_wait_and_nothing_confirmed_is_lost(self):
        self.history.begin_life()
        self.broker.start()
        line = self.broker.line()
        line.open_channel()
        line.call(1, "queue.declare", queue="full", durable=True)
        route = Route(("full",), key="full", sizes=((1, 40_000),), rate=600, window=40)
        publishers = [self.client(Publisher, f"p{number}", route) for number in range(2)]
        eventually(lambda: self.confirmed() > 300, seconds=SECONDS, what="a backlog")

        self.fill(LIMIT // 2)
        began = time.monotonic()
        for publisher in publishers:
            eventually(lambda one=publisher: one.is_blocked, seconds=SECONDS, what="connection.blocked")
        note(f"full disk: connection.blocked {time.monotonic() - began:.1f} s after it was full")
        before = self.confirmed()

        consumer = self.client(Consumer, "c", "full", Habit(prefetch=10))
        eventually(lambda: self.acked() >= 100, seconds=SECONDS, what="a drain while publishers are blocked")
        self.assertTrue(all(publisher.is_blocked for publisher in publishers))
        self.assertLess(self.confirmed() - before, 3 * route.window, "confirms while the disk was full")

        # To the last octet: nothing can be stored now, no ack either, and nothing must be tried.
        self.fill(0)
        self.assert_lives_on(line)

        self.give_back_space()
        began, before = time.monotonic(), self.confirmed()
        for publisher in publishers:
            eventually(lambda one=publisher: not one.is_blocked, seconds=SECONDS, what="connection.unblocked")
        eventually(lambda: self.confirmed() > before + 200, seconds=SECONDS, what="publishing again")
        acked = self.acked()
        eventually(lambda: self.acked() > acked + 100, seconds=SECONDS, what="consuming again")
        note(f"full disk: 200 confirms {time.monotonic() - began:.1f} s after space was given back")

        self.broker.kill()
        for client in (*publishers, consumer):
            client.join(SECONDS)
        self.history.end_life("kill")
        self.history.begin_life()
        self.broker.start()
        self.drain()
        findings = check(self.history, is_drained=True)
        self.assertFalse(str(findings))

    def assert_lives_on(self, line):
        """There is nothing to wait for: it has time enough to go wrong."""
        ends = time.monotonic() + FULL_SECONDS
        while time.monotonic() < ends:
            line.call(1, "queue.declare", queue="full", passive=True)
            self.assertTrue(self.broker.runs, "the broker ended on a full disk")
            time.sleep(0.05)

    def test_a_kill_while_it_is_full(self):
        """The start must find all that was confirmed, though it can write nothing."""
        self.history.begin_life()
        self.broker.start()
        line = self.broker.line()
        line.open_channel()
        line.call(1, "queue.declare", queue="full", durable=True)
        publisher = self.client(Publisher, "p", Route(("full",), key="full", sizes=((1, 40_000),), rate=600))
        eventually(lambda: self.confirmed() > 200, seconds=SECONDS, what="a backlog")
        self.fill(LIMIT // 2)
        eventually(lambda: publisher.is_blocked, seconds=SECONDS, what="connection.blocked")
        self.broker.kill()
        publisher.join(SECONDS)
        self.history.end_life("kill")
        self.history.begin_life()
        self.broker.start()
        late = self.client(Publisher, "late", Route(("full",), key="full", rate=20))
        eventually(lambda: late.is_blocked, seconds=SECONDS, what="connection.blocked after the start")
        self.give_back_space()
        eventually(lambda: not late.is_blocked, seconds=SECONDS, what="connection.unblocked")
        late.retire()
        late.join(SECONDS)
        self.drain()
        findings = check(self.history, is_drained=True)
        self.assertFalse(str(findings))

    def drain(self):
        line = self.broker.line()
        line.open_channel()
        consumer = self.client(Consumer, "d", "full", Habit(prefetch=100, together=20))

        def is_empty():
            left = line.call(1, "queue.declare", queue="full", passive=True).fields["message_count"]
            return not left and not consumer.inbox and not consumer.unacked

        eventually(is_empty, seconds=60, what="the drain")
        consumer.retire()
        consumer.join(SECONDS)
        line.close()
        self.broker.stop()
        self.history.end_life("stop")
