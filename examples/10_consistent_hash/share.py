"""Shares orders between two queues by their key, one queue taking three times as much as the other.

An exchange of type x-consistent-hash sends all messages with the same routing key to the same
queue, and the keys evenly to the queues; a binding's routing key is the queue's weight. So all
orders of one customer stay in order, while the work is shared. In this broker the type is a Lua
file, plugins/exchanges/x-consistent-hash.lua; RabbitMQ has it as a plugin.

    .build/venv/bin/python examples/10_consistent_hash/share.py

Without that environment: pip install pika, then python examples/10_consistent_hash/share.py
"""

import os
from collections import Counter, defaultdict

import pika

CUSTOMERS = 5000
WEIGHTS = {"small": 1, "large": 3}

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()

channel.exchange_declare("customers", exchange_type="x-consistent-hash", auto_delete=True)
for queue, weight in WEIGHTS.items():
    channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queue, exchange="customers", routing_key=str(weight))

# Two orders for each customer.
for order in "first", "second":
    for customer in range(CUSTOMERS):
        channel.basic_publish(exchange="customers", routing_key=f"customer-{customer}", body=order)

queues_of = defaultdict(list)  # customer -> the queues where the orders came out


def on_order(channel, method, properties, body):
    queues_of[method.routing_key].append(method.consumer_tag)
    if method.delivery_tag == 2 * CUSTOMERS:
        channel.stop_consuming()


for queue in WEIGHTS:
    channel.basic_consume(queue, on_order, auto_ack=True, consumer_tag=queue)
channel.start_consuming()
connection.close()

strays = sum(first != second for first, second in queues_of.values())
print(f"{len(queues_of)} customers sent 2 orders each; {strays} of them had orders in both queues")

share = Counter(queue for queue, _ in queues_of.values())
print(f"the large queue has about {share['large'] / share['small']:.0f} times the customers of the small one")
