"""Receives the log lines of the severities that you name.

One consumer for the errors, another for everything:

    .build/venv/bin/python examples/05_routing/receive.py error
    .build/venv/bin/python examples/05_routing/receive.py info warning error
    .build/venv/bin/python examples/05_routing/receive.py error --count 1

Without that environment: pip install pika, then python examples/05_routing/receive.py error
"""

import argparse
import os

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("severities", nargs="+", metavar="SEVERITY", help="info, warning, error …")
arguments.add_argument("--count", type=int, help="end after this many messages")
options = arguments.parse_args()

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("log", exchange_type="direct")
queue = channel.queue_declare("", exclusive=True).method.queue

# One binding for each severity; a message comes when its routing key equals a binding's.
for severity in options.severities:
    channel.queue_bind(queue, exchange="log", routing_key=severity)


def on_message(channel, method, properties, body):
    print(f"{method.routing_key}: {body.decode()}")
    if method.delivery_tag == options.count:
        channel.stop_consuming()


channel.basic_consume(queue, on_message, auto_ack=True)
print("waiting for " + ", ".join(options.severities))

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
