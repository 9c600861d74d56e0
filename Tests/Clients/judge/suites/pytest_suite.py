"""A suite that is the pytest tests of a client library. Knows how pytest is run and what it reports."""

import os
import subprocess
import xml.etree.ElementTree as ElementTree

from .. import places, workshop
from ..broker import OwnBroker
from ..process import Missed
from ..verdict import FAIL, PASS, SKIP, Outcome, judge
from .suite import Suite


class PytestSuite(Suite):
    in_memory = False
    package = ""  # on PyPI
    version = ""
    tests = ""  # the path inside the source distribution
    select = ""  # pytest's -k
    options = []
    test_seconds = 60  # for one test
    seconds = 600  # for all tests together
    workers = 1  # with our broker: each has one for itself

    def prepare(self):
        self.python = workshop.client_environment(self.name)
        self.tree = workshop.source(self.package, self.version)

    def adapt(self, brokers):
        """Tells the tests where the brokers are: changes the source tree, or returns environment variables.

        There is one broker, or with ours one for each worker.
        """
        return {}

    def run(self, broker):
        brokers = [broker]
        try:
            if broker.is_ours:
                for number in range(1, self.workers):
                    brokers.append(OwnBroker(f"{self.name}-{number}", in_memory=self.in_memory))
            return self.run_with(brokers)
        finally:
            for other in brokers[1:]:
                if wrong := other.stop():
                    raise Missed(wrong)

    def run_with(self, brokers):
        report = places.WORK / f"{self.name}.xml"
        report.unlink(missing_ok=True)
        log = places.LOGS / f"{self.name}.log"
        command = [self.python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=20"]
        command += [f"--timeout={self.test_seconds}", f"--junitxml={report}", *self.options]
        if len(brokers) > 1:
            command += ["-n", str(len(brokers))]
        command += ["-k", self.select, self.tests]
        with log.open("w") as output:
            try:
                subprocess.run(
                    command,
                    cwd=self.tree,
                    env={**os.environ, **self.adapt(brokers)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=self.seconds,
                )
            except subprocess.TimeoutExpired:
                raise Missed(f"pytest did not end within {self.seconds} s; see {log}") from None
        if not report.exists():
            raise Missed(f"pytest left no report; see {log}")
        outcomes = [outcome(case) for case in ElementTree.parse(report).iter("testcase")]
        return judge(self.name, outcomes, ours=brokers[0].is_ours)


def outcome(case):
    test = f"{case.get('classname')}::{case.get('name')}"
    for kind, status in (("failure", FAIL), ("error", FAIL), ("skipped", SKIP)):
        if (found := case.find(kind)) is not None:
            why = (found.get("message") or found.text or "").strip().splitlines() or [kind]
            return Outcome(test, status, why[0][:200])
    return Outcome(test, PASS)
