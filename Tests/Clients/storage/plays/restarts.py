"""Programs as people write them, whose broker is stopped and killed and started in the middle of it all."""

import os
import pathlib
import re
import shutil
import sys
import unittest

import wire
from broker import DurableBroker, eventually
from judge.process import Process

PROGRAMS = pathlib.Path(__file__).parent.parent / "programs"
SECONDS = 60
# Debian's librabbitmq-client-java; a source file is compiled as it is started.
JAVA = ["java", "-cp", ":".join(f"/usr/share/java/{name}.jar" for name in ("amqp-client", "slf4j-api", "slf4j-nop"))]
STEP = 150  # messages between what happens to the broker


class Conversations(unittest.TestCase):
    def setUp(self):
        self.broker = DurableBroker(self.id().rsplit(".", 1)[1].removeprefix("test_"))
        self.addCleanup(self.broker.discard)
        self.broker.start()

    def play(self, program):
        url = f"amqp://guest:guest@127.0.0.1:{self.broker.port}/%2F"
        command = [sys.executable] if program.endswith(".py") else JAVA
        process = Process([*command, PROGRAMS / program, url])
        self.addCleanup(process.kill)
        return process

    def numbers(self, process, word):
        return [int(found.group(1)) for line in process.lines if (found := re.match(rf"{word} (\d+)", line))]

    def converse(self, publisher, worker):
        publisher, worker = self.play(publisher), self.play(worker)

        def go_on():
            """Until so many more have come through."""
            wanted = len(self.numbers(worker, "got")) + STEP

            def came():
                for process in (publisher, worker):
                    self.assertIsNone(process.child.poll(), process.tail())
                return len(self.numbers(worker, "got")) >= wanted

            eventually(came, seconds=SECONDS, what=f"{STEP} messages")

        go_on()
        for end in (self.broker.stop, self.broker.kill):
            end()
            self.broker.start()
            go_on()
        publisher.kill()
        confirmed = self.numbers(publisher, "confirmed")
        eventually(
            lambda: set(confirmed) <= set(self.numbers(worker, "got")),
            seconds=SECONDS,
            what="all that was confirmed",
        )
        got = self.numbers(worker, "got")
        firsts = list(dict.fromkeys(got))
        self.assertEqual(firsts, sorted(firsts), "first deliveries are out of order")
        # What may come twice: the publish that was open, and deliveries whose acks were not stored.
        self.assertLess(len(got) - len(firsts), STEP)
        self.assertGreaterEqual(worker.lines.count("connected"), 3, "the worker did not notice")

    def test_pika(self):
        self.converse("pika_publisher.py", "pika_worker.py")

    def test_kombu(self):
        self.converse("kombu_publisher.py", "kombu_worker.py")

    def test_java(self):
        self.converse("JavaPublisher.java", "JavaWorker.java")


PLUGIN = """
    return {
      api = 1,
      about = "to all queues whose binding key is the routing key backwards",
      exchange = {
        route = function(message, bindings) return bindings:key(message.routing_key:reverse()) end,
      },
    }
"""


class AbsentPlugins(unittest.TestCase):
    """A durable exchange outlives the file of its type."""

    def setUp(self):
        self.broker = DurableBroker("absent-plugin")
        self.addCleanup(self.broker.discard)
        self.broker.plugins = self.broker.folder / "plugins"
        self.file = self.broker.plugins / "exchanges" / "x-backwards.lua"
        self.kept = self.broker.folder / "x-backwards.lua"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(PLUGIN)
        self.broker.start()
        self.connect()
        self.line.call(1, "exchange.declare", exchange="mirror", type="x-backwards", durable=True)
        self.line.call(1, "queue.declare", queue="q", durable=True)
        self.line.call(1, "queue.bind", queue="q", exchange="mirror", routing_key="abc")

    def connect(self):
        self.confirms = []
        self.line = self.broker.line(self.heard)
        self.line.open_channel(confirms=True)

    def heard(self, event):
        if event.name in ("basic.ack", "basic.nack"):
            self.confirms.append(event.name)

    def publish(self):
        """What became of it."""
        self.confirms.clear()
        self.line.publish(1, "mirror", "cba", b"hello", {"delivery_mode": 2}, mandatory=True)
        eventually(lambda: self.line.pump(0.05) or self.confirms, seconds=SECONDS, what="a confirm")
        return self.confirms[0]

    def count(self):
        return self.line.call(1, "queue.declare", queue="q", passive=True).fields["message_count"]

    def restart(self, how):
        self.line.drop()
        getattr(self.broker, how)()

        def again():
            self.broker.start()
            self.connect()

        return again

    def run_without(self, how):
        self.assertEqual(self.publish(), "basic.ack")
        again = self.restart(how)
        shutil.move(self.file, self.kept)
        again()
        # It is kept, and refuses what it cannot route.
        self.line.call(1, "exchange.declare", exchange="mirror", passive=True)
        self.assertEqual(self.publish(), "basic.nack")
        self.assertEqual(self.count(), 1)
        # Also when the broker is started without it once more.
        self.restart(how)()
        self.assertEqual(self.publish(), "basic.nack")
        os.replace(self.kept, self.file)
        eventually(lambda: self.publish() == "basic.ack", seconds=SECONDS, what="the plugin's return")
        self.assertEqual(self.count(), 2)
        self.restart(how)()
        self.assertEqual(self.publish(), "basic.ack")
        self.assertEqual(self.count(), 3)
        self.line.close()
        self.broker.stop()

    def test_after_a_stop(self):
        self.run_without("stop")

    def test_after_a_kill(self):
        self.run_without("kill")


class DefaultPlaces(unittest.TestCase):
    def test_what_memory_holds_is_gone(self):
        """--data-dir :memory: keeps nothing."""
        broker = DurableBroker("memory", data=":memory:")
        self.addCleanup(broker.discard)
        broker.start()
        line = broker.line()
        line.open_channel()
        line.call(1, "queue.declare", queue="q", durable=True)
        line.close()
        broker.stop()
        broker.start()
        line = broker.line()
        line.open_channel()
        with self.assertRaises(wire.Closed) as caught:
            line.call(1, "queue.declare", queue="q", passive=True)
        self.assertEqual(caught.exception.code, 404)
        self.assertFalse((broker.folder / ":memory:").exists())
        broker.stop()
