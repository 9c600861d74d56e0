"""Sends a message under a topic: a routing key of words with dots between them.

    .build/venv/bin/python examples/06_topics/emit.py animal.rabbit.white "I am late!"

Without that environment: pip install pika, then python examples/06_topics/emit.py
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("topics", exchange_type="topic")

topic = sys.argv[1] if len(sys.argv) > 1 else "animal.rabbit.white"
message = " ".join(sys.argv[2:]) or "I am late!"
channel.basic_publish(exchange="topics", routing_key=topic, body=message)
print(f"{topic}: {message}")

connection.close()
