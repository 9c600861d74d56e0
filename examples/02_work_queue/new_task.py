"""Puts a task into the queue "tasks"; each dot in it means a second of work for worker.py.

    .build/venv/bin/python examples/02_work_queue/new_task.py "feed the rabbit..."

Without that environment: pip install pika, then python examples/02_work_queue/new_task.py
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare("tasks")

task = " ".join(sys.argv[1:]) or "feed the rabbit..."
channel.basic_publish(exchange="", routing_key="tasks", body=task)
print(f"new task {task!r}")

connection.close()
