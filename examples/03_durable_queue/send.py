"""Sends persistent messages to a durable queue: both outlive a restart of the broker.

    .build/venv/bin/python examples/03_durable_queue/send.py one two three

Restart the broker, then run receive.py. (Start it with a data folder, as `make serve` does;
with --data-dir :memory: nothing outlives anything.)

Without that environment: pip install pika, then python examples/03_durable_queue/send.py
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# durable: the queue is there again after a restart.
channel.queue_declare("durable_tasks", durable=True)

# Publisher confirms: from now on basic_publish returns when the broker has the message safe,
# and raises an exception when it cannot take it.
channel.confirm_delivery()

for message in sys.argv[1:] or ["one", "two", "three"]:
    channel.basic_publish(
        exchange="",
        routing_key="durable_tasks",
        body=message,
        # persistent: the message is there again too. A durable queue alone would come back empty.
        properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
    )
    print(f"the broker keeps {message!r}")

connection.close()
