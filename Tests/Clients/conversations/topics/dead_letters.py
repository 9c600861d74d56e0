"""Dead letters, time to live, and queues with a maximal length."""

import time

from corpus import Topic

topic = Topic("dead_letters")


def queue_with_dead_letters(talk, channel, **arguments):
    """(queue, its dead-letter queue); argument names are given with underscores."""
    dead = channel.queue(talk.name("dead"), exclusive=True)
    arguments = {"x-" + name.replace("_", "-"): value for name, value in arguments.items()}
    queue = channel.queue(
        talk.name("q"),
        exclusive=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead, **arguments},
    )
    return queue, dead


def take(channel, queue, count=1):
    """Waits for the messages and gets them."""
    channel.wait_for(queue, count)
    for _ in range(count):
        channel.get(queue, no_ack=True)


@topic.each(
    {
        "reject": ("basic.reject", {}),
        "nack": ("basic.nack", {}),
        "nack multiple": ("basic.nack", {"multiple": True}),
    }
)
def a_rejected_message_is_dead_lettered_by(talk, case):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "m")
    channel.get(queue)
    channel.send(case[0], delivery_tag=1, **case[1])
    take(channel, dead)


@topic
def a_requeued_message_is_not_dead_lettered(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "m")
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1, requeue=True)
    channel.counts(dead)
    channel.drain(queue)


@topic
def a_message_expires_by_the_queues_ttl(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, message_ttl=50)
    channel.fill(queue, "m", properties={"message_id": "1", "headers": {"mine": True}})
    take(channel, dead)


@topic
def a_message_expires_by_its_own_ttl(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "m", properties={"expiration": "50"})
    take(channel, dead)


@topic.each({"the queue's is smaller": (50, "60000"), "the message's is smaller": (60000, "50")})
def the_smaller_ttl_wins(talk, case):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, message_ttl=case[0])
    channel.fill(queue, "m", properties={"expiration": case[1]})
    take(channel, dead)


@topic.each({"of the queue": (0, None), "of the message": (None, "0")})
def a_ttl_of_0(talk, case):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, **({} if case[0] is None else {"message_ttl": 0}))
    properties = {} if case[1] is None else {"expiration": case[1]}
    channel.fill(queue, "dead at once", properties=properties)
    take(channel, dead)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", no_ack=True)
    channel.publish("", queue, "delivered", properties)
    channel.receive()


@topic
def only_the_head_of_a_queue_expires(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "long", properties={"expiration": "60000"})
    channel.fill(queue, "short", properties={"expiration": "1"})
    channel.counts(queue)
    channel.get(queue)
    take(channel, dead)
    channel.counts(queue)


@topic
def an_expired_message_without_dead_letter_exchange_is_gone(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-message-ttl": 20})
    channel.fill(queue, "m")
    channel.wait_for(queue, 0)
    channel.get(queue)


@topic
def an_unacked_message_does_not_expire_until_requeued(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "m", properties={"expiration": "300"})
    channel.get(queue)
    channel.counts(queue)
    channel.counts(dead)
    channel.send("basic.reject", delivery_tag=1, requeue=True)
    take(channel, dead)


@topic
def a_queue_expires_when_unused(talk):
    channel = talk.channel()
    queue = talk.name("q")
    channel.rpc("queue.declare", queue=queue, arguments={"x-expires": 100})
    time.sleep(0.6)  # A passive declare counts as use, so the queue is left alone.
    channel.rpc("queue.declare", queue=queue, passive=True)


# Length


@topic.each({"drop-head": {}, "drop-head said": {"overflow": "drop-head"}})
def a_full_queue_drops_its_head(talk, arguments):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, max_length=2, **arguments)
    channel.fill(queue, *"abcd")
    channel.counts(queue)
    take(channel, dead, 2)
    channel.drain(queue)


@topic
def a_queue_full_of_bytes_drops_its_head(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, max_length_bytes=10)
    channel.fill(queue, "aaaa", "bbbb", "cccc")
    take(channel, dead)
    channel.fill(queue, "x" * 11)
    channel.wait_for(dead, 3)
    channel.drain(queue)
    channel.drain(dead)


@topic
def a_queue_of_no_length_keeps_nothing(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, max_length=0)
    channel.fill(queue, "a")
    channel.counts(queue)
    take(channel, dead)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", no_ack=True)
    channel.publish("", queue, "b")
    channel.receive()


@topic
def only_ready_messages_count_for_the_length(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, max_length=1)
    channel.fill(queue, "a")
    channel.get(queue)
    channel.fill(queue, "b")
    channel.counts(dead)
    channel.send("basic.reject", delivery_tag=1, requeue=True)
    channel.wait_for(dead, 1)
    channel.drain(queue)
    channel.drain(dead)


@topic.each({"reject-publish": 0, "reject-publish-dlx": 1})
def a_full_queue_nacks_with(talk, dead_letters):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(
        talk, channel, max_length=1, overflow="reject-publish-dlx" if dead_letters else "reject-publish"
    )
    channel.rpc("confirm.select")
    channel.publish("", queue, "a")
    channel.publish("", queue, "b", mandatory=True)
    channel.confirmed(2)
    if dead_letters:
        take(channel, dead)
    channel.counts(dead)
    channel.drain(queue)


@topic
def a_full_queue_without_confirms_drops_what_is_published(talk):
    channel = talk.channel()
    queue = channel.queue(
        talk.name("q"), exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    channel.fill(queue, "a", "b")
    channel.drain(queue)


@topic
def a_commit_to_a_full_queue(talk):
    channel = talk.channel()
    queue = channel.queue(
        talk.name("q"), exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    channel.fill(queue, "a")
    channel.rpc("tx.select")
    channel.publish("", queue, "b")
    channel.rpc("tx.commit")


@topic
def one_of_two_queues_refuses(talk):
    channel = talk.channel()
    exchange = channel.exchange(talk.name("x"), "fanout")
    full = channel.queue(
        talk.name("q1"), exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"}
    )
    free = channel.queue(talk.name("q2"), exclusive=True)
    channel.bind(full, exchange)
    channel.bind(free, exchange)
    channel.rpc("confirm.select")
    channel.publish(exchange, "", "m")
    channel.confirmed(1)
    channel.drain(free)


# What a dead letter looks like


@topic
def without_a_dead_letter_routing_key_the_key_is_kept(talk):
    channel = talk.channel()
    exchange, first = channel.exchange(talk.name("dlx"), "topic"), channel.exchange(talk.name("x"), "topic")
    dead = channel.queue(talk.name("dead"), exclusive=True)
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-dead-letter-exchange": exchange})
    channel.bind(dead, exchange, "#")
    channel.bind(queue, first, "#")
    channel.publish(first, "some.key", "m", {"headers": {"CC": ["other.key"], "mine": 1}, "priority": 3})
    channel.wait_for(queue, 1)
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1)
    take(channel, dead)


@topic
def a_dead_letter_routing_key_replaces_key_and_CC(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.publish("", queue, "m", {"headers": {"CC": [talk.name("cc")], "BCC": [talk.name("bcc")]}})
    channel.wait_for(queue, 1)
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1)
    take(channel, dead)


@topic
def deaths_are_counted_by_queue_and_reason(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "m")
    properties = {}
    for tag in (1, 3, 5):
        channel.wait_for(queue, 1)
        channel.connection.silent = True
        channel.get(queue)
        channel.send("basic.reject", delivery_tag=tag)
        channel.wait_for(dead, 1)
        properties = channel.get(dead, no_ack=True).properties
        channel.publish("", queue, "m", {"headers": properties["headers"]})
        channel.connection.silent = False
    channel.wait_for(queue, 1)
    channel.get(queue, no_ack=True)


@topic
def the_latest_death_comes_first(talk):
    channel = talk.channel()
    dead = channel.queue(talk.name("dead"), exclusive=True)
    second = channel.queue(
        talk.name("q2"),
        exclusive=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead},
    )
    first = channel.queue(
        talk.name("q1"),
        exclusive=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second, "x-message-ttl": 30},
    )
    channel.fill(first, "m", properties={"expiration": "60000"})
    channel.wait_for(second, 1)
    channel.get(second)
    channel.send("basic.reject", delivery_tag=1)
    take(channel, dead)


@topic
def x_last_death_tells_the_latest(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "m")
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1)
    channel.wait_for(dead, 1)
    headers = dict(channel.get(dead, no_ack=True).properties["headers"])
    talk.note(f"{sorted((k, v) for k, v in headers.items() if k.startswith('x-last-death-'))}")


@topic
def a_dead_letter_to_a_missing_exchange_is_gone(talk):
    channel = talk.channel()
    queue = channel.queue(
        talk.name("q"), exclusive=True, arguments={"x-dead-letter-exchange": talk.name("x")}
    )
    channel.fill(queue, "m")
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1)
    channel.counts(queue)


@topic
def an_automatic_cycle_ends(talk):
    channel = talk.channel()
    queue = talk.name("q")
    channel.queue(
        queue,
        exclusive=True,
        arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue, "x-message-ttl": 20},
    )
    channel.fill(queue, "m")
    channel.wait_for(queue, 0)
    channel.counts(queue)


@topic
def a_cycle_with_a_rejection_goes_on(talk):
    channel = talk.channel()
    queue = talk.name("q")
    channel.queue(
        queue, exclusive=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
    )
    channel.fill(queue, "m")
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1)
    channel.wait_for(queue, 1)
    channel.get(queue)


@topic
def dead_letters_reach_consumers(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel, message_ttl=20)
    channel.rpc("basic.consume", queue=dead, consumer_tag="c", no_ack=True)
    channel.publish("", queue, "m", {"delivery_mode": 2, "content_type": "text/plain"})
    channel.receive()


@topic
def purged_and_deleted_messages_are_not_dead_lettered(talk):
    channel = talk.channel()
    queue, dead = queue_with_dead_letters(talk, channel)
    channel.fill(queue, "a")
    channel.rpc("queue.purge", queue=queue)
    channel.fill(queue, "b")
    channel.rpc("queue.delete", queue=queue)
    channel.counts(dead)


# Priorities


@topic
def higher_priorities_leave_first(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-max-priority": 5})
    for body, priority in (("a", 1), ("b", 5), ("c", None), ("d", 3), ("e", 5), ("f", 200), ("g", 0)):
        channel.publish("", queue, body, {} if priority is None else {"priority": priority})
    channel.drain(queue)


@topic
def a_requeued_message_keeps_its_place_among_its_priority(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-max-priority": 5})
    for body, priority in (("a", 1), ("b", 5), ("c", 5)):
        channel.publish("", queue, body, {"priority": priority})
    channel.get(queue)
    channel.send("basic.reject", delivery_tag=1, requeue=True)
    channel.drain(queue)


@topic
def without_x_max_priority_the_priority_is_ignored(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    for body, priority in (("a", 1), ("b", 9)):
        channel.publish("", queue, body, {"priority": priority})
    channel.drain(queue)
