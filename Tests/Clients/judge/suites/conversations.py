"""Plays of frames, which have a program of their own, beside which their expectations stand."""

import re
import subprocess

from .. import places
from ..process import Missed
from ..verdict import Verdict
from .suite import Suite

PROGRAM = places.CLIENTS / "conversations" / "run"
SECONDS = 300


class Conversations(Suite):
    name = "conversations"

    def absent(self):
        return None if PROGRAM.exists() else f"{PROGRAM.relative_to(places.ROOT)} does not exist"

    def run(self, broker):
        # What we do otherwise than RabbitMQ, on purpose, is expected of ours only.
        differences = [] if broker.is_ours else ["--as-recorded"]
        log = places.LOGS / f"{self.name}.log"
        try:
            done = subprocess.run(
                [PROGRAM, "--broker", f"{broker.host}:{broker.port}", *differences],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Missed(f"{PROGRAM.name} did not end within {SECONDS} s") from None
        log.write_text(done.stdout)
        counts = re.search(
            r"^conversations: (\d+) passed, (\d+) failed(?:, (\d+) waiting)?$", done.stdout, re.MULTILINE
        )
        if not counts:
            raise Missed(f"it gave no counts; see {log}\n{done.stdout[-2000:]}")
        verdict = Verdict(passed=int(counts.group(1)))
        verdict.failed = re.findall(r"^FAILED (.*(?:\n    .*)*)", done.stdout, re.MULTILINE)
        verdict.skipped = re.findall(r"^topic .* waits for issue .*$", done.stdout, re.MULTILINE)
        if len(verdict.failed) != int(counts.group(2)) or (done.returncode != 0) != bool(verdict.failed):
            verdict.failed.append(f"it says {counts.group(0)!r} and ended with {done.returncode}; see {log}")
        return verdict
