"""Prints the messages that arrive in the queue "hello".

Run it in one terminal and send.py in another; Ctrl-C ends it, and so does --count N after N messages:

    .build/venv/bin/python examples/01_hello_world/receive.py
    .build/venv/bin/python examples/01_hello_world/receive.py --count 1

Without that environment: pip install pika, then python examples/01_hello_world/receive.py
"""

import argparse
import os
from urllib.parse import unquote, urlsplit

import pika

arguments = argparse.ArgumentParser()
arguments.add_argument("--count", type=int, help="end after this many messages")
count = arguments.parse_args().count

url = urlsplit(os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F"))

credentials = pika.PlainCredentials(username=url.username, password=url.password)  # guest, guest
parameters = pika.ConnectionParameters(
    host=url.hostname,
    port=url.port,
    virtual_host=unquote(url.path[1:]),
    credentials=credentials,
)

connection = pika.BlockingConnection(parameters)
channel = connection.channel()
channel.queue_declare("hello")


def on_message(channel, method, properties, body):
    print(f"received {body.decode()!r}")
    if method.delivery_tag == count:  # a channel's deliveries are numbered 1, 2, 3 …
        channel.stop_consuming()


# auto_ack: the broker forgets a message as soon as it is sent. Example 02 is more careful.
channel.basic_consume("hello", on_message, auto_ack=True)
print("waiting for messages")

try:
    channel.start_consuming()
except KeyboardInterrupt:
    pass
connection.close()
