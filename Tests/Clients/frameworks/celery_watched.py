"""Celery: a worker is asked, told and watched while it works."""

import threading

from celery.exceptions import TaskRevokedError
from workers import SECONDS, eventually, scene, working

EXTRA = "frameworks.watched.extra"


def inspected(tasks):
    inspect = tasks.app.control.inspect(timeout=2)
    print("registered:", *(name for name in inspect.registered()["w@scene"] if name.startswith("tasks.")))
    print("queues:", *(queue["name"] for queue in inspect.active_queues()["w@scene"]))
    print("pool:", inspect.stats()["w@scene"]["pool"]["max-concurrency"])


def told(tasks):
    control = tasks.app.control
    print(control.rate_limit("tasks.fail", "10/s", reply=True, timeout=2))
    print(control.pool_grow(1, reply=True, timeout=2))
    print(control.add_consumer(EXTRA, reply=True, timeout=2))
    print("through it:", tasks.add.apply_async((4, 4), queue=EXTRA).get(SECONDS))
    print(control.cancel_consumer(EXTRA, reply=True, timeout=2))
    with tasks.app.connection_for_write() as connection:
        connection.default_channel.queue_delete(EXTRA)


def revoked(tasks):
    result = tasks.hold.delay("revoked")
    eventually((tasks.FOLDER / "revoked.began").exists, "the begin")
    active = tasks.app.control.inspect(timeout=2).active()["w@scene"]
    print("active:", *(task["name"] for task in active))
    tasks.app.control.revoke(result.id, terminate=True)
    try:
        result.get(SECONDS)
    except TaskRevokedError:
        print("it is revoked")


def watched(tasks):
    """What `celery events` and flower see of one task."""
    seen, listening, over = {}, threading.Event(), threading.Event()

    def heard(event):
        if "uuid" in event:
            seen.setdefault(event["uuid"], set()).add(event["type"])
            if event["type"] == "task-succeeded":
                over.set()

    def listen():
        with tasks.app.connection_for_read() as connection:
            receiver = tasks.app.events.Receiver(connection, handlers={"*": heard})
            with receiver.consumer_context() as (own, _, _):
                listening.set()
                while not over.is_set():
                    try:
                        own.drain_events(timeout=0.2)
                    except TimeoutError:
                        pass

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert listening.wait(SECONDS)
    result = tasks.add.delay(1, 2)
    assert over.wait(SECONDS)
    listener.join(SECONDS)
    print("events:", *sorted(seen[result.id]))


with scene("frameworks.watched") as tasks, working("-c", "2"):
    inspected(tasks)
    told(tasks)
    revoked(tasks)
    watched(tasks)
