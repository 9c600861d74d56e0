"""The library that cuts the power forgets what was not synced, and nothing else. No broker is needed."""

import os
import pathlib
import random
import shutil
import tempfile
import unittest

from judge import places
from judge.process import Process
from powercut import Disk, compile_c

SOURCE = pathlib.Path(__file__).parent.parent / "programs" / "writes.c"


class PowerCuts(unittest.TestCase):
    def setUp(self):
        places.WORK.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="storage-power-", dir=places.WORK))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data = self.folder / "data"
        self.data.mkdir()
        for name in ("recycled", "unlinked", "cut short", "later"):
            (self.data / name).write_text("old octets")

    def after_a_cut(self, kind="lost", seed=1):
        disk = Disk(self.data)
        writer = Process(
            [compile_c(SOURCE, "writes", []), self.data], merged=True, env={**os.environ, **disk.environment()}
        )
        writer.wait_for("^written$")
        whole = self.files()
        writer.kill()
        disk.cut(kind, random.Random(seed))
        return whole, self.files()

    def files(self):
        return {path.name: path.read_text() for path in self.data.iterdir()}

    def test_the_program_sees_what_it_wrote(self):
        whole, _ = self.after_a_cut()
        self.assertEqual(
            whole,
            {
                "kept, then half": "first second",
                "named, not written": "nothing of it",
                "written, not named": "all of it",
                "recycled": "NEW1NEW2ts",
                "current": "renamed",
                "later": "renamed",
                "cut short": "ol",
            },
        )

    def test_the_disk_has_what_was_synced(self):
        _, left = self.after_a_cut()
        self.assertEqual(
            left,
            {
                "kept, then half": "first ",
                "named, not written": "",
                "recycled": "NEW1octets",
                "current": "renamed",
                "later": "old octets",
                "unlinked": "old octets",
                "cut short": "old octets",
            },
        )

    def test_without_a_cut_all_is_there(self):
        """A kill alone loses nothing of what was written: it is the library that does."""
        program = compile_c(SOURCE, "writes", [])
        writer = Process([program, self.data], merged=True)
        writer.wait_for("^written$")
        whole = self.files()
        writer.kill()
        self.assertEqual(self.files(), whole)

    def test_a_torn_disk_has_the_beginning_of_the_rest(self):
        seen = set()
        for seed in range(12):
            shutil.rmtree(self.data)
            self.data.mkdir()
            for name in ("recycled", "unlinked", "cut short", "later"):
                (self.data / name).write_text("old octets")
            _, left = self.after_a_cut("torn", seed)
            text = left["kept, then half"]
            self.assertTrue("first second".startswith(text) and text.startswith("first "), text)
            seen.add(text)
        self.assertGreater(len(seen), 1, "it never tore")

