"""The Celery application of the scenes, as its workers and its callers import it."""

import os
import pathlib
import time

from celery import Celery
from kombu import Queue

QUEUE = os.environ["TASK_QUEUE"]
FOLDER = pathlib.Path(os.environ["TASK_FOLDER"])  # results, and files by which tasks are seen and let go
HOLD_SECONDS = 60

RESULTS = os.environ.get("TASK_RESULTS", f"file://{FOLDER}")
app = Celery("tasks", broker=os.environ["AMQP_URL"], backend=RESULTS)
app.conf.update(
    task_queues=[Queue(QUEUE, queue_arguments={"x-max-priority": 10})],
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_send_sent_event=True,
    task_track_started=True,
    worker_send_task_events=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    result_expires=None,
    result_chord_retry_interval=0.1,
)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def length(text):
    return len(text)


@app.task
def clock():
    return time.time()


@app.task
def fail():
    raise ValueError("no luck")


@app.task(bind=True, max_retries=5)
def succeed_at(self, attempt):
    if self.request.retries + 1 < attempt:
        raise self.retry(countdown=0.1)
    return self.request.retries + 1


@app.task
def write(line):
    with (FOLDER / "lines").open("a") as lines:
        lines.write(line + "\n")


@app.task
def hold(name):
    """Says that it began, and goes on when the file `NAME.go` is there."""
    with (FOLDER / f"{name}.began").open("a") as began:
        began.write("began\n")
    deadline = time.monotonic() + HOLD_SECONDS
    while not (FOLDER / f"{name}.go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody let {name} go on")
        time.sleep(0.01)
    return f"{name} was let go"
