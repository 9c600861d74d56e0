"""Reads a stream from a place on: "first", "last", "next", an offset, or a time such as "1h".

    .build/venv/bin/python examples/11_stream/read.py first
    .build/venv/bin/python examples/11_stream/read.py 2 --count 1

What is read stays: start it again, or twice, and each gets everything. Without --count it goes on with
what comes, until Ctrl-C.

Without that environment: pip install pika, then python examples/11_stream/read.py
"""

import argparse
import os

import pika

parser = argparse.ArgumentParser()
parser.add_argument("offset", nargs="?", default="first")
parser.add_argument("--count", type=int, help="end after so many messages")
options = parser.parse_args()
offset = int(options.offset) if options.offset.isdigit() else options.offset

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(
    "readings", durable=True, arguments={"x-queue-type": "stream", "x-max-age": "7D"}
)

# Acknowledgements of a stream take nothing away: they say that there is room for more.
channel.basic_qos(prefetch_count=100)

seen = 0
try:
    for method, properties, body in channel.consume("readings", arguments={"x-stream-offset": offset}):
        # Keep the offset, and you can go on behind it tomorrow.
        print(f"{properties.headers['x-stream-offset']}: {body.decode()}")
        channel.basic_ack(method.delivery_tag)
        seen += 1
        if seen == options.count:
            break
except KeyboardInterrupt:
    pass

connection.close()
