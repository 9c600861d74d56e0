"""Receives the documents that have all of the given headers, or any of them.

    .build/venv/bin/python examples/07_headers/receive.py all format=pdf kind=report
    .build/venv/bin/python examples/07_headers/receive.py any format=pdf kind=report --count 2

Without that environment: pip install pika, then python examples/07_headers/receive.py any format=pdf
"""

import argparse
import os

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("match", choices=["all", "any"])
arguments.add_argument("headers", nargs="+", metavar="NAME=VALUE")
arguments.add_argument("--count", type=int, help="end after this many messages")
options = arguments.parse_args()

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("documents", exchange_type="headers")
queue = channel.queue_declare("", exclusive=True).method.queue

wanted = dict(header.split("=", 1) for header in options.headers)
channel.queue_bind(queue, exchange="documents", arguments={"x-match": options.match, **wanted})


def on_message(channel, method, properties, body):
    print("received", properties.headers)
    if method.delivery_tag == options.count:
        channel.stop_consuming()


channel.basic_consume(queue, on_message, auto_ack=True)
print(f"waiting for {options.match} of {wanted}")

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
