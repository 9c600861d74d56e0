"""Power cuts: at the kill, all is gone that was written and not synced. See powercut.c."""

import random
import unittest

from broker import DurableBroker
from crash import Crash, Missing, Wrong
from judge.plays import note
from plays.crashes import SEED, summary
from powercut import KINDS, Disk

CUTS = 9
OS_LIVES = 6


class PoweredBroker(DurableBroker):
    """Each start begins with what is on the disk, each kill is a cut."""

    def __init__(self, name, chance, **options):
        super().__init__(name, **options)
        self.data.mkdir()
        self.chance = chance
        self.disk = Disk(self.data)
        self.octets_lost = 0
        self.kinds = KINDS
        self.has_mains = False  # then nothing is cut

    def start(self, environment=None):
        power = {} if self.has_mains else self.disk.environment()
        return super().start({**power, **(environment or {})})

    def start_and_kill(self, seconds, environment=None):
        power = {} if self.has_mains else self.disk.environment()
        super().start_and_kill(seconds, {**power, **(environment or {})})

    def kill(self):
        super().kill()
        if self.has_mains:
            return
        self.octets_lost += self.disk.cut(self.chance.choice(self.kinds), self.chance)

    def stop(self):
        """In order, but then the power goes as well."""
        super().stop()
        if self.has_mains:
            return
        self.octets_lost += self.disk.cut("lost", self.chance)


def crash_with(durability, name):
    chance = random.Random(SEED)
    return Crash(PoweredBroker(name, chance), SEED, f'[data]\ndurability = "{durability}"\n')


class Cuts(unittest.TestCase):
    def test_with_fsync_nothing_confirmed_is_lost(self):
        crash = crash_with("fsync", "power-fsync")
        broker = crash.broker
        self.addCleanup(broker.discard)
        for number in range(CUTS):
            crash.begin()
            crash.live(broker.chance.uniform(0.3, 1.5), how="stop" if number == 4 else "kill")
        crash.begin()
        crash.drain()
        findings = crash.judge()
        note(f"power cuts, fsync: {CUTS} cuts, {broker.octets_lost} octets lost; {summary(crash, findings)}")
        self.assertFalse(str(findings), f"seed {SEED}")
        self.assertGreater(findings.counts["confirmed"], 500, "it did too little to show anything")

    def test_without_the_sync_losses_are_seen(self):
        """If this finds nothing, the one above can see nothing."""
        crash = crash_with("os", "power-os")
        broker = crash.broker
        broker.kinds = ("lost",)
        self.addCleanup(broker.discard)
        # The definitions are there: it is messages that must be missing.
        broker.has_mains = True
        crash.begin()
        crash.live(0.5, how="stop")
        broker.has_mains = False
        for _ in range(OS_LIVES):
            try:
                crash.begin()
            except Missing as missing:
                note(f"power cuts, os: messages are missing, as they must: {missing}")
                return
            except Wrong:  # acks were lost, which is not enough
                crash.end("kill")
            else:
                crash.live(1)
        self.fail(f"{OS_LIVES} power cuts without syncs lost nothing: the test is blind")
