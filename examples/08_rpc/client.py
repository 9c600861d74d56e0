"""Asks the server of this folder for Fibonacci numbers and waits for each answer.

    .build/venv/bin/python examples/08_rpc/client.py 10 30 90

Without that environment: pip install pika, then python examples/08_rpc/client.py 10
"""

import os
import sys
import uuid

import pika


class Fibonacci:
    def __init__(self, connection):
        self.connection = connection
        self.channel = connection.channel()
        self.channel.queue_declare("fibonacci")  # a request may wait for a server that starts later
        self.waiting_for = None
        self.answer = None

        # Answers come to a queue of our own, which the broker names.
        self.answers = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.basic_consume(self.answers, self.on_answer, auto_ack=True)

    def on_answer(self, channel, method, properties, body):
        if properties.correlation_id == self.waiting_for:  # else the answer to an older request
            self.answer = int(body)

    def __call__(self, n):
        self.answer = None
        self.waiting_for = str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="",
            routing_key="fibonacci",
            body=str(n),
            properties=pika.BasicProperties(reply_to=self.answers, correlation_id=self.waiting_for),
        )
        while self.answer is None:
            self.connection.process_data_events(time_limit=None)  # until something arrives
        return self.answer


url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
connection = pika.BlockingConnection(pika.URLParameters(url))
fibonacci = Fibonacci(connection)

for argument in sys.argv[1:] or ["10"]:
    print(f"fibonacci({argument}) = {fibonacci(int(argument))}")

connection.close()
