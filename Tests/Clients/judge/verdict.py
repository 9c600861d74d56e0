"""Compares what the tests of a suite gave with what is expected. Knows neither brokers nor clients.

expected/SUITE.tsv   test, PASS | SKIP | RACY [, why]: RACY fails now and then on RabbitMQ too, and is
                     reported as skipped when it does
waiting.tsv          suite, test, issue, why: fails until that issue is done, and must be taken off then
"""

from dataclasses import dataclass, field

from . import places

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


@dataclass
class Outcome:
    """What one test gave: PASS, FAIL or SKIP, and one line that says why."""

    test: str
    status: str
    why: str = ""


@dataclass
class Verdict:
    passed: int = 0
    skipped: list[str] = field(default_factory=list)  # each with the reason: none is silent
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # for the person who reads: measurements


def rows(path):
    """The rows of a tab-separated file; lines that begin with # are comments."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def expectation(suite):
    return {row[0]: row[1] for row in rows(places.EXPECTED / f"{suite}.tsv")}


def waiting(suite):
    """test -> the issue that it waits for"""
    return {row[1]: row[2] for row in rows(places.CLIENTS / "waiting.tsv") if row[0] == suite}


def judge(suite, outcomes, *, ours, expected=None) -> Verdict:
    """Every expected test must have run, and every outcome must be an expected one.

    waiting.tsv speaks of our broker only.
    """
    expected = expectation(suite) if expected is None else expected
    waits = waiting(suite) if ours else {}
    verdict = Verdict()
    given = {}
    for outcome in outcomes:  # of two outcomes with one name the worse counts
        if outcome.test not in given or outcome.status == FAIL:
            given[outcome.test] = outcome

    for test, outcome in given.items():
        wanted = expected.get(test)
        if wanted is None:
            verdict.failed.append(f"{test}: {outcome.status}, but it is not in expected/{suite}.tsv")
        elif test in waits and outcome.status == PASS:
            verdict.failed.append(f"{test}: passes, so take it off waiting.tsv (issue {waits[test]})")
        elif test in waits:
            verdict.skipped.append(f"{test}: waits for issue {waits[test]}")
        elif outcome.status == PASS:
            verdict.passed += 1
        elif wanted == "RACY" and outcome.status == FAIL:
            verdict.skipped.append(f"{test}: failed, as it does now and then on RabbitMQ: {outcome.why}")
        elif outcome.status == wanted == SKIP:
            verdict.skipped.append(f"{test}: {outcome.why}")
        else:
            verdict.failed.append(f"{test}: {outcome.status}: {outcome.why}")

    verdict.failed += [f"{test}: did not run" for test in expected if test not in given]
    verdict.failed += [
        f"{test}: is in waiting.tsv, but no such test exists" for test in waits if test not in expected
    ]
    return verdict
