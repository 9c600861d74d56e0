"""A broker with a data directory, that is killed or stopped and started again. Knows no message."""

import os
import pathlib
import shutil
import tempfile
import textwrap
import time

import wire
from judge import places
from judge.process import Missed, Process

START_SECONDS = 60  # a debug build on a busy machine
STOP_SECONDS = 20


class DurableBroker:
    """Its folder holds `data`, and `plugins` and `yutu.toml` if there are any of its own."""

    def __init__(self, name, *, config="", data=None, plugins=None):
        places.WORK.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"storage-{name}-", dir=places.WORK))
        self.data = pathlib.Path(data) if data else self.folder / "data"
        self.plugins = plugins or places.ROOT / "plugins"
        self.config = self.folder / "yutu.toml"
        self.configure(config)
        self.port = 0  # chosen by the system at the first start, and kept
        self.process = None
        self.log = places.LOGS / f"storage.{name}.broker.log"
        places.LOGS.mkdir(parents=True, exist_ok=True)
        self.log.write_text("")
        self.starts = []  # seconds from each start to the answer to a client's first octets

    def configure(self, text):
        self.config.write_text(textwrap.dedent(text))

    def command(self):
        words = [places.broker_program(), "serve", "--port", self.port, "--http-port", "0"]
        words += ["--data-dir", self.data, "--plugins", self.plugins, "--config", self.config]
        return [str(word) for word in words]

    def start(self, environment=None):
        """Returns the seconds until it answered a client."""
        began = time.monotonic()
        self.process = Process(
            self.command(), merged=True, cwd=self.folder, env={**os.environ, **(environment or {})}
        )
        try:
            line = self.process.wait_for(r"^listening amqp 127\.0\.0\.1:(\d+)", seconds=START_SECONDS)
            self.port = int(line.group(1))
            wire.Line(self.port).drop()
        except (Missed, wire.Gone):
            self._end()
            raise
        self.starts.append(time.monotonic() - began)
        return self.starts[-1]

    def start_and_kill(self, seconds, environment=None):
        """SIGKILL so soon after the start of the process, ready or not."""
        self.process = Process(
            self.command(), merged=True, cwd=self.folder, env={**os.environ, **(environment or {})}
        )
        time.sleep(seconds)
        self.kill()

    def kill(self):
        """SIGKILL. A broker that had ended by itself before is a failure."""
        code = self.process.child.poll()
        self.process.kill()
        self._keep_log()
        if code is not None:
            raise Missed(f"the broker had ended by itself, with code {code}; its log is {self.log}")

    def stop(self):
        """SIGTERM; it must end in order."""
        code = self.process.terminate()
        self._keep_log()
        if code != 0:
            raise Missed(f"the broker ended with code {code}, not 0; its log is {self.log}")

    @property
    def runs(self):
        return self.process is not None and self.process.child.poll() is None

    def resident_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.process.child.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    def line(self, listener=None):
        return wire.Line(self.port, listener)

    def discard(self):
        """The end of the test."""
        if self.runs:
            self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self):
        self.process.kill()
        self._keep_log()

    def _keep_log(self):
        with self.log.open("a") as log:
            log.write("\n".join(self.process.lines) + "\n--- ended ---\n")


def eventually(question, *, seconds=20, what="it", every=0.02):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s; the last answer is {answer!r}")
        time.sleep(every)
    return answer
