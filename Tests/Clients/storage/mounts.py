"""Mounts of the tests' own, where that is allowed. Knows no broker."""

import os
import subprocess
import unittest


def mount(test, *words, at):
    """Mounts, and unmounts when the test is over; the test is skipped where that is impossible."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("mounting needs root")
    done = subprocess.run(["mount", *words, at], capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(f"cannot mount here: {done.stderr.strip()}")
    if not any("remount" in str(word) for word in words):
        test.addCleanup(subprocess.run, ["umount", "--lazy", at], check=True)
