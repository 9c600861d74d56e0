"""A child process whose output is read line by line as it comes. Knows nothing of what it says."""

import re
import signal
import subprocess
import threading
import time

STOP_SECONDS = 10  # a program that was asked to end and has not by then is stuck


class Missed(Exception):
    """What a scene waited for did not happen; the text says what, and what happened instead."""


class Process:
    """Starts `command`, and keeps all that it writes (standard error is kept apart unless merged)."""

    def __init__(self, command, *, merged=False, **options):
        self.command = [str(word) for word in command]
        self.lines = []
        self.errors = []
        self.news = threading.Condition()
        self.child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            errors="replace",
            **options,
        )
        self.readers = [self._read(self.child.stdout, self.lines)]
        if not merged:
            self.readers.append(self._read(self.child.stderr, self.errors))

    def wait_for(self, pattern, *, seconds=20, start=0):
        """Waits for a line of standard output that matches, from line `start` on; returns the match."""
        return self._await(
            lambda: self._find(pattern, self.lines, start), seconds, f"a line like {pattern!r}"
        )

    def finish(self, *, seconds=60):
        """Waits for the end; returns the exit code, which is negative after a signal."""
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Missed(f"{self.name} did not end within {seconds} s\n{self.tail()}") from None
        for reader in self.readers:
            reader.join(STOP_SECONDS)
        return code

    def interrupt(self):
        """Ctrl-C."""
        self.child.send_signal(signal.SIGINT)
        return self.finish(seconds=STOP_SECONDS)

    def terminate(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.finish(seconds=STOP_SECONDS)

    def kill(self):
        """SIGKILL: the process has no say."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for reader in self.readers:
            reader.join(STOP_SECONDS)

    @property
    def name(self):
        return " ".join(self.command[-3:])

    def tail(self, count=15):
        return "\n".join((self.lines + self.errors)[-count:])

    def _read(self, stream, lines):
        def read():
            for line in stream:
                with self.news:
                    lines.append(line.rstrip("\n"))
                    self.news.notify_all()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        return reader

    def _find(self, pattern, lines, start):
        return next((match for line in lines[start:] if (match := re.search(pattern, line))), None)

    def _await(self, find, seconds, what):
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                ended = self.child.poll() is not None and not any(
                    reader.is_alive() for reader in self.readers
                )
                if found := find():
                    return found
                left = deadline - time.monotonic()
                if ended or left <= 0:
                    why = (
                        f"ended with code {self.child.returncode}"
                        if ended
                        else f"said nothing such in {seconds} s"
                    )
                    raise Missed(f"waited for {what}, but {self.name} {why}\n{self.tail()}")
                self.news.wait(min(left, 0.2))
