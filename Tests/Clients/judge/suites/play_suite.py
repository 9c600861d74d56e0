"""Plays that have a program of their own, `NAME/run`, and start their own brokers."""

import os
import re
import signal
import subprocess

from .. import places, workshop
from ..process import Missed
from ..verdict import FAIL, PASS, SKIP, Outcome, judge
from .suite import Suite


class PlaySuite(Suite):
    starts_brokers = True
    seconds = 300

    def prepare(self):
        self.python = workshop.client_environment(self.name)

    def run(self, broker):
        log = places.LOGS / f"{self.name}.log"
        output, code = self.play()
        log.write_text(output)
        if code is None:
            raise Missed(f"{self.name}/run did not end within {self.seconds} s; see {log}")
        counts = re.search(rf"^{self.name}: (\d+) passed, (\d+) failed\b", output, re.MULTILINE)
        if not counts:
            raise Missed(f"it gave no counts; see {log}\n{output[-2000:]}")
        given = outcomes(output)
        # A test that says why it cannot run here is skipped, by name.
        expected = {one.test: SKIP if one.status == SKIP else PASS for one in given}
        verdict = judge(self.name, given, ours=True, expected=expected)
        verdict.notes = re.findall(r"^NOTE (.*)$", output, re.MULTILINE)
        if (code != 0) != any(outcome.status == FAIL for outcome in given):
            verdict.failed.append(f"it says {counts.group(0)!r} and ended with {code}; see {log}")
        return verdict

    def play(self):
        """Its output, and its exit code: None if it had to be ended, with all brokers that it started."""
        child = subprocess.Popen(
            [self.python, places.CLIENTS / self.name / "run"],
            env={**os.environ, "YUTU": str(places.broker_program())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            return child.communicate(timeout=self.seconds)[0], child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return child.communicate()[0], None


def outcomes(output):
    lines = re.findall(r"^(PASS|FAIL|SKIP) (.*)((?:\n    .*)*)", output, re.MULTILINE)
    statuses = {"PASS": PASS, "FAIL": FAIL, "SKIP": SKIP}
    return [Outcome(test, statuses[word], why.replace("\n    ", "\n").strip()) for word, test, why in lines]
