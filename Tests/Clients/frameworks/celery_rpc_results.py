"""Celery: results that come back as messages, into a queue of the caller's own."""

from celery import group
from workers import SECONDS, scene, working

with scene("frameworks.rpc", TASK_RESULTS="rpc://") as tasks, working("-c", "2"):
    print("2 + 3 =", tasks.add.delay(2, 3).get(SECONDS))
    print("group of 20:", group(tasks.add.s(i, 1) for i in range(20))().get(SECONDS))
    try:
        tasks.fail.delay().get(SECONDS)
    except ValueError as error:
        print("an error comes back:", error)
