"""Publishes numbers with confirms through kombu, which connects again by itself for ever: URL"""

import itertools
import sys

from kombu import Connection, Queue

numbers = Queue("numbers", durable=True)
with Connection(sys.argv[1], transport_options={"confirm_publish": True}) as connection:
    producer = connection.Producer()
    for number in itertools.count():
        producer.publish(
            {"number": number},
            routing_key="numbers",
            delivery_mode=2,
            declare=[numbers],
            retry=True,
            retry_policy={"interval_start": 0, "interval_step": 0.1, "interval_max": 0.3, "max_retries": 200},
        )
        print("confirmed", number, flush=True)
