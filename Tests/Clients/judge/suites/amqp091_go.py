"""The tests of the Go client, as Debian ships it: RabbitMQ's own team wrote it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from .. import places, workshop
from ..process import Missed
from ..verdict import Outcome, judge
from .suite import Suite

SHIPPED = Path("/usr/share/gocode/src/github.com/rabbitmq/amqp091-go")
SECONDS = 400  # measured: 45 against RabbitMQ, and a minute more to compile the first time


class Amqp091Go(Suite):
    name = "amqp091-go"

    def prepare(self):
        if not (shutil.which("go") and SHIPPED.exists()):
            workshop.apt("golang-go", "golang-github-rabbitmq-amqp091-go-dev")

    def run(self, broker):
        path = places.WORK / "gopath"
        tree = path / "src" / "github.com" / "rabbitmq" / "amqp091-go"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(SHIPPED, tree)
        self.adapt(tree, broker)
        log = places.LOGS / f"{self.name}.log"
        environment = {
            **os.environ,
            "GO111MODULE": "off",  # Debian's way: all sources are under /usr/share/gocode
            "GOPATH": f"{path}:/usr/share/gocode",
            "GOCACHE": str(places.WORK / "gocache"),
            "GOFLAGS": "",
            "AMQP_URL": f"amqp://guest:guest@{broker.host}:{broker.port}/",
        }
        # -count 1: else Go prints what a former run gave, for to it the broker is not an input.
        command = [
            "go",
            "test",
            "-v",
            "-p",
            "1",
            "-count",
            "1",
            "-tags",
            "integration",
            "-timeout",
            f"{SECONDS - 30}s",
            ".",
        ]
        with log.open("w") as output:
            try:
                subprocess.run(
                    command,
                    cwd=tree,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=SECONDS,
                )
            except subprocess.TimeoutExpired:
                raise Missed(f"go test did not end within {SECONDS} s; see {log}") from None
        return judge(self.name, outcomes(log.read_text(errors="replace")), ours=broker.is_ours)

    def adapt(self, tree, broker):
        """The tests name the broker's address in their text."""
        for name in ("integration_test.go", "examples_test.go", "example_client_test.go"):
            test = tree / name
            test.write_text(
                re.sub(r"(127\.0\.0\.1|localhost):5672", f"{broker.host}:{broker.port}", test.read_text())
            )


def outcomes(output):
    ended = {
        name: status for status, name in re.findall(r"^\s*--- (PASS|FAIL|SKIP): (\S+)", output, re.MULTILINE)
    }
    began = re.findall(r"^=== RUN +(\S+)", output, re.MULTILINE)
    hung = [
        Outcome(test, "FAIL", "did not end: it hung, or the run stopped here")
        for test in began
        if test not in ended
    ]
    return [Outcome(test, status, reason(output, test)) for test, status in ended.items()] + hung


def reason(output, test):
    """The first line that a failed test wrote; Go prints it above its verdict."""
    block = re.search(
        rf"^=== RUN +{re.escape(test)}\n(.*?)^\s*--- FAIL: {re.escape(test)}\b", output, re.M | re.S
    )
    lines = [line.strip() for line in block.group(1).splitlines() if line.strip()] if block else []
    return lines[0][:200] if lines else ""
