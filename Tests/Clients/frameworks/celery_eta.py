"""Celery: tasks for later fill what a worker may prefetch, and a task for now is taken all the same.

Celery raises its prefetch count for each of them, with `basic.qos` and global: kombu does that only for a
broker whose product is RabbitMQ.
"""

from workers import SECONDS, eventually, scene, working

with scene("frameworks.eta") as tasks:
    tasks.app.conf.worker_prefetch_multiplier = 2
    with working("-c", "2", "--prefetch-multiplier", "2"):
        later = [tasks.add.apply_async((i, i), countdown=3600) for i in range(20)]
        print("an immediate task gives", tasks.add.delay(20, 22).get(SECONDS))

        def scheduled():
            replies = tasks.app.control.inspect(timeout=1).scheduled() or {}
            return len(replies.get("w@scene", [])) == len(later)

        eventually(scheduled, "20 scheduled tasks")
        print("scheduled:", len(later))
        print("and another", tasks.add.delay(1, 2).get(SECONDS))
