"""Takes everything that waits in the durable queue, and shows how much is left.

    .build/venv/bin/python examples/03_durable_queue/receive.py

Without that environment: pip install pika, then python examples/03_durable_queue/receive.py
"""

import os

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# Whoever declares the queue must say durable: an existing queue cannot be declared otherwise.
queue = channel.queue_declare("durable_tasks", durable=True)
print(f"{queue.method.message_count} messages wait")

while True:
    method, properties, body = channel.basic_get("durable_tasks")
    if method is None:
        break  # the queue is empty
    kind = "persistent" if properties.delivery_mode == 2 else "transient"
    print(f"received {body.decode()!r} ({kind}), {method.message_count} left")
    channel.basic_ack(method.delivery_tag)

connection.close()
