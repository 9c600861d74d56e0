"""The broker under test: one that we start and stop, or one that runs elsewhere. Knows no AMQP."""

import shutil
import socket

from . import places
from .process import STOP_SECONDS, Missed, Process

START_SECONDS = 30  # a debug build on a busy machine


class OwnBroker:
    """Starts our broker with empty state, on a port that the system chooses."""

    is_ours = True

    def __init__(self, name, plugins=None, in_memory=True):
        program = places.broker_program()
        if not program.exists():
            raise Missed(f"no broker at {program}: build it first, or set YUTU")
        self.name = name
        self.host = "127.0.0.1"
        data = ":memory:" if in_memory else places.WORK / "data" / name
        if not in_memory:
            shutil.rmtree(data, ignore_errors=True)
        self.process = Process(
            [program, "serve", "--port", "0", "--http-port", "0", "--data-dir", data]
            + ["--plugins", plugins or places.ROOT / "plugins"],
            merged=True,
            cwd=places.ROOT,
        )
        try:
            line = self.process.wait_for(r"^listening amqp 127\.0\.0\.1:(\d+)", seconds=START_SECONDS)
        except Missed:
            self.process.kill()
            raise
        self.port = int(line.group(1))

    def wait_for_log(self, pattern, *, seconds, start=0):
        return self.process.wait_for(pattern, seconds=seconds, start=start)

    def log_length(self):
        return len(self.process.lines)

    def stop(self):
        """SIGTERM must end it in order; returns what was wrong with that, or None."""
        try:
            code = self.process.terminate()
        except Missed:
            return f"the broker ignored SIGTERM for {STOP_SECONDS} s"
        finally:
            log = places.LOGS / f"{self.name}.broker.log"
            log.write_text("\n".join(self.process.lines) + "\n")
        if code != 0:
            return f"the broker ended with code {code}, not 0 (its log is {log})"
        return None


class OtherBroker:
    """A broker that somebody else runs: nothing is started or stopped, and its state is its own."""

    is_ours = False

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.host, self.port = host or "127.0.0.1", int(port)
        try:
            socket.create_connection((self.host, self.port), timeout=5).close()
        except OSError as error:
            raise Missed(f"no broker at {address}: {error}") from None

    def stop(self):
        return None
