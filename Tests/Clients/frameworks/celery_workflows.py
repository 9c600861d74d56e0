"""Celery: chains, groups, chords, errors, retries, and tasks that are for later."""

import datetime
import time

from celery import chain, chord, group
from celery.exceptions import TaskRevokedError
from workers import SECONDS, scene, working

with scene("frameworks.workflows") as tasks, working("-c", "2"):
    print("2 + 3 =", tasks.add.delay(2, 3).get(SECONDS))
    print("of 1,000,000 characters:", tasks.length.delay("x" * 1_000_000).get(SECONDS))
    print("chain:", chain(tasks.add.s(1, 1), tasks.add.s(2), tasks.add.s(3))().get(SECONDS))
    print("group of 100:", sum(group(tasks.add.s(i, i) for i in range(100))().get(SECONDS)))
    print("chord:", chord((tasks.add.s(i, 1) for i in range(10)), tasks.total.s())().get(SECONDS))
    chords = group(chord([tasks.add.s(i, i)] * 3, tasks.total.s()) for i in range(3))
    print("group of chords:", chords().get(SECONDS))

    try:
        tasks.fail.delay().get(SECONDS)
    except ValueError as error:
        print("an error comes back:", error)
    print("succeeds at attempt", tasks.succeed_at.delay(3).get(SECONDS))

    began = time.time()
    when = tasks.clock.apply_async(countdown=1.5).get(SECONDS)
    print("countdown kept:", when - began >= 1.5)
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1.5)
    when = tasks.clock.apply_async(eta=due).get(SECONDS)
    print("ETA kept:", when >= due.timestamp())
    try:
        tasks.add.apply_async((1, 1), countdown=0.5, expires=0.01).get(SECONDS)
    except TaskRevokedError as error:
        print("too late:", error)
