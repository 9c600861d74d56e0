"""The command line: which suites run, against which broker, and what is printed. Knows no test."""

import argparse
import os
import sys
import time
import traceback

from . import places
from .broker import OtherBroker, OwnBroker
from .process import Missed
from .suites import SUITES
from .verdict import Verdict
from .workshop import Unavailable


def main():
    arguments = argparse.ArgumentParser(
        prog="Tests/Clients/run",
        description="Lets real clients try the broker.",
        epilog="Suites: " + ", ".join(SUITES),
    )
    arguments.add_argument("suites", nargs="*", metavar="SUITE", help="all of them, if none is named")
    arguments.add_argument("--broker", metavar="HOST:PORT", help="try a broker that runs already")
    arguments.add_argument("--prepare", action="store_true", help="only install what the suites need")
    options = arguments.parse_args()
    if unknown := [name for name in options.suites if name not in SUITES]:
        arguments.error(f"no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    address = options.broker
    if not address and "AMQP_PORT" in os.environ:
        address = f"{os.environ.get('AMQP_HOST', '127.0.0.1')}:{os.environ['AMQP_PORT']}"

    places.LOGS.mkdir(parents=True, exist_ok=True)
    total = Verdict()
    for name in options.suites or SUITES:
        began = time.monotonic()
        if options.prepare:
            verdict = prepare(name)
        else:
            verdict = run(name, address)
        report(name, verdict, time.monotonic() - began)
        total.passed += verdict.passed
        total.failed += verdict.failed
        total.skipped += verdict.skipped
    print(
        f"clients: {total.passed} passed, {len(total.failed)} failed, {len(total.skipped)} skipped",
        flush=True,
    )
    return 1 if total.failed else 0


def prepare(name):
    try:
        SUITES[name].prepare()
    except Unavailable as error:
        return Verdict(failed=[f"{name}: {error}"])
    return Verdict()


def run(name, address):
    """One suite, with a broker of its own; whatever goes wrong is a failure of that suite."""
    suite = SUITES[name]
    if reason := suite.absent():
        return Verdict(skipped=[f"{name}: {reason}"])
    if suite.starts_brokers and address:
        return Verdict(skipped=[f"{name}: needs brokers that it starts itself"])
    verdict, broker = Verdict(), None
    try:
        suite.prepare()
        if address:
            broker = OtherBroker(address)
        elif not suite.starts_brokers:
            broker = OwnBroker(name, plugins=suite.plugins(), in_memory=suite.in_memory)
        verdict = suite.run(broker)
    except (Unavailable, Missed) as error:
        verdict.failed.append(f"{name}: {error}")
    except Exception:
        verdict.failed.append(f"{name}: the suite itself failed\n{traceback.format_exc()}")
    finally:
        if broker and (wrong := broker.stop()):
            verdict.failed.append(f"{name}: {wrong}")
        suite.tidy()
    return verdict


def report(name, verdict, seconds):
    for line in verdict.failed:
        print("  FAILED " + line.replace("\n", "\n    "))
    for line in verdict.skipped:
        print("  skipped " + line)
    for line in verdict.notes:
        print("  " + line)
    counts = f"{verdict.passed} passed, {len(verdict.failed)} failed, {len(verdict.skipped)} skipped"
    print(f"{name}: {counts} ({seconds:.0f} s)")
    sys.stdout.flush()
