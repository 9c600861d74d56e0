"""Sends one message to everyone who listens now; nobody listens, nobody gets it.

    .build/venv/bin/python examples/04_publish_subscribe/publish.py "The moon is up."

Without that environment: pip install pika, then python examples/04_publish_subscribe/publish.py
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

# A fanout exchange gives each message to all queues that are bound to it.
channel.exchange_declare("news", exchange_type="fanout")

news = " ".join(sys.argv[1:]) or "The moon is up."
channel.basic_publish(exchange="news", routing_key="", body=news)
print(f"published {news!r}")

connection.close()
