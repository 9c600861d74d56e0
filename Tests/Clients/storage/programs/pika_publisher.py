"""Publishes numbers with confirms, over all that happens to the broker for ever: URL"""

import sys
import time

import pika

number = 0
while True:
    try:
        connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
        channel = connection.channel()
        channel.queue_declare("numbers", durable=True)
        channel.confirm_delivery()
        while True:
            properties = pika.BasicProperties(delivery_mode=2)
            channel.basic_publish("", "numbers", str(number).encode(), properties, mandatory=True)
            print("confirmed", number, flush=True)
            number += 1
    except (pika.exceptions.AMQPConnectionError, pika.exceptions.ChannelClosedByBroker):
        time.sleep(0.1)
