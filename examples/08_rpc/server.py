"""Answers requests for Fibonacci numbers.

A request carries the name of the queue for the answer (reply_to) and a number of the client's own
(correlation_id), which goes back with the answer, so that the client knows what is answered.

    .build/venv/bin/python examples/08_rpc/server.py
    .build/venv/bin/python examples/08_rpc/server.py --count 3          (end after 3 requests)

Without that environment: pip install pika, then python examples/08_rpc/server.py
"""

import argparse
import os

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("--count", type=int, help="end after this many requests")
count = arguments.parse_args().count


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare("fibonacci")
channel.basic_qos(prefetch_count=1)  # start several servers, and they share the work


def on_request(channel, method, properties, body):
    n = int(body)
    print(f"asked for fibonacci({n})")
    channel.basic_publish(
        exchange="",
        routing_key=properties.reply_to,
        body=str(fibonacci(n)),
        properties=pika.BasicProperties(correlation_id=properties.correlation_id),
    )
    channel.basic_ack(method.delivery_tag)
    if method.delivery_tag == count:
        channel.stop_consuming()


channel.basic_consume("fibonacci", on_request)
print("waiting for requests")

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
