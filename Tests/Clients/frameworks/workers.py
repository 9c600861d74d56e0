"""Starts Celery workers, kills them and waits for what they do. Knows no task's meaning."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SECONDS = 30  # for what is expected to happen; a busy machine may need long


def eventually(question, what):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + SECONDS
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {SECONDS} s")
        time.sleep(0.01)
    return answer


class Worker:
    """A prefork worker in a session of its own, so that its pool can be killed with it."""

    def __init__(self, *options):
        self.child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "celery", "-q", "-A", "tasks", "worker"]
            + ["--loglevel", "CRITICAL", "--hostname", "w@scene", *options],
            cwd=pathlib.Path(__file__).parent,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_until_ready(self):
        from tasks import app

        def answers():
            if self.child.poll() is not None:
                raise RuntimeError(f"the worker ended with {self.child.returncode}")
            return app.control.ping(timeout=0.5)

        return eventually(answers, "a pong")

    def stop(self):
        """As an operator does it: it finishes what it has begun."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        return self.child.wait(SECONDS)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


@contextlib.contextmanager
def scene(queue, **settings):
    """A folder and a queue for one scene, which are deleted in the end. Gives the module `tasks`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="frameworks-"))
    os.environ.update(TASK_QUEUE=queue, TASK_FOLDER=str(folder), **settings)
    import tasks

    try:
        yield tasks
    finally:
        with tasks.app.connection_for_write() as connection:
            connection.default_channel.queue_delete(queue)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def working(*options):
    """With a worker that is ready. It is killed in the end: now and then one with rpc results never stops."""
    worker = Worker(*options)
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        worker.kill()
