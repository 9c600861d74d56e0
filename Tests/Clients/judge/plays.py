"""Runs plays: modules of unittest classes, each test a line `PASS`, `FAIL` or `SKIP`. Knows no broker."""

import concurrent.futures
import importlib
import sys
import threading
import time
import unittest

from . import places

print_lock = threading.Lock()


def note(text):
    """For the person who reads: the judge shows it above the suite's counts."""
    with print_lock:
        print(f"NOTE {text}", flush=True)


class Report(unittest.TestResult):
    """Prints a line for each test, with the reason behind it if it failed."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def say(self, word, test, text=""):
        name = test.id() if hasattr(test, "id") else str(test)
        lines = "".join(f"\n    {line}" for line in text.strip().splitlines())
        with print_lock:
            print(f"{word} {name.removeprefix('plays.')}{lines}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say("PASS", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.say("FAIL", test, self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.say("FAIL", test, self.errors[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            kept = self.failures if issubclass(error[0], test.failureException) else self.errors
            self.say("FAIL", subtest, kept[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("SKIP", test, reason)


def classes_of(module, patterns):
    """A suite for each class of the module, with the tests that are asked for."""
    for suite in unittest.TestLoader().loadTestsFromModule(module):
        tests = [test for test in suite if not patterns or any(word in test.id() for word in patterns)]
        if tests:
            yield unittest.TestSuite(tests)


def run(suite_name, folder, *, at_a_time, alone):
    """Those of sys.argv, or all; the modules `alone` one after the other, after the rest. The exit code."""
    patterns = sys.argv[1:]
    places.LOGS.mkdir(parents=True, exist_ok=True)
    names = sorted(path.stem for path in (folder / "plays").glob("*.py"))
    suites = {name: list(classes_of(importlib.import_module(f"plays.{name}"), patterns)) for name in names}
    reports = []

    def perform(suite):
        report = Report()
        reports.append(report)
        suite.run(report)

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        together = [suite for name in names if name not in alone for suite in suites[name]]
        list(pool.map(perform, together))
    for name in alone:
        for suite in suites.get(name, []):
            perform(suite)
    passed = sum(report.passed for report in reports)
    failed = sum(len(report.failures) + len(report.errors) for report in reports)
    print(f"{suite_name}: {passed} passed, {failed} failed in {time.monotonic() - began:.0f} s")
    return 1 if failed or not passed else 0
