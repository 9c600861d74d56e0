"""dramatiq: retries through its delay queue, delays, and what fails too often in its dead-letter queue."""

import logging
import os
import threading
import time

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import Results
from dramatiq.results.backends import StubBackend

QUEUE = "frameworks.dramatiq"
SECONDS = 20
broker = RabbitmqBroker(url=os.environ["AMQP_URL"], confirm_delivery=True)
broker.add_middleware(Results(backend=StubBackend()))
dramatiq.set_broker(broker)

attempts = []
said = []
given_up = threading.Event()


@dramatiq.actor(queue_name=QUEUE, store_results=True)
def add(x, y):
    return x + y


@dramatiq.actor(queue_name=QUEUE, store_results=True, max_retries=3, min_backoff=10, max_backoff=50)
def third_time_lucky():
    attempts.append(time.monotonic())
    if len(attempts) < 3:
        raise RuntimeError("not yet")
    return len(attempts)


@dramatiq.actor(queue_name=QUEUE, max_retries=1, min_backoff=10, max_backoff=50)
def never():
    attempts.append(time.monotonic())
    if len(attempts) == 2:
        given_up.set()
    raise RuntimeError("never")


@dramatiq.actor(queue_name=QUEUE, store_results=True)
def clock():
    return time.time()


def counts():
    """Of the queue itself, of its delay queue, and of its dead letters."""
    return broker.get_queue_message_counts(QUEUE)


def eventually(question):
    deadline = time.monotonic() + SECONDS
    while not question():
        assert time.monotonic() < deadline, f"it did not happen within {SECONDS} s; counts are {counts()}"
        time.sleep(0.01)


logging.disable(logging.CRITICAL)  # each attempt that fails would be told
worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=2)
worker.start()

print("2 + 3 =", add.send(2, 3).get_result(block=True, timeout=SECONDS * 1000))
messages = [add.send(i, i) for i in range(100)]
print("100 sums:", sum(one.get_result(block=True, timeout=SECONDS * 1000) for one in messages))
result = third_time_lucky.send().get_result(block=True, timeout=SECONDS * 1000)
print("succeeds at attempt", result)
began = time.time()
when = clock.send_with_options(delay=1000).get_result(block=True, timeout=SECONDS * 1000)
print("delay kept:", when - began >= 1)

attempts.clear()
never.send()
assert given_up.wait(SECONDS)
eventually(lambda: counts() == (0, 0, 1))
print("attempts:", len(attempts), "; ready, delayed, dead:", *counts())
worker.stop()
with broker.connection.channel() as channel:
    _, properties, body = channel.basic_get(f"{QUEUE}.XQ", auto_ack=True)
    print("the dead letter is of", dramatiq.Message.decode(body).actor_name)
    death = properties.headers["x-death"][0]
    print("it was", death["reason"], "from", death["queue"], death["count"], "time")
    for name in (QUEUE, f"{QUEUE}.DQ", f"{QUEUE}.XQ"):
        channel.queue_delete(name)
broker.close()
