"""Sends one message to the queue "hello".

Every other example takes the address of the broker from one AMQP_URL. Here the parts stand apart,
so that you see where the username and the password go.

Run it (receive.py, beside it, reads what it sends):

    .build/venv/bin/python examples/01_hello_world/send.py
    .build/venv/bin/python examples/01_hello_world/send.py "Hello, moon!"

Without that environment: pip install pika, then python examples/01_hello_world/send.py
"""

import os
import sys
from urllib.parse import unquote, urlsplit

import pika

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

# Declaring a queue makes it unless it exists: sender and receiver both do it, either may come first.
channel.queue_declare("hello")

message = " ".join(sys.argv[1:]) or "Hello, world!"

# The exchange with the empty name sends a message to the queue that its routing key names.
channel.basic_publish(exchange="", routing_key="hello", body=message)
print(f"sent {message!r}")

connection.close()
