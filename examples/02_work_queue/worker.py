"""Takes tasks one at a time; a task that a killed worker left undone goes to another worker.

Start two workers in two terminals, add tasks with new_task.py, and kill a worker (kill -9) while
it works: the other one gets the task that it had begun, marked as redelivered.

    .build/venv/bin/python examples/02_work_queue/worker.py
    .build/venv/bin/python examples/02_work_queue/worker.py --count 3       (end after 3 tasks)

Without that environment: pip install pika, then python examples/02_work_queue/worker.py
"""

import argparse
import os

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("--count", type=int, help="end after this many tasks")
arguments.add_argument("--seconds", type=float, default=1.0, help="how long one dot of a task takes")
options = arguments.parse_args()

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare("tasks")

# At most one unacknowledged task for each worker: a busy worker gets no second one, a free one does.
channel.basic_qos(prefetch_count=1)


def on_task(channel, method, properties, body):
    task = body.decode()
    print(f"began {task!r}" + (", which another worker left undone" if method.redelivered else ""))
    connection.sleep(task.count(".") * options.seconds)  # unlike time.sleep(), answers heartbeats
    print(f"done  {task!r}")

    # Only now may the broker forget the task.
    channel.basic_ack(method.delivery_tag)
    if method.delivery_tag == options.count:
        channel.stop_consuming()


channel.basic_consume("tasks", on_task)
print("waiting for tasks")

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
