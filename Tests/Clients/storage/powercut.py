"""Cuts the power of a program: what it wrote below its folder, but did not sync, is lost. See powercut.c."""

import os
import pathlib
import shutil
import subprocess
import threading

from judge import places

SOURCE = pathlib.Path(__file__).with_name("powercut.c")

# What became of the octets that nobody had synced. A disk may have written any of them.
KINDS = ("lost", "torn", "zeros")


def compile_c(source, name, flags):
    """A program of the tests, compiled when its source is newer; returns where it is."""
    made = places.WORK / name
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        new = made.with_name(f"{os.getpid()}-{threading.get_ident()}-{name}")
        compiler = os.environ.get("CC", "cc")
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", *flags]
        subprocess.run([compiler, *flags, "-o", new, source, "-ldl", "-lpthread"], check=True)
        os.replace(new, made)
    return made


def library():
    return compile_c(SOURCE, "powercut.so", ["-shared", "-fPIC", "-D_LARGEFILE64_SOURCE"])


class Disk:
    """What lies below `folder` when the power goes; the program must run with `environment`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.kept = self.folder.with_name(self.folder.name + ".disk")

    def environment(self):
        """For the next program; what is in the folder now is on the disk."""
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        return {
            "LD_PRELOAD": str(library()),
            "POWERCUT_ROOT": str(self.folder),
            "POWERCUT_DISK": str(self.kept),
        }

    def cut(self, kind, chance):
        """The program was killed: puts what the disk has in the folder's place. Returns the octets lost."""
        if not (self.kept / "ready").exists():
            return 0  # it was killed before it began
        was = self.folder.with_name(self.folder.name + ".was")
        shutil.rmtree(was, ignore_errors=True)
        os.rename(self.folder, was)
        os.rename(self.kept / "tree", self.folder)
        if kind != "lost":
            for path in sorted(path for path in was.rglob("*") if path.is_file()):
                self._let_some_through(path, self.folder / path.relative_to(was), kind, chance)
        lost = sum(self._shortened(path, self.folder / path.relative_to(was)) for path in was.rglob("*"))
        shutil.rmtree(was)
        return lost

    def _shortened(self, written, kept):
        if not written.is_file():
            return 0
        return max(0, written.stat().st_size - (kept.stat().st_size if kept.is_file() else 0))

    def _let_some_through(self, written, kept, kind, chance):
        """Some of what a file has beyond its synced octets, or of one whose name was not synced."""
        if not kept.parent.exists():
            return
        if not kept.exists():
            if chance.random() < 0.5:
                return
            kept.touch()
        there, all_of_it = kept.read_bytes(), written.read_bytes()
        if not all_of_it.startswith(there) or len(all_of_it) == len(there):
            return
        more = chance.randrange(len(all_of_it) - len(there) + 1)
        tail = all_of_it[len(there) : len(there) + more] if kind == "torn" else bytes(more)
        with kept.open("ab") as file:
            file.write(tail)

