"""Queues, exchanges and bindings come and go while the broker is killed, or its power is cut."""

import random
import unittest

import churn
from broker import DurableBroker
from judge.plays import note
from plays.crashes import SEED
from plays.power_cuts import PoweredBroker
from wire import PATIENCE_SECONDS

SLOTS = 8
KILLS, CUTS = 14, 7
SMALL = """
    [data]
    queue_memory = 4096
"""  # so that pages are written and read all the time


class Changes(unittest.TestCase):
    def play(self, broker, ends, chance):
        self.addCleanup(broker.discard)
        slots = [churn.Slot(index, random.Random(chance.random())) for index in range(SLOTS)]
        for life in range(ends + 1):
            broker.start()
            if life == 0:
                line = broker.line()
                line.open_channel()
                line.call(1, "exchange.declare", exchange=churn.EXCHANGE, type="direct", durable=True)
                line.close()
            for slot in slots:
                slot.check(broker)
            self.assertEqual([text for slot in slots for text in slot.findings], [], f"seed {SEED}, life {life}")
            if life == ends:
                break
            for slot in slots:
                slot.live(broker)
            slots[0].thread.join(chance.uniform(0.1, 0.8))
            broker.kill()
            for slot in slots:
                slot.thread.join(PATIENCE_SECONDS)
                self.assertFalse(slot.thread.is_alive(), f"{slot.queue} did not see the broker's end")
            # Once more while it recovers.
            if chance.random() < 0.3:
                broker.start_and_kill(chance.uniform(0, 0.3))
        broker.stop()
        calls = sum(slot.calls for slot in slots)
        note(f"changing definitions, {broker.name}: {calls} calls in {ends} lives")
        self.assertGreater(calls, ends * SLOTS, "it did too little to show anything")

    def test_through_kills(self):
        self.play(DurableBroker("changes-kills", config=SMALL), KILLS, random.Random(SEED))

    def test_through_power_cuts(self):
        chance = random.Random(SEED)
        self.play(PoweredBroker("changes-cuts", chance, config=SMALL), CUTS, chance)
