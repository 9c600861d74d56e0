"""Queues with x-single-active-consumer."""

from corpus import Topic

topic = Topic("single_active_consumer")


@topic
def a_single_active_consumer_is_the_first_and_then_the_next(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    one.rpc("basic.consume", queue=queue, consumer_tag="c1", no_ack=True)
    two.rpc("basic.consume", queue=queue, consumer_tag="c2", no_ack=True)
    one.fill(queue, "a", "b")
    one.settle(queue)
    two.settle(queue)
    one.rpc("basic.cancel", consumer_tag="c1")
    one.fill(queue, "c", "d")
    one.settle(queue)
    two.settle(queue)


@topic
def an_exclusive_consumer_is_refused(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", exclusive=True)


@topic
def get_is_not_refused(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    channel.rpc("basic.get", queue=queue)


@topic
def the_active_consumers_channel_closes(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    one.rpc("basic.consume", queue=queue, consumer_tag="c1")
    two.rpc("basic.consume", queue=queue, consumer_tag="c2")
    two.fill(queue, "a", "b")
    one.settle(queue)
    one.close()
    two.settle(queue)


@topic
def a_waiting_consumer_gets_nothing_though_the_active_one_is_at_its_limit(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    one.rpc("basic.qos", prefetch_count=1)
    one.rpc("basic.consume", queue=queue, consumer_tag="c1")
    two.rpc("basic.consume", queue=queue, consumer_tag="c2")
    two.fill(queue, "a", "b")
    one.settle(queue)
    two.settle(queue)
    one.counts(queue)
