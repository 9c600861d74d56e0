"""kombu: SimpleQueue and SimpleBuffer, which look like queue.Queue."""

import os
import queue

from kombu import Connection

SECONDS = 20

with Connection(os.environ["AMQP_URL"]) as connection:
    box = connection.SimpleQueue("frameworks.simple")
    box.clear()
    for number in range(3):
        box.put({"number": number}, serializer="json", compression="zlib" if number == 2 else None)
    first = box.get(timeout=SECONDS)
    print("first", first.payload)
    first.requeue()
    again = box.get(timeout=SECONDS)
    print("again", again.payload, "redelivered", again.delivery_info["redelivered"])
    again.ack()
    for _ in range(2):
        message = box.get(timeout=SECONDS)
        print("then", message.payload)
        message.ack()
    try:
        box.get(timeout=0.2)
    except queue.Empty:
        print("and it is empty")
    box.close()
    connection.default_channel.queue_delete("frameworks.simple")

    buffer = connection.SimpleBuffer("frameworks.buffer")
    buffer.put("gone with its readers")
    print("buffer", buffer.get(timeout=SECONDS).payload, "; durable", buffer.queue.durable)
    buffer.close()
