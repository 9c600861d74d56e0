"""Routes orders by price, with an exchange type that is a Lua file in the broker's plugins folder.

A direct exchange (example 05) needs a binding for each key and a headers exchange (example 07)
compares for equality: neither can say "from 10 to 100". examples/plugins/exchanges/x-price-range.lua
says it in a few lines of Lua. Copy it to plugins/exchanges/ of a running broker, then:

    .build/venv/bin/python examples/09_lua_exchange/orders.py
    .build/venv/bin/python examples/09_lua_exchange/orders.py --changes 1

With --changes N the orders are sent again and again over the same connection until they have gone
elsewhere N times: change the Lua file meanwhile, and save it.

Without that environment: pip install pika, then python examples/09_lua_exchange/orders.py
"""

import argparse
import os

import pika
from pika.exceptions import NackError, UnroutableError

arguments = argparse.ArgumentParser()
arguments.add_argument("--changes", type=int, default=0, help="go on until the routing changed so often")
changes = arguments.parse_args().changes

RANGES = {"cheap": (0, 10), "middle": (10, 100), "dear": (100, 1000)}
ORDERS = [(5, "EUR"), (10, "EUR"), (99, "EUR"), (500, "EUR"), (5000, "EUR"), (5, "USD")]

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

# To a program, a type written in Lua is a type like any other.
channel.exchange_declare("orders", exchange_type="x-price-range", auto_delete=True)
for queue, (low, high) in RANGES.items():
    channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queue, exchange="orders", arguments={"min": low, "max": high})


def send(price, currency):
    """Publishes one order, and says in words who got it."""
    try:
        channel.basic_publish(
            exchange="orders",
            routing_key="",
            body="an order",
            properties=pika.BasicProperties(headers={"price": price, "currency": currency}),
            mandatory=True,
        )
    except UnroutableError:
        return "nobody"
    except NackError:
        return "refused by the exchange"
    takers = [queue for queue in RANGES if channel.basic_get(queue, auto_ack=True)[0]]
    return " and ".join(takers)


def send_all():
    return "\n".join(f"{price:>8} {currency} -> {send(price, currency)}" for price, currency in ORDERS)


routing = send_all()
print(routing)

for _ in range(changes):
    before = routing
    while routing == before:
        connection.sleep(0.2)
        routing = send_all()
    print("the routing changed:")
    print(routing)
connection.close()
