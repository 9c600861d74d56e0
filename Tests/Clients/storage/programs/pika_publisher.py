"""Publishes numbers with confirms, one after the other, over all that happens to the broker: URL COUNT"""

import sys
import time

import pika

url, count = sys.argv[1], int(sys.argv[2])
number = 0
while number < count:
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        channel = connection.channel()
        channel.queue_declare("numbers", durable=True)
        channel.confirm_delivery()
        while number < count:
            channel.basic_publish(
                "", "numbers", str(number).encode(), pika.BasicProperties(delivery_mode=2), mandatory=True
            )
            print("confirmed", number, flush=True)
            number += 1
        connection.close()
    except (pika.exceptions.AMQPConnectionError, pika.exceptions.ChannelClosedByBroker):
        time.sleep(0.1)
print("all are confirmed", flush=True)
