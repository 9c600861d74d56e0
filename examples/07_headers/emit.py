"""Sends a document with headers, which a headers exchange routes by; the routing key plays no part.

    .build/venv/bin/python examples/07_headers/emit.py format=pdf kind=report

Without that environment: pip install pika, then python examples/07_headers/emit.py format=pdf
"""

import os
import sys

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("documents", exchange_type="headers")

headers = dict(argument.split("=", 1) for argument in sys.argv[1:]) or {"format": "pdf", "kind": "report"}
channel.basic_publish(
    exchange="documents",
    routing_key="",
    body="a document",
    properties=pika.BasicProperties(headers=headers),
)
print("sent", headers)

connection.close()
