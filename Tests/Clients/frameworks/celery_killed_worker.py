"""Celery: what a worker had begun when it was killed is done by the next one (`acks_late`)."""

from workers import SECONDS, Worker, eventually, scene

with scene("frameworks.killed") as tasks:
    began = tasks.FOLDER / "work.began"
    first = Worker("-c", "2")
    try:
        first.wait_until_ready()
        result = tasks.hold.delay("work")
        eventually(began.exists, "the begin")
        print("the first worker has begun")
    finally:
        first.kill()
    print("it was killed")
    second = Worker("-c", "2")
    try:
        eventually(lambda: len(began.read_text().splitlines()) == 2, "the second begin")
        print("the second worker has begun")
        (tasks.FOLDER / "work.go").touch()
        print(result.get(SECONDS))
        print("it ended with", second.stop())
    finally:
        second.kill()
