"""Appends readings to a stream: a log that keeps what was read.

    .build/venv/bin/python examples/11_stream/publish.py 17.5 18.0 18.5

Then run read.py, as often as you like and in several terminals: each reads all of it.

Without that environment: pip install pika, then python examples/11_stream/publish.py
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# A stream is a durable queue of another type. It grows until it is told what to give up: here segments
# whose last message is older than a week.
channel.queue_declare(
    "readings", durable=True, arguments={"x-queue-type": "stream", "x-max-age": "7D"}
)
channel.confirm_delivery()

for reading in sys.argv[1:] or ["17.5", "18.0", "18.5"]:
    channel.basic_publish(exchange="", routing_key="readings", body=reading)
    print(f"appended {reading}")

connection.close()
