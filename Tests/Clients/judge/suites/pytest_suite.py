"""A suite that is the pytest tests of a client library. Knows how pytest is run and what it reports."""

import os
import subprocess
import xml.etree.ElementTree as ElementTree

from .. import places, workshop
from ..process import Missed
from ..verdict import FAIL, PASS, SKIP, Outcome, judge
from .suite import Suite

TEST_SECONDS = 60  # for one test


class PytestSuite(Suite):
    package = ""  # on PyPI
    version = ""
    tests = ""  # the path inside the source distribution
    select = ""  # pytest's -k
    seconds = 600  # for all tests together

    def prepare(self):
        self.python = workshop.client_environment(self.name)
        self.tree = workshop.source(self.package, self.version)

    def adapt(self, broker):
        """Tells the tests where the broker is: changes the source tree, or returns environment variables."""
        return {}

    def run(self, broker):
        report = places.WORK / f"{self.name}.xml"
        report.unlink(missing_ok=True)
        log = places.LOGS / f"{self.name}.log"
        command = [self.python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=20"]
        command += [f"--timeout={TEST_SECONDS}", f"--junitxml={report}", "-k", self.select, self.tests]
        with log.open("w") as output:
            try:
                subprocess.run(
                    command,
                    cwd=self.tree,
                    env={**os.environ, **self.adapt(broker)},
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
        return judge(self.name, outcomes, ours=broker.is_ours)


def outcome(case):
    test = f"{case.get('classname')}::{case.get('name')}"
    for kind, status in (("failure", FAIL), ("error", FAIL), ("skipped", SKIP)):
        if (found := case.find(kind)) is not None:
            why = (found.get("message") or found.text or "").strip().splitlines() or [kind]
            return Outcome(test, status, why[0][:200])
    return Outcome(test, PASS)
