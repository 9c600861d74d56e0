"""SIGKILL at random moments, many times."""

import os
import random
import time
import unittest

from broker import DurableBroker
from crash import Crash
from judge.plays import note

ROUNDS = int(os.environ.get("STORAGE_ROUNDS", 32))
SECONDS = float(os.environ.get("STORAGE_SECONDS", 60))
SEED = int(os.environ.get("STORAGE_SEED", random.SystemRandom().randrange(1 << 32)))


def summary(crash, findings):
    counts = ", ".join(f"{count} {what}" for what, count in sorted(findings.counts.items()) if count)
    starts = sorted(crash.broker.starts)
    middle, slowest = starts[len(starts) // 2], starts[-1]
    return f"{counts}; from start to accept {middle * 1000:.0f} ms, at most {slowest * 1000:.0f} ms"


class Kills(unittest.TestCase):
    def test_nothing_confirmed_is_lost(self):
        note(f"crash test: STORAGE_SEED={SEED}")
        broker = DurableBroker("kills")
        self.addCleanup(broker.discard)
        crash = Crash(broker, SEED)
        chance = crash.chance
        kills, began = 0, time.monotonic()
        while kills < 30 or (kills < ROUNDS and time.monotonic() - began < SECONDS):
            if kills % 6 == 5:
                crash.die_at_birth(chance.uniform(0, 0.3))
                kills += 1
            crash.begin()
            if chance.random() < 0.08:
                crash.live(chance.uniform(0.1, 1.5), how="stop")
                continue
            crash.live(chance.uniform(0.02, max(0.1, 1.8 * SECONDS / ROUNDS - 0.9)))
            kills += 1
        crash.begin()
        seconds = crash.drain()
        findings = crash.judge()
        lives = crash.history.life
        note(f"crash test: {kills} kills in {lives} lives, drained in {seconds:.0f} s")
        note(f"crash test: {summary(crash, findings)}")
        self.assertFalse(str(findings), f"seed {SEED}")
        self.assertGreater(findings.counts["confirmed"], 1000, "it did too little to show anything")
