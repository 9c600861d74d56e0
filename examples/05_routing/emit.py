"""Sends one log line; its severity is the routing key, which a direct exchange routes by.

    .build/venv/bin/python examples/05_routing/emit.py error "The disk is full."

Without that environment: pip install pika, then python examples/05_routing/emit.py
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("log", exchange_type="direct")

severity = sys.argv[1] if len(sys.argv) > 1 else "info"
line = " ".join(sys.argv[2:]) or "All is well."
channel.basic_publish(exchange="log", routing_key=severity, body=line)
print(f"{severity}: {line}")

connection.close()
