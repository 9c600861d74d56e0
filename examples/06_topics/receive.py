"""Receives the messages whose topic matches a pattern: * stands for one word, # for any number.

    .build/venv/bin/python examples/06_topics/receive.py "animal.*.white"
    .build/venv/bin/python examples/06_topics/receive.py "animal.#" "plant.#"
    .build/venv/bin/python examples/06_topics/receive.py "#" --count 1

Without that environment: pip install pika, then python examples/06_topics/receive.py "#"
"""

import argparse
import os

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("patterns", nargs="+", metavar="PATTERN", help='such as "animal.*.white"')
arguments.add_argument("--count", type=int, help="end after this many messages")
options = arguments.parse_args()

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("topics", exchange_type="topic")
queue = channel.queue_declare("", exclusive=True).method.queue

# A message comes once, however many of our patterns it matches.
for pattern in options.patterns:
    channel.queue_bind(queue, exchange="topics", routing_key=pattern)


def on_message(channel, method, properties, body):
    print(f"{method.routing_key}: {body.decode()}")
    if method.delivery_tag == options.count:
        channel.stop_consuming()


channel.basic_consume(queue, on_message, auto_ack=True)
print("waiting for " + ", ".join(options.patterns))

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
