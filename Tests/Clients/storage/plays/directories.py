"""Data directories that a broker cannot use: each start ends with code 1 and one line that says why."""

import os
import re
import subprocess
import unittest

import wire
from broker import DurableBroker
from judge import places
from mounts import mount

SECONDS = 60


class Directories(unittest.TestCase):
    def setUp(self):
        self.broker = DurableBroker(self.id().rsplit(".", 1)[1].replace("test_", "")[:40])
        self.addCleanup(self.broker.discard)
        self.data = self.broker.data

    def fill(self, messages=200):
        """A store with a queue of messages, whose broker has stopped."""
        self.broker.start()
        line = self.broker.line()
        line.open_channel(confirms=True)
        line.call(1, "queue.declare", queue="q", durable=True)
        for number in range(messages):
            line.publish(1, "", "q", os.urandom(2000), {"delivery_mode": 2})
        line.call(1, "basic.qos", prefetch_count=1)
        line.close()
        self.broker.stop()

    def run_yutu(self, *words):
        command = [str(word) for word in (places.broker_program(), *words)]
        options = {"cwd": self.broker.folder, "capture_output": True, "text": True}
        return subprocess.run(command, timeout=SECONDS, **options)

    def assert_refused(self, *texts, data=None):
        """The start fails as it should, with one line that names the directory and holds these texts."""
        data = data or self.data
        words = self.broker.command()[1:]
        words[words.index("--data-dir") + 1] = str(data)
        words[words.index("--port") + 1] = "0"
        done = self.run_yutu(*words)
        self.assertEqual(done.returncode, 1, f"{done.stdout}\n{done.stderr}")
        # Log lines begin with the time.
        lines = [line for line in done.stderr.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertRegex(lines[0], "^yutu: ")
        for text in (str(data), *texts):
            self.assertIn(text, lines[0])
        self.assertNotIn("listening amqp", done.stdout)

    def check(self, data=None):
        return self.run_yutu("store", "check", "--data-dir", data or self.data)

    # Starts

    def test_one_that_another_broker_uses(self):
        self.broker.start()
        self.assert_refused(str(self.broker.process.child.pid))
        self.assertTrue(self.broker.runs)
        wire.Line(self.broker.port).close()

    def test_one_that_is_free_again_after_a_kill(self):
        self.broker.start()
        self.broker.kill()
        self.broker.start()

    def test_one_that_cannot_be_written_to(self):
        self.fill()
        seen = self.broker.folder / "seen"
        seen.mkdir()
        mount(self, "--bind", self.data, at=seen)
        mount(self, "-o", "remount,bind,ro", at=seen)
        self.assert_refused("Read-only file system", data=seen)

    def test_a_new_one_where_nothing_can_be_made(self):
        seen = self.broker.folder / "seen"
        seen.mkdir()
        mount(self, "-t", "tmpfs", "-o", "size=1m,ro", "none", at=seen)
        self.assert_refused(data=seen / "data")

    def test_a_damaged_manifest(self):
        self.fill()
        for manifest in self.data.glob("store/MANIFEST-*"):
            manifest.write_bytes(b"\x17" * manifest.stat().st_size)
        self.assert_refused()
        self.assertEqual(self.check().returncode, 1)

    def test_one_whose_current_file_is_gone(self):
        self.fill()
        (self.data / "store" / "CURRENT").unlink()
        self.assert_refused()
        self.assertTrue(list(self.data.glob("store/MANIFEST-*")), "it made a new store over the old one")

    def test_a_newer_format(self):
        self.fill()
        (self.data / "format").write_text("4711\n")
        self.assert_refused("4711")
        self.assertEqual(self.check().returncode, 1)
        self.assertEqual((self.data / "format").read_text(), "4711\n")

    def test_a_format_that_is_no_number(self):
        self.fill()
        (self.data / "format").write_text("soon\n")
        self.assert_refused()

    def test_a_file(self):
        self.data.write_text("a letter to grandmother\n")
        self.assert_refused()
        self.assertEqual(self.data.read_text(), "a letter to grandmother\n")

    def test_a_folder_below_a_file(self):
        self.data.write_text("a letter to grandmother\n")
        self.assert_refused(data=self.data / "below")

    def test_somebody_elses_folder(self):
        self.data.mkdir()
        (self.data / "thesis.tex").write_text("all of it\n")
        self.assert_refused("thesis.tex")
        self.assertEqual([path.name for path in self.data.iterdir()], ["thesis.tex"])

    # yutu store check

    def test_a_good_store_is_checked_with_code_0(self):
        self.fill(200)
        done = self.check()
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        self.assertIn("200", done.stdout)

    def test_what_is_no_store_is_checked_with_code_1(self):
        self.data.mkdir()
        done = self.check()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, "(?m)^yutu: ")
        self.assertIn(str(self.data), done.stderr)
        self.assertEqual(list(self.data.iterdir()), [], "it left something there")

    def test_one_in_use_is_checked_with_code_1(self):
        self.broker.start()
        self.assertEqual(self.check().returncode, 1)
        self.assertTrue(self.broker.runs)

    def test_octets_that_were_changed_in_a_table_are_found(self):
        self.fill(1000)
        # A start writes what the log holds into tables.
        self.broker.start()
        self.broker.stop()
        self.assertEqual(self.check().returncode, 0)
        self.change_octets(".sst")
        done = self.check()
        self.assertEqual(done.returncode, 1, f"{done.stdout}\n{done.stderr}")

    def test_octets_that_were_changed_in_the_log_are_found(self):
        self.fill(1000)
        self.change_octets(".log")
        done = self.check()
        self.assertEqual(done.returncode, 1, f"{done.stdout}\n{done.stderr}")

    def change_octets(self, suffix):
        """In the middle of the largest such file: there are messages."""
        files = [path for path in (self.data / "store").iterdir() if path.suffix == suffix]
        largest = max(files, key=lambda path: path.stat().st_size)
        octets = bytearray(largest.read_bytes())
        at = len(octets.rstrip(b"\0")) // 2
        octets[at : at + 64] = bytes(64)
        largest.write_bytes(octets)
