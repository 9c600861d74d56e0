"""Plays of scripted brokers, which have a program of their own and start their own brokers."""

import os
import re
import signal
import subprocess

from .. import places, workshop
from ..process import Missed
from ..verdict import FAIL, PASS, SKIP, Outcome, judge
from .suite import Suite

PROGRAM = places.CLIENTS / "hooks" / "run"
SECONDS = 300


class Hooks(Suite):
    name = "hooks"
    starts_brokers = True

    def prepare(self):
        self.python = workshop.client_environment(self.name)

    def run(self, broker):
        log = places.LOGS / f"{self.name}.log"
        output, code = self.play()
        log.write_text(output)
        if code is None:
            raise Missed(f"{PROGRAM.name} did not end within {SECONDS} s; see {log}")
        counts = re.search(r"^hooks: (\d+) passed, (\d+) failed\b", output, re.MULTILINE)
        if not counts:
            raise Missed(f"it gave no counts; see {log}\n{output[-2000:]}")
        given = outcomes(output)
        verdict = judge(self.name, given, ours=True, expected={outcome.test: PASS for outcome in given})
        verdict.notes = re.findall(r"^NOTE (.*)$", output, re.MULTILINE)
        if (code != 0) != any(outcome.status == FAIL for outcome in given):
            verdict.failed.append(f"it says {counts.group(0)!r} and ended with {code}; see {log}")
        return verdict

    def play(self):
        """Its output, and its exit code: None if it had to be ended, with all brokers that it started."""
        child = subprocess.Popen(
            [self.python, PROGRAM],
            env={**os.environ, "YUTU": str(places.broker_program())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            return child.communicate(timeout=SECONDS)[0], child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return child.communicate()[0], None


def outcomes(output):
    lines = re.findall(r"^(PASS|FAIL|SKIP) (.*)((?:\n    .*)*)", output, re.MULTILINE)
    statuses = {"PASS": PASS, "FAIL": FAIL, "SKIP": SKIP}
    return [Outcome(test, statuses[word], why.replace("\n    ", "\n").strip()) for word, test, why in lines]
