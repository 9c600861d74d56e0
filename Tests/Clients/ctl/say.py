"""What a client does meanwhile: `say.py VHOST declare QUEUE`, `publish QUEUE BODY…`, `get QUEUE`, `route EXCHANGE KEY`;
`during COMMAND…` runs one while the client, whose name is `mine`, is connected."""

import os
import subprocess
import sys

import pika


def main(vhost, verb, *words):
    try:
        connection = pika.BlockingConnection(
            pika.ConnectionParameters(
                "127.0.0.1", int(os.environ["PORT"]), vhost, client_properties={"connection_name": "mine"}))
    except pika.exceptions.AMQPError as error:
        return print(f"refused: {type(error).__name__}")
    channel = connection.channel()
    if verb == "publish":
        for body in words[1:]:
            channel.basic_publish("", words[0], body, pika.BasicProperties(delivery_mode=2))
    elif verb == "route":
        channel.confirm_delivery()
        channel.basic_publish(words[0], words[1], "routed", mandatory=True)
        print("routed")
    elif verb == "get":
        print(channel.basic_get(words[0], auto_ack=True)[2])
    elif verb == "during":
        subprocess.run(words, check=True)
    elif verb == "declare":
        channel.queue_declare(words[0], durable=True)
    connection.close()


main(*sys.argv[1:])
