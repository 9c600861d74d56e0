#!/usr/bin/env python
import pika
import sys

connection = pika.BlockingConnection(pika.ConnectionParameters(host='localhost'))
channel = connection.channel()

channel.exchange_declare(exchange='header_logs',
                         exchange_type='headers')

result = channel.queue_declare(exclusive=True)
if not result:
    print('Queue didnt declare properly!')
    sys.exit(1)
queue_name = result.method.queue

arguments = {'x-match': sys.argv[1]}
arguments.update(arg.split('=') for arg in sys.argv[2:])
channel.queue_bind(exchange='header_logs',
                   queue=queue_name,
                   routing_key='',
                   arguments=arguments)

def callback(ch, method, properties, body):
    print(" [x] %r" % body)

channel.basic_consume(callback,
                      queue=queue_name,
                      no_ack=True)

print(' [*] Waiting for logs. To exit press CTRL+C')
channel.start_consuming()
