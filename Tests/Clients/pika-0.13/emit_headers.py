#!/usr/bin/env python
import pika
import sys

connection = pika.BlockingConnection(pika.ConnectionParameters(host='localhost'))
channel = connection.channel()

channel.exchange_declare(exchange='header_logs',
                         exchange_type='headers')

fields = dict(arg.split('=') for arg in sys.argv[1:])
channel.basic_publish(exchange='header_logs',
                      routing_key='',
                      body=' '.join(sys.argv[1:]),
                      properties=pika.BasicProperties(headers=fields))
print(" [x] Sent %s" % ' '.join(sys.argv[1:]))
connection.close()
