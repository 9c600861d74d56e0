"""Celery: of what waits, the most urgent is done first."""

from workers import SECONDS, eventually, scene, working

with scene("frameworks.priorities") as tasks, working("-c", "1"):
    held = tasks.hold.delay("door")
    eventually((tasks.FOLDER / "door.began").exists, "the begin")
    waiting = [
        tasks.write.apply_async((f"{name} {priority}",), priority=priority)
        for priority in (1, 9, 5)
        for name in ("first", "second")
    ]
    (tasks.FOLDER / "door.go").touch()
    print(held.get(SECONDS))
    for result in waiting:
        result.get(SECONDS)
    print((tasks.FOLDER / "lines").read_text(), end="")
