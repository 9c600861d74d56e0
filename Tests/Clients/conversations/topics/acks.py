"""ack, nack, reject, recover, and where messages go that come back."""

from corpus import Topic

topic = Topic("acks")


def delivered(talk, *bodies, **consume):
    """A channel that was delivered the bodies from <q>."""
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, *bodies)
    channel.connection.silent = True
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", **consume)
    for _ in bodies:
        channel.receive()
    channel.rpc("basic.cancel", consumer_tag="c")
    channel.connection.silent = False
    return channel, queue


SETTLE = {
    "ack": ("basic.ack", {}),
    "ack multiple": ("basic.ack", {"multiple": True}),
    "nack": ("basic.nack", {"requeue": True}),
    "nack multiple": ("basic.nack", {"requeue": True, "multiple": True}),
    "reject": ("basic.reject", {"requeue": True}),
    "reject without requeue": ("basic.reject", {}),
}


@topic.each(SETTLE)
def an_unknown_delivery_tag_and(talk, case):
    channel = talk.channel()
    channel.send(case[0], delivery_tag=99, **case[1])
    channel.receive()


@topic.each({name: case for name, case in SETTLE.items()})
def delivery_tag_0_with_nothing_unacked_and(talk, case):
    channel = talk.channel()
    channel.send(case[0], delivery_tag=0, **case[1])
    channel.fence()


@topic.each(SETTLE)
def delivery_tag_0_with_three_unacked_and(talk, case):
    channel, queue = delivered(talk, "a", "b", "c")
    channel.send(case[0], delivery_tag=0, **case[1])
    channel.settle(queue)
    if not channel.is_open:
        channel.reopen()
    channel.drain(queue)


@topic.each(SETTLE)
def the_middle_of_three_is_settled_by(talk, case):
    channel, queue = delivered(talk, "a", "b", "c")
    channel.send(case[0], delivery_tag=2, **case[1])
    channel.settle(queue)
    channel.drain(queue)
    channel.close()
    channel.open()
    channel.drain(queue)


@topic.each(SETTLE)
def a_message_is_settled_twice_by(talk, case):
    channel, queue = delivered(talk, "a", "b")
    channel.send(case[0], delivery_tag=1, **case[1])
    channel.send(case[0], delivery_tag=1, **case[1])
    channel.receive()


@topic
def an_ack_of_a_higher_tag_with_multiple_that_was_never_delivered(talk):
    channel, queue = delivered(talk, "a", "b")
    channel.send("basic.ack", delivery_tag=5, multiple=True)
    channel.fence()


@topic
def an_ack_multiple_of_an_acked_tag_with_lower_ones_unacked(talk):
    channel, queue = delivered(talk, "a", "b", "c")
    channel.send("basic.ack", delivery_tag=2)
    channel.send("basic.ack", delivery_tag=2, multiple=True)
    channel.fence()


@topic
def acks_out_of_order(talk):
    channel, queue = delivered(talk, "a", "b", "c")
    for tag in (3, 1, 2):
        channel.send("basic.ack", delivery_tag=tag)
    channel.settle(queue)
    channel.close()
    channel.open()
    channel.drain(queue)


@topic
def an_ack_of_a_delivery_without_acks(talk):
    channel, queue = delivered(talk, "a", no_ack=True)
    channel.send("basic.ack", delivery_tag=1)
    channel.receive()


@topic
def an_ack_on_another_channel(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.fill(queue, "a")
    one.get(queue)
    two.send("basic.ack", delivery_tag=1)
    two.receive()
    one.send("basic.ack", delivery_tag=1)
    one.fence()


@topic
def an_unknown_tag_requeues_the_others(talk):
    channel, queue = delivered(talk, "a", "b")
    channel.send("basic.ack", delivery_tag=3)
    channel.receive()
    channel.open()
    channel.drain(queue)


# Requeue


@topic.each({"in order": (1, 2, 3), "backwards": (3, 2, 1), "mixed": (2, 3, 1)})
def rejected_messages_return_to_their_places(talk, order):
    channel, queue = delivered(talk, "a", "b", "c")
    channel.fill(queue, "d")
    for tag in order:
        channel.send("basic.reject", delivery_tag=tag, requeue=True)
    channel.settle(queue)
    channel.drain(queue)


@topic
def nack_multiple_returns_messages_in_order(talk):
    channel, queue = delivered(talk, "a", "b", "c", "d")
    channel.fill(queue, "e")
    channel.send("basic.nack", delivery_tag=3, multiple=True, requeue=True)
    channel.settle(queue)
    channel.drain(queue)
    channel.send("basic.nack", delivery_tag=4, requeue=True)
    channel.settle(queue)
    channel.drain(queue)


@topic
def a_message_returns_before_those_that_were_behind_it(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b", "c", "d")
    for _ in range(3):
        channel.get(queue)
    channel.send("basic.ack", delivery_tag=1)
    channel.send("basic.reject", delivery_tag=3, requeue=True)
    channel.settle(queue)
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=2, requeue=True)
    channel.settle(queue)
    channel.drain(queue)


@topic
def a_requeued_message_is_redelivered_to_the_consumer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.publish("", queue, "a")
    channel.receive()
    channel.send("basic.reject", delivery_tag=1, requeue=True)
    channel.receive()
    channel.send("basic.ack", delivery_tag=2)
    channel.counts(queue)


@topic
def nack_without_requeue_discards(talk):
    channel, queue = delivered(talk, "a", "b", "c")
    channel.send("basic.nack", delivery_tag=2, multiple=True)
    channel.settle(queue)
    channel.close()
    channel.open()
    channel.drain(queue)


@topic.each(
    {"channel.close": 0, "a channel error": 1, "the connection's close": 2, "a dropped connection": 3}
)
def unacked_messages_return_in_order_after(talk, way):
    channel = talk.channel()
    queue = talk.channel().queue(talk.name("q"))
    channel.fill(queue, "a", "b", "c", "d")
    for _ in range(3):
        channel.get(queue)
    channel.send("basic.ack", delivery_tag=2)
    channel.fence()
    if way == 0:
        channel.close()
    elif way == 1:
        channel.rpc("queue.declare", queue="amq.nothing", passive=True)
    elif way == 2:
        channel.connection.close()
    else:
        channel.connection.drop()
    other = talk.connections[1].channels[1]
    other.wait_for(queue, 3)
    other.drain(queue)


@topic
def a_requeue_goes_to_another_waiting_consumer_or_back(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.fill(queue, "a")
    one.get(queue)
    two.rpc("basic.consume", queue=queue, consumer_tag="c2")
    one.send("basic.nack", delivery_tag=1, requeue=True)
    two.receive()


# Recover


@topic
def recover_requeues_everything_unacked(talk):
    channel, queue = delivered(talk, "a", "b", "c")
    channel.send("basic.ack", delivery_tag=2)
    channel.rpc("basic.recover", requeue=True)
    channel.settle(queue)
    channel.drain(queue)


@topic
def recover_with_nothing_unacked(talk):
    talk.channel().rpc("basic.recover", requeue=True)


@topic
def recover_redelivers_to_the_consumer_with_new_tags(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b")
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.receive()
    channel.receive()
    channel.rpc("basic.recover", requeue=True)
    channel.settle(queue)


@topic.each({"basic.recover": "basic.recover", "basic.recover-async": "basic.recover-async"})
def recover_without_requeue_is_not_implemented(talk, method):
    channel, queue = delivered(talk, "a")
    channel.send(method, requeue=False)
    channel.receive()


@topic
def recover_async_has_no_answer(talk):
    channel, queue = delivered(talk, "a", "b")
    channel.send("basic.recover-async", requeue=True)
    channel.settle(queue)
    channel.drain(queue)


@topic
def a_recovered_tag_is_no_longer_known(talk):
    channel, queue = delivered(talk, "a")
    channel.rpc("basic.recover", requeue=True)
    channel.send("basic.ack", delivery_tag=1)
    channel.receive()
