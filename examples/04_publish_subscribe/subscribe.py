"""Listens to the news through a queue of its own. Start as many as you like; each gets everything.

    .build/venv/bin/python examples/04_publish_subscribe/subscribe.py
    .build/venv/bin/python examples/04_publish_subscribe/subscribe.py --count 2

Without that environment: pip install pika, then python examples/04_publish_subscribe/subscribe.py
"""

import argparse
import os

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("--count", type=int, help="end after this many messages")
count = arguments.parse_args().count

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.exchange_declare("news", exchange_type="fanout")

# The empty name: the broker makes one up, such as amq.gen-X7f… exclusive: the queue is ours alone
# and goes away with our connection.
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, exchange="news")


def on_message(channel, method, properties, body):
    print(f"news: {body.decode()}")
    if method.delivery_tag == count:
        channel.stop_consuming()


channel.basic_consume(queue, on_message, auto_ack=True)
print("listening")

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
