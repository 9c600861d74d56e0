"""A broker with plugins and a configuration of its own, which may be changed while it runs. Knows no AMQP."""

import base64
import json
import os
import pathlib
import shutil
import tempfile
import textwrap
import time
import urllib.error
import urllib.request

from judge import places
from judge.process import Missed, Process

START_SECONDS = 30  # a debug build on a busy machine
HTTP_SECONDS = 20


class ScriptedBroker:
    """Starts our broker with empty state, on ports that the system chooses."""

    host = "127.0.0.1"

    def __init__(self, name, plugins, config=""):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"hooks-{name}-", dir=places.WORK))
        self.plugins = self.folder / "plugins"
        (self.plugins / "plays").mkdir(parents=True)
        for plugin, text in plugins.items():
            self.save(plugin, text)
        command = [places.broker_program(), "serve", "--port", "0", "--http-port", "0"]
        command += ["--plugins", self.plugins, "--data-dir", ":memory:"]
        if config:
            configuration = self.folder / "yutu.toml"
            configuration.write_text(textwrap.dedent(config))
            command += ["--config", configuration]
        self.process = Process(command, merged=True, cwd=self.folder)
        try:
            self.port = self._port_of("amqp")
            self.http_port = self._port_of("http")
        except Missed:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _port_of(self, protocol):
        line = rf"^listening {protocol} 127\.0\.0\.1:(\d+)"
        return int(self.process.wait_for(line, seconds=START_SECONDS).group(1))

    # The plugins' folder

    def path(self, plugin):
        return self.plugins / "plays" / f"{plugin}.lua"

    def save(self, plugin, text):
        """As editors do it: the file is never seen half written."""
        path = self.path(plugin)
        path.parent.mkdir(exist_ok=True)
        new = path.with_name("." + path.name + ".new")
        new.write_text(textwrap.dedent(text))
        os.replace(new, path)

    def put_in_force(self, plugin, text):
        """Saves, reloads, and returns what the reload said; the folder's watcher may have been quicker."""
        self.save(plugin, text)
        return self.reload()

    def reload(self):
        return self.post("/api/plugins/reload")

    # The HTTP API

    def get(self, path):
        return json.loads(self.ask("GET", path))

    def post(self, path, body=None):
        return json.loads(self.ask("POST", path, {} if body is None else body))

    def ask(self, method, path, body=None, login="guest:guest"):
        """The body of the answer; an HTTP error is raised with its text."""
        request = urllib.request.Request(f"http://{self.host}:{self.http_port}{path}", method=method)
        if login:
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None

    def plugin(self, name):
        return self.get(f"/api/plugins/{name}")

    def current_generation(self):
        return next(row["number"] for row in self.get("/api/plugins/generations") if row["current"])

    # The process

    def wait_for_log(self, pattern, *, seconds=10, start=0):
        return self.process.wait_for(pattern, seconds=seconds, start=start)

    def log_length(self):
        return len(self.process.lines)

    def resident_kilobytes(self):
        status = pathlib.Path(f"/proc/{self.process.child.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))

    def stop(self):
        """SIGTERM must end it in order; returns what was wrong with that, or None."""
        log = places.LOGS / f"hooks.{self.name}.broker.log"
        try:
            code = self.process.terminate()
        except Missed as missed:
            return str(missed)
        finally:
            log.write_text("\n".join(self.process.lines) + "\n")
            shutil.rmtree(self.folder, ignore_errors=True)
        return None if code == 0 else f"the broker ended with code {code}, not 0 (its log is {log})"


class Refused(Exception):
    """The HTTP API answered with an error."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


def eventually(question, *, seconds=10, what="it"):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s; the last answer is {answer!r}")
        time.sleep(0.01)
    return answer
