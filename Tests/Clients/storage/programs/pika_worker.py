"""Takes numbers, and acks each when it is done, over all that happens to the broker: URL"""

import sys
import time

import pika


def work(channel, method, properties, body):
    print("got", body.decode(), "again" if method.redelivered else "", flush=True)
    channel.basic_ack(method.delivery_tag)


while True:
    try:
        connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
        print("connected", flush=True)
        channel = connection.channel()
        channel.queue_declare("numbers", durable=True)
        channel.basic_qos(prefetch_count=10)
        channel.basic_consume("numbers", work)
        channel.start_consuming()
    except (pika.exceptions.AMQPConnectionError, pika.exceptions.ChannelClosedByBroker):
        time.sleep(0.1)
