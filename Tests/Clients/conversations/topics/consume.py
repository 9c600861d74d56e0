"""basic.consume, cancel, qos, get: who is given which message."""

from client import CAPABILITIES
from corpus import Topic

topic = Topic("consume")


@topic
def a_consumer_gets_what_is_there_and_what_comes(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b")
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.receive()
    channel.receive()
    channel.publish("", queue, "later")
    channel.receive()
    channel.counts(queue)


@topic
def a_consumer_without_a_tag_is_given_one(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, no_ack=True)
    channel.publish("", queue, "m")
    channel.receive()


@topic
def a_nowait_consumer_without_a_tag_is_given_one(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.send("basic.consume", queue=queue, no_ack=True, nowait=True)
    channel.publish("", queue, "m")
    channel.receive()


@topic
def a_consumer_tag_in_use_is_a_connection_error(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.send("basic.consume", queue=queue, consumer_tag="c")
    channel.connection.expect_eof()


@topic
def a_consumer_tag_may_be_used_on_another_channel(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.rpc("basic.consume", queue=queue, consumer_tag="c")
    two.rpc("basic.consume", queue=queue, consumer_tag="c")


@topic
def a_consumer_tag_is_free_again_after_cancel(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    for _ in range(2):
        channel.rpc("basic.consume", queue=queue, consumer_tag="c")
        channel.rpc("basic.cancel", consumer_tag="c")


@topic.each(
    {"then exclusive": (False, True), "exclusive, then plain": (True, False), "exclusive twice": (True, True)}
)
def a_queue_in_exclusive_use_plain(talk, case):
    one, two = talk.channel(), talk.channel()
    queue = one.queue(talk.name("q"))
    one.rpc("basic.consume", queue=queue, consumer_tag="c1", exclusive=case[0])
    two.rpc("basic.consume", queue=queue, consumer_tag="c2", exclusive=case[1])


@topic
def exclusive_use_ends_with_its_consumer(talk):
    one, two = talk.channel(), talk.channel()
    queue = one.queue(talk.name("q"))
    one.rpc("basic.consume", queue=queue, consumer_tag="c1", exclusive=True)
    one.rpc("basic.cancel", consumer_tag="c1")
    two.rpc("basic.consume", queue=queue, consumer_tag="c2", exclusive=True)


@topic
def exclusive_use_does_not_stop_get(talk):
    one, two = talk.channel(), talk.channel()
    queue = one.queue(talk.name("q"))
    one.rpc("basic.qos", prefetch_count=1)
    one.rpc("basic.consume", queue=queue, consumer_tag="c1", exclusive=True)
    one.fill(queue, "a", "b")
    two.get(queue, no_ack=True)


@topic
def no_local_is_ignored(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", no_local=True, no_ack=True)
    channel.publish("", queue, "my own")
    channel.receive()


@topic
def consume_with_nowait_gets_no_answer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a")
    channel.send("basic.consume", queue=queue, consumer_tag="c", nowait=True)
    channel.receive()


@topic.each(
    {
        "x-priority as string": {"x-priority": "high"},
        "x-priority as double": {"x-priority": 1.5},
        "x-priority negative": {"x-priority": -5},
        "unknown arguments": {"foo": "bar"},
        "x-cancel-on-ha-failover": {"x-cancel-on-ha-failover": True},
        "x-priority as bool": {"x-priority": True},
        "x-stream-offset on a classic queue": {"x-stream-offset": "first"},
    }
)
def consumer_arguments_with(talk, arguments):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", arguments=arguments)


# Cancel


@topic
def cancel_stops_deliveries_and_keeps_what_is_unacked(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.publish("", queue, "a")
    channel.receive()
    channel.rpc("basic.cancel", consumer_tag="c")
    channel.publish("", queue, "b")
    channel.counts(queue)
    channel.send("basic.ack", delivery_tag=1)
    channel.fence()
    channel.drain(queue)


@topic.each({"unknown": "unknown", "empty": ""})
def cancel_of_a_tag_that_is(talk, tag):
    talk.channel().rpc("basic.cancel", consumer_tag=tag)


@topic
def cancel_twice(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.rpc("basic.cancel", consumer_tag="c")
    channel.rpc("basic.cancel", consumer_tag="c")


@topic
def cancel_with_nowait_gets_no_answer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.send("basic.cancel", consumer_tag="c", nowait=True)
    channel.counts(queue)


@topic
def cancel_of_another_channels_consumer_does_nothing(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.rpc("basic.consume", queue=queue, consumer_tag="c")
    two.rpc("basic.cancel", consumer_tag="c")
    one.counts(queue)


@topic
def a_consumer_whose_queue_is_deleted_is_told(talk):
    consumer, other = talk.channel(), talk.channel()
    queue = other.queue(talk.name("q"))
    consumer.rpc("basic.consume", queue=queue, consumer_tag="c")
    other.rpc("queue.delete", queue=queue)
    consumer.receive()
    consumer.queue(queue, exclusive=True)
    consumer.rpc("basic.consume", queue=queue, consumer_tag="c")


@topic
def a_consumer_whose_queue_is_deleted_is_told_only_with_the_capability(talk):
    capabilities = {k: v for k, v in CAPABILITIES.items() if k != "consumer_cancel_notify"}
    consumer, other = talk.channel(capabilities=capabilities), talk.channel()
    queue = other.queue(talk.name("q"))
    consumer.rpc("basic.consume", queue=queue, consumer_tag="c")
    other.rpc("queue.delete", queue=queue)
    consumer.fence()
    consumer.queue(queue, exclusive=True)
    consumer.rpc("basic.consume", queue=queue, consumer_tag="d")


@topic
def messages_unacked_when_their_queue_is_deleted_may_be_acked(talk):
    consumer, other = talk.channel(), talk.channel()
    queue = other.queue(talk.name("q"))
    consumer.rpc("basic.consume", queue=queue, consumer_tag="c")
    other.publish("", queue, "m")
    consumer.receive()
    other.rpc("queue.delete", queue=queue)
    consumer.receive()
    consumer.send("basic.ack", delivery_tag=1)
    consumer.fence()


@topic
def the_client_answers_a_cancel(talk):
    consumer, other = talk.channel(), talk.channel()
    queue = other.queue(talk.name("q"))
    consumer.rpc("basic.consume", queue=queue, consumer_tag="c")
    other.rpc("queue.delete", queue=queue)
    consumer.receive()
    consumer.send("basic.cancel-ok", consumer_tag="c")
    consumer.connection.verdict()


@topic
def the_deleter_of_a_queue_is_told_too(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.rpc("basic.consume", queue=queue, consumer_tag="c1")
    channel.ask("queue.delete", queue=queue)
    for _ in range(2):
        channel.fence()


@topic
def an_unexpected_cancel_ok_is_ignored(talk):
    channel = talk.channel()
    channel.send("basic.cancel-ok", consumer_tag="nobody")
    channel.connection.verdict()


# Who is next


def shares(channels, queue):
    """Settles the channels so that the transcript has what each was given."""
    for channel in channels:
        channel.settle(queue)


@topic
def consumers_take_turns(talk):
    connection = talk.connect()
    channels = [connection.channel(i) for i in (1, 2, 3)]
    queue = channels[0].queue(talk.name("q"), exclusive=True)
    for i, channel in enumerate(channels):
        channel.rpc("basic.consume", queue=queue, consumer_tag=f"c{i}", no_ack=True)
    channels[0].fill(queue, *"abcdefg")
    shares(channels, queue)


@topic
def consumers_of_one_channel_take_turns(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    for tag in ("c1", "c2"):
        channel.rpc("basic.consume", queue=queue, consumer_tag=tag, no_ack=True)
    for body in "abcde":
        channel.publish("", queue, body)
        channel.receive()


@topic
def a_consumer_at_its_limit_is_passed_over(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.rpc("basic.qos", prefetch_count=1)
    one.rpc("basic.consume", queue=queue, consumer_tag="c1")
    two.rpc("basic.consume", queue=queue, consumer_tag="c2")
    one.fill(queue, *"abcde")
    shares((one, two), queue)


@topic
def a_higher_priority_is_served_first(talk):
    connection = talk.connect()
    low, high = connection.channel(1), connection.channel(2)
    queue = low.queue(talk.name("q"), exclusive=True)
    low.rpc("basic.consume", queue=queue, consumer_tag="low")
    high.rpc("basic.qos", prefetch_count=2)
    high.rpc("basic.consume", queue=queue, consumer_tag="high", arguments={"x-priority": 10})
    low.fill(queue, *"abcd")
    shares((high, low), queue)
    high.send("basic.ack", delivery_tag=1)
    high.fence()
    low.fill(queue, *"ef")
    shares((high, low), queue)


@topic
def a_negative_priority_comes_last(talk):
    connection = talk.connect()
    low, usual = connection.channel(1), connection.channel(2)
    queue = low.queue(talk.name("q"), exclusive=True)
    low.rpc("basic.consume", queue=queue, consumer_tag="low", arguments={"x-priority": -1})
    usual.rpc("basic.qos", prefetch_count=1)
    usual.rpc("basic.consume", queue=queue, consumer_tag="usual")
    low.fill(queue, *"abc")
    shares((usual, low), queue)


# Limits


@topic.each({"size 1": {"prefetch_size": 1}, "size and global": {"prefetch_size": 1000, "global": True}})
def qos_with_a_prefetch(talk, fields):
    channel = talk.channel()
    channel.send("basic.qos", **fields)
    channel.connection.expect_eof()


@topic.each(
    {
        "0": {"prefetch_count": 0},
        "1": {"prefetch_count": 1},
        "65535": {"prefetch_count": 65535},
        "global 5": {"prefetch_count": 5, "global": True},
    }
)
def qos_is_answered(talk, fields):
    talk.channel().rpc("basic.qos", **fields)


@topic.each([1, 2, 3, 10])
def prefetch_limits_what_is_unacked_to(talk, count):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, *"abcde")
    channel.rpc("basic.qos", prefetch_count=count)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.settle(queue)
    channel.send("basic.ack", delivery_tag=1)
    channel.settle(queue)
    channel.send("basic.ack", delivery_tag=2, multiple=count > 1)
    channel.settle(queue)
    channel.counts(queue)


@topic
def prefetch_is_counted_for_each_consumer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.qos", prefetch_count=2)
    for tag in ("c1", "c2"):
        channel.rpc("basic.consume", queue=queue, consumer_tag=tag)
    channel.fill(queue, *"abcdefg")
    channel.settle(queue)
    channel.counts(queue)


@topic
def prefetch_holds_for_consumers_made_after_it(talk):
    channel = talk.channel()
    queue, other = channel.queue(talk.name("q1"), exclusive=True), channel.queue(
        talk.name("q2"), exclusive=True
    )
    channel.rpc("basic.consume", queue=queue, consumer_tag="before")
    channel.rpc("basic.qos", prefetch_count=1)
    channel.rpc("basic.consume", queue=other, consumer_tag="after")
    channel.fill(queue, *"abc")
    channel.fill(other, *"def")


@topic
def a_global_limit_is_shared_by_the_channels_consumers(talk):
    channel = talk.channel()
    queue, other = channel.queue(talk.name("q1"), exclusive=True), channel.queue(
        talk.name("q2"), exclusive=True
    )
    channel.rpc("basic.qos", prefetch_count=3, **{"global": True})
    channel.rpc("basic.consume", queue=queue, consumer_tag="c1")
    channel.fill(queue, *"ab")
    channel.rpc("basic.consume", queue=other, consumer_tag="c2")
    channel.fill(other, *"cd")
    channel.settle(queue, other)
    channel.counts(queue)
    channel.counts(other)


@topic
def a_global_limit_does_not_bind_other_channels(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.rpc("basic.qos", prefetch_count=1, **{"global": True})
    one.rpc("basic.consume", queue=queue, consumer_tag="c1")
    two.rpc("basic.consume", queue=queue, consumer_tag="c2")
    one.fill(queue, *"abcd")
    shares((one, two), queue)


@topic.each(
    {"first": (3, 2), "last": (2, 3), "last and larger": (2, 10), "first and of the same size": (2, 2)}
)
def a_global_limit_and_one_for_each_consumer_with_the_global(talk, counts):
    """RabbitMQ lifts the channel's limit when a limit for each consumer is set after it."""
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    is_global_first = counts in ((3, 2), (2, 2))
    for count, is_global in zip(counts, (is_global_first, not is_global_first)):
        channel.rpc("basic.qos", prefetch_count=count, **{"global": is_global})
    for tag in ("c1", "c2"):
        channel.rpc("basic.consume", queue=queue, consumer_tag=tag)
    channel.fill(queue, *"abcdefg")
    channel.settle(queue)
    channel.counts(queue)


@topic
def an_ack_makes_room_under_a_global_limit(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.qos", prefetch_count=1, **{"global": True})
    channel.fill(queue, *"abc")
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    for tag in (1, 2, 3):
        channel.receive()
        channel.send("basic.ack", delivery_tag=tag)
    channel.settle(queue)


@topic
def consumers_without_acks_are_not_limited(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.qos", prefetch_count=1)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", no_ack=True)
    channel.fill(queue, *"abcd")


@topic
def get_is_not_limited(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.qos", prefetch_count=1)
    channel.fill(queue, *"abc")
    for _ in range(4):
        channel.get(queue)


@topic
def what_was_got_does_not_fill_a_consumers_prefetch(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, *"abcd")
    channel.get(queue)
    channel.rpc("basic.qos", prefetch_count=1)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.settle(queue)


# Get


@topic
def get_counts_what_is_left(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.get(queue)
    channel.fill(queue, "a", "b", "c")
    for _ in range(4):
        channel.get(queue)
    channel.counts(queue)


@topic
def get_without_acks_consumes(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b")
    channel.get(queue, no_ack=True)
    channel.send("basic.ack", delivery_tag=1)
    channel.receive()


@topic
def delivery_tags_count_on_over_get_and_consume(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b", "c")
    channel.get(queue, no_ack=True)
    channel.get(queue)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", no_ack=True)
    channel.receive()


@topic
def get_while_a_consumer_waits(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.get(queue)


@topic.each({"0": 0, "3": 3})
def a_global_limit_is_changed_to(talk, count):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.qos", prefetch_count=1, **{"global": True})
    channel.fill(queue, *"abcd")
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.receive()
    channel.rpc("basic.qos", prefetch_count=count, **{"global": True})
    for _ in range(3 if count == 0 else 2):
        channel.receive()
    channel.settle(queue)


@topic
def a_limit_for_each_consumer_does_not_change_those_that_are(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, *"abcd")
    channel.rpc("basic.qos", prefetch_count=1)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.settle(queue)
    channel.rpc("basic.qos", prefetch_count=3)
    channel.settle(queue)
    channel.counts(queue)


@topic.each({"a missing queue": None, "a queue in exclusive use": "exclusive"})
def an_error_after_nowait_still_closes_the_channel(talk, kind):
    channel = talk.channel()
    queue = talk.name("q")
    if kind:
        channel.queue(queue)
        channel.rpc("basic.consume", queue=queue, consumer_tag="c1", exclusive=True)
    channel.send("basic.consume", queue=queue, consumer_tag="c2", nowait=True)
    channel.receive()


@topic
def consumers_of_equal_priority_take_turns(talk):
    connection = talk.connect()
    channels = [connection.channel(i) for i in (1, 2, 3)]
    queue = channels[0].queue(talk.name("q"), exclusive=True)
    for channel, priority in zip(channels, (5, 0, 5)):
        channel.rpc(
            "basic.consume",
            queue=queue,
            consumer_tag=f"c{channel.number}",
            no_ack=True,
            arguments={"x-priority": priority},
        )
    channels[0].fill(queue, *"abcde")
    shares(channels, queue)


@topic
def a_consumers_unacked_messages_survive_its_cancel_and_are_requeued_with_the_channel(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.fill(queue, "a", "b")
    one.rpc("basic.consume", queue=queue, consumer_tag="c")
    one.settle(queue)
    one.rpc("basic.cancel", consumer_tag="c")
    two.counts(queue)
    one.close()
    two.drain(queue)
