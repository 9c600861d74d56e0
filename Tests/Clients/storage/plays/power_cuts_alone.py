"""The power cut's own tests: small programs write with and without syncing, and lose what they must."""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from judge import places
from powercut import Disk

# What the programs begin with. `cut` is where the power goes.
WORDS = """
import os, signal, sys
os.chdir(sys.argv[1])
def cut(): os.kill(os.getpid(), signal.SIGKILL)
def new(name, flags=0): return os.open(name, os.O_CREAT | os.O_RDWR | flags, 0o600)
def sync_folder(name="."):
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)
"""


class PowerCutsAlone(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="powercut-", dir=places.WORK))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "data").mkdir()
        (self.folder / "data" / "old").write_text("old")
        self.disk = Disk(self.folder / "data")

    def after(self, program, kind="lost", seed=0):
        """name -> text of all that is left when the program was cut."""
        command = [sys.executable, "-S", "-c", WORDS + program + "\ncut()\n", str(self.disk.folder)]
        environment = {**os.environ, **self.disk.environment()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.disk.cut(kind, random.Random(seed))
        left = self.disk.folder.rglob("*")
        return {str(path.relative_to(self.disk.folder)): path.read_text() for path in left if path.is_file()}

    def test_what_was_not_synced_is_lost(self):
        left = self.after("f = new('a'); sync_folder(); os.write(f, b'one')")
        self.assertEqual(left, {"old": "old", "a": ""})

    def test_what_was_synced_is_kept_and_what_came_later_is_lost(self):
        for call in "fsync", "fdatasync":
            with self.subTest(call):
                left = self.after(
                    f"f = new('a'); sync_folder(); os.write(f, b'one'); os.{call}(f); os.write(f, b'two')"
                )
                self.assertEqual(left["a"], "one")
                (self.disk.folder / "a").unlink()

    def test_a_name_is_lost_unless_its_folder_was_synced(self):
        left = self.after("f = new('a'); os.write(f, b'one'); os.fsync(f)")
        self.assertEqual(left, {"old": "old"})

    def test_a_folder_is_lost_unless_its_own_folder_was_synced(self):
        write = "os.mkdir('f'); f = new('f/a'); os.write(f, b'one'); os.fsync(f); sync_folder('f')"
        self.assertEqual(self.after(write), {"old": "old"})
        self.assertEqual(self.after(write + "; sync_folder()"), {"old": "old", "f/a": "one"})

    def test_a_rename_is_undone_unless_its_folder_was_synced(self):
        rename = "f = new('b'); os.write(f, b'new'); os.fsync(f); sync_folder(); os.rename('b', 'old')"
        self.assertEqual(self.after(rename), {"old": "old", "b": "new"})
        self.assertEqual(self.after(rename + "; sync_folder()"), {"old": "new"})

    def test_a_removed_file_is_back_unless_its_folder_was_synced(self):
        self.assertEqual(self.after("os.unlink('old')"), {"old": "old"})
        self.assertEqual(self.after("os.unlink('old'); sync_folder()"), {})

    def test_a_new_file_with_a_removed_ones_number_is_another(self):
        left = self.after("""
for n in range(50):
    f = new('a'); os.write(f, b'round %d' % n); os.fsync(f); os.close(f); sync_folder()
    os.unlink('a')
f = new('b'); os.write(f, b'x'); sync_folder()
""")
        self.assertEqual(left, {"old": "old", "b": ""})

    def test_overwritten_octets_are_as_they_were(self):
        left = self.after("f = new('old'); os.pwrite(f, b'O', 0); os.fsync(f); os.pwrite(f, b'L', 1)")
        self.assertEqual(left, {"old": "Old"})

    def test_a_file_that_was_cut_short_is_as_long_as_when_it_was_synced(self):
        left = self.after("f = new('old'); os.ftruncate(f, 1)")
        self.assertEqual(left, {"old": "old"})
        left = self.after("f = new('old'); os.ftruncate(f, 1); os.fsync(f); os.pwrite(f, b'xx', 1)")
        self.assertEqual(left, {"old": "o"})
        left = self.after("f = new('old', os.O_TRUNC); os.write(f, b'p'); os.fsync(f)")
        self.assertEqual(left, {"old": "p"})

    def test_vectors_copies_and_doubled_descriptors_count(self):
        left = self.after("""
f = new('a'); sync_folder()
os.writev(f, [b'on', b'e ']); os.pwritev(f, [b'tw', b'o '], 4); os.fsync(os.dup(f))
g = os.dup(f); os.lseek(g, 0, os.SEEK_END); os.write(g, b'three'); h = new('h'); sync_folder()
os.copy_file_range(f, h, 4, 0); os.fdatasync(h)
""")
        self.assertEqual(left, {"old": "old", "a": "one two ", "h": "one "})

    def test_a_descriptor_that_writes_through_needs_no_sync(self):
        left = self.after("f = new('a', os.O_DSYNC); sync_folder(); os.write(f, b'one')")
        self.assertEqual(left["a"], "one")

    def test_what_a_program_before_left_is_on_the_disk(self):
        self.assertEqual(self.after("os.write(new('old', os.O_APPEND), b'er')"), {"old": "old"})
        left = self.after("f = new('old', os.O_APPEND); os.write(f, b'er'); os.fsync(f)")
        self.assertEqual(left["old"], "older")
        self.assertEqual(self.after("f = new('old', os.O_APPEND); os.write(f, b'!')"), {"old": "older"})

    def test_a_torn_write_leaves_a_part_and_zeros_leave_the_length(self):
        write = "f = new('a', os.O_TRUNC); sync_folder(); os.write(f, b'one'); os.fsync(f)"
        write += "; os.write(f, b'two' * 1000)"
        torn = {self.after(write, "torn", seed)["a"] for seed in range(5)}
        self.assertGreater(len(torn), 1)
        self.assertTrue(all(("one" + "two" * 1000).startswith(text) for text in torn))
        zeros = self.after(write, "zeros", 1)["a"]
        self.assertEqual(zeros.rstrip("\0"), "one")
        self.assertGreater(len(zeros), 3)

    def test_a_program_that_was_killed_before_it_began_has_lost_nothing(self):
        self.disk.environment()
        (self.disk.kept / "tree").mkdir()
        self.disk.cut("lost", random.Random(0))
        self.assertEqual([path.name for path in self.disk.folder.iterdir()], ["old"])

    def test_a_shared_mapping_ends_the_program(self):
        program = WORDS + "import mmap; f = new('old'); mmap.mmap(f, 3)"
        command = [sys.executable, "-S", "-c", program, str(self.disk.folder)]
        environment = {**os.environ, **self.disk.environment()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, -signal.SIGABRT)
        self.assertIn("powercut: cannot follow a shared mapping", done.stderr)
