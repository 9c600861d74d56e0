"""Queues: declare, bind, purge, delete, exclusivity, arguments."""

from amqp import T
from corpus import Topic

topic = Topic("queues")


@topic.each(
    {
        "plain": {},
        "durable": {"durable": True},
        "exclusive": {"exclusive": True},
        "auto-delete": {"auto_delete": True},
        "durable exclusive auto-delete": {"durable": True, "exclusive": True, "auto_delete": True},
    }
)
def a_queue_is_declared_twice_and_deleted(talk, fields):
    channel = talk.channel()
    name = talk.name("q")
    channel.rpc("queue.declare", queue=name, **fields)
    channel.rpc("queue.declare", queue=name, **fields)
    channel.rpc("queue.declare", queue=name, passive=True)
    channel.rpc("queue.delete", queue=name)
    channel.rpc("queue.declare", queue=name, passive=True)


@topic
def declare_ok_counts_ready_messages_and_consumers(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b", "c")
    channel.rpc("queue.declare", queue=queue, exclusive=True)
    channel.get(queue)
    channel.rpc("queue.declare", queue=queue, exclusive=True)
    channel.rpc("queue.declare", queue=queue, passive=True)
    channel.rpc("basic.qos", prefetch_count=1)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.settle(queue)
    channel.rpc("queue.declare", queue=queue, passive=True)


@topic
def a_queue_without_a_name_is_named_by_the_broker(talk):
    channel = talk.channel()
    channel.rpc("queue.declare", queue="", exclusive=True)
    channel.rpc("queue.declare", queue="", exclusive=True, auto_delete=True)


@topic
def a_passive_declare_without_a_name_looks_for_the_empty_name(talk):
    channel = talk.channel()
    channel.rpc("queue.declare", queue="", exclusive=True)
    channel.rpc("queue.declare", queue="", passive=True)


@topic
def the_empty_name_is_the_queue_declared_last(talk):
    channel = talk.channel()
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    channel.rpc("queue.bind", queue="", exchange="amq.direct", routing_key=talk.name("key"))
    channel.publish("amq.direct", talk.prefix + "key", "by key")
    channel.rpc("basic.get", queue="", no_ack=True)
    channel.rpc("queue.unbind", queue="", exchange="amq.direct", routing_key=talk.prefix + "key")
    channel.rpc("queue.purge", queue="")
    channel.rpc("basic.consume", queue="", consumer_tag="c")
    channel.counts(one)
    channel.counts(two)
    channel.rpc("queue.delete", queue="")
    channel.rpc("queue.declare", queue=one, passive=True)


@topic
def a_passive_declare_counts_as_declared_last(talk):
    channel = talk.channel()
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    channel.rpc("queue.declare", queue=one, passive=True)
    channel.rpc("basic.consume", queue="", consumer_tag="c")
    channel.counts(one)
    channel.counts(two)


@topic
def bind_with_neither_queue_nor_key_uses_the_queues_name_as_key(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("queue.bind", queue="", exchange="amq.direct", routing_key="")
    channel.publish("amq.direct", queue, "by name")
    channel.publish("amq.direct", "", "by the empty key")
    channel.drain(queue)


@topic
def bind_with_a_queue_and_no_key_uses_the_empty_key(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    exchange = channel.exchange(talk.name("x"), auto_delete=True)
    channel.rpc("queue.bind", queue=queue, exchange=exchange, routing_key="")
    channel.publish(exchange, queue, "by name")
    channel.publish(exchange, "", "by the empty key")
    channel.drain(queue)


@topic.each(
    {
        "queue.bind": ("queue.bind", {"exchange": "amq.direct"}),
        "queue.unbind": ("queue.unbind", {"exchange": "amq.direct"}),
        "queue.bind with a key": ("queue.bind", {"exchange": "amq.direct", "routing_key": "k"}),
        "queue.purge": ("queue.purge", {}),
        "queue.delete": ("queue.delete", {}),
        "basic.get": ("basic.get", {}),
        "basic.consume": ("basic.consume", {}),
    }
)
def no_queue_was_declared_before(talk, case):
    talk.channel().rpc(case[0], queue="", **case[1])


@topic.each(
    {
        "queue.bind": ("queue.bind", {"exchange": "amq.direct"}),
        "queue.unbind": ("queue.unbind", {"exchange": "amq.direct"}),
        "queue.purge": ("queue.purge", {}),
        "queue.delete": ("queue.delete", {}),
        "queue.delete if unused": ("queue.delete", {"if_unused": True}),
        "basic.get": ("basic.get", {}),
        "basic.consume": ("basic.consume", {}),
        "queue.declare passive": ("queue.declare", {"passive": True}),
    }
)
def a_missing_queue_and(talk, case):
    talk.channel().rpc(case[0], queue=talk.name("q"), **case[1])


@topic.each({"queue.bind": "queue.bind", "queue.unbind": "queue.unbind"})
def a_missing_exchange_and(talk, method):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc(method, queue=queue, exchange=talk.name("x"), routing_key="k")


@topic.each({"queue.bind": "queue.bind", "queue.unbind": "queue.unbind"})
def a_missing_queue_and_a_missing_exchange_and(talk, method):
    talk.channel().rpc(method, queue=talk.name("q"), exchange=talk.name("x"), routing_key="k")


@topic
def unbinding_what_is_not_bound_is_fine(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("queue.unbind", queue=queue, exchange="amq.direct", routing_key="no such key")
    channel.rpc(
        "queue.unbind", queue=queue, exchange="amq.direct", routing_key="no such key", arguments={"a": 1}
    )


@topic
def a_binding_goes_only_with_its_own_arguments(talk):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(
        talk.name("x"), auto_delete=True
    )
    channel.rpc("queue.bind", queue=queue, exchange=exchange, routing_key="k", arguments={"a": 1})
    channel.rpc("queue.unbind", queue=queue, exchange=exchange, routing_key="k", arguments={"a": T("l", 1)})
    channel.publish(exchange, "k", "another integer type")
    channel.drain(queue)
    channel.rpc("queue.unbind", queue=queue, exchange=exchange, routing_key="k")
    channel.rpc("exchange.declare", exchange=exchange, passive=True)


@topic.each(
    {
        "queue.declare": ("queue.declare", {"exclusive": True}),
        "queue.declare not passive": ("queue.declare", {}),
        "queue.declare passive": ("queue.declare", {"passive": True}),
    }
)
def a_reserved_queue_name(talk, case):
    channel = talk.channel()
    channel.rpc(case[0], queue="amq.mine", **case[1])


@topic
def a_server_named_queue_is_declared_by_its_name(talk):
    channel = talk.channel()
    queue = channel.queue("", exclusive=True)
    channel.rpc("queue.declare", queue=queue, passive=True)
    channel.rpc("queue.declare", queue=queue, exclusive=True)


@topic.each(
    {
        "declare": ("queue.declare", {"exclusive": True}),
        "bind": ("queue.bind", {"exchange": "amq.direct\n"}),
        "unbind": ("queue.unbind", {"exchange": "amq.direct\n"}),
        "purge": ("queue.purge", {}),
        "delete": ("queue.delete", {}),
        "consume": ("basic.consume", {"consumer_tag": "c"}),
        "get": ("basic.get", {}),
    }
)
def line_ends_around_a_queue_name_in(talk, case):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc(case[0], queue="\r\n" + queue + "\n", **case[1])


@topic
def a_queue_name_of_line_ends_only(talk):
    channel = talk.channel()
    channel.rpc("queue.declare", queue="\r\n", exclusive=True)


# Redeclare


@topic.each(
    {
        "durable": {"durable": True},
        "exclusive": {"exclusive": True},
        "auto_delete": {"auto_delete": True},
        "all three": {"durable": True, "exclusive": True, "auto_delete": True},
        "an unknown argument": {"arguments": {"foo": 1}},
        "x-message-ttl": {"arguments": {"x-message-ttl": 1000}},
        "x-queue-type classic": {"arguments": {"x-queue-type": "classic"}},
        "x-queue-type quorum": {"arguments": {"x-queue-type": "quorum"}, "durable": True},
        "durable and x-message-ttl": {"durable": True, "arguments": {"x-message-ttl": 1000}},
    }
)
def a_plain_queue_is_declared_again_with(talk, fields):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.rpc("queue.declare", queue=queue, **fields)


@topic.each(
    {
        "without durable": {"exclusive": True, "auto_delete": True},
        "without exclusive": {"durable": True, "auto_delete": True},
        "without auto_delete": {"durable": True, "exclusive": True},
        "plain": {},
    }
)
def a_durable_exclusive_auto_delete_queue_is_declared_again(talk, fields):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), durable=True, exclusive=True, auto_delete=True)
    channel.rpc("queue.declare", queue=queue, **fields)


@topic.each(
    {
        "without durable": {},
        "with auto_delete": {"durable": True, "auto_delete": True},
        "with exclusive": {"durable": True, "exclusive": True},
    }
)
def a_durable_queue_is_declared_again(talk, fields):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), durable=True)
    channel.rpc("queue.declare", queue=queue, **fields)


# Exclusive

OPERATIONS = {
    "queue.declare": ("queue.declare", {}),
    "queue.declare exclusive": ("queue.declare", {"exclusive": True}),
    "queue.declare passive": ("queue.declare", {"passive": True}),
    "queue.bind": ("queue.bind", {"exchange": "amq.direct"}),
    "queue.unbind": ("queue.unbind", {"exchange": "amq.direct"}),
    "queue.purge": ("queue.purge", {}),
    "queue.delete": ("queue.delete", {}),
    "basic.consume": ("basic.consume", {}),
    "basic.get": ("basic.get", {}),
}


@topic.each(OPERATIONS)
def an_exclusive_queue_refuses_another_connection(talk, case):
    queue = talk.channel().queue(talk.name("q"), exclusive=True)
    other = talk.channel()
    other.rpc(case[0], queue=queue, **case[1])


@topic
def an_exclusive_queue_serves_other_channels_of_its_connection(talk):
    connection = talk.connect()
    queue = connection.channel(1).queue(talk.name("q"), exclusive=True)
    other = connection.channel(2)
    for case in OPERATIONS.values():
        if case != OPERATIONS["queue.delete"] and case != OPERATIONS["queue.declare"]:
            other.rpc(case[0], queue=queue, **case[1])
    other.rpc("queue.delete", queue=queue)


@topic
def anybody_may_publish_to_an_exclusive_queue(talk):
    one, other = talk.channel(), talk.channel()
    queue = one.queue(talk.name("q"), exclusive=True)
    other.publish("", queue, "hello", mandatory=True)
    other.fence()
    one.drain(queue)


@topic
def an_exclusive_queue_goes_with_its_connection(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, durable=True)
    channel.connection.close()
    talk.channel().rpc("queue.declare", queue=queue, passive=True)


@topic
def an_exclusive_queue_outlives_its_channel(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.close()
    two.rpc("queue.declare", queue=queue, passive=True)


@topic
def a_plain_queue_declared_exclusive_by_another_connection(talk):
    queue = talk.channel().queue(talk.name("q"))
    talk.channel().rpc("queue.declare", queue=queue, exclusive=True)


# Purge and delete


@topic
def purge_removes_only_what_is_ready(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("queue.purge", queue=queue)
    channel.fill(queue, "a", "b", "c")
    channel.get(queue)
    channel.rpc("queue.purge", queue=queue)
    channel.send("basic.reject", delivery_tag=1, requeue=True)
    channel.fence()
    channel.drain(queue)


@topic
def delete_counts_only_what_is_ready(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.fill(queue, "a", "b", "c")
    channel.get(queue)
    channel.rpc("queue.delete", queue=queue)


@topic
def purge_with_nowait_gets_no_answer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b")
    channel.send("queue.purge", queue=queue, nowait=True)
    channel.counts(queue)


@topic.each({"declare": ("queue.declare", {}), "delete": ("queue.delete", {})})
def nowait_gets_no_answer(talk, case):
    channel = talk.channel()
    name = talk.name("q")
    channel.send(case[0], queue=name, nowait=True, **case[1])
    channel.rpc("queue.declare", queue=name, passive=True)


@topic
def a_server_named_declare_with_nowait(talk):
    channel = talk.channel()
    channel.send("queue.declare", queue="", exclusive=True, nowait=True)
    channel.rpc("queue.purge", queue="")


@topic
def bind_with_nowait_gets_no_answer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.send("queue.bind", queue=queue, exchange="amq.direct", routing_key=queue, nowait=True)
    channel.publish("amq.direct", queue, "m")
    channel.drain(queue)


@topic
def a_queue_with_a_consumer_is_in_use(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.rpc("queue.delete", queue=queue, if_unused=True)
    channel.reopen()
    channel.rpc("queue.delete", queue=queue, if_unused=True)


@topic
def a_queue_with_messages_is_not_empty(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.fill(queue, "a")
    channel.rpc("queue.delete", queue=queue, if_empty=True)
    channel.reopen()
    channel.rpc("queue.purge", queue=queue)
    channel.rpc("queue.delete", queue=queue, if_empty=True)


@topic
def a_queue_whose_messages_are_all_unacked_is_empty(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.fill(queue, "a")
    channel.get(queue)
    channel.rpc("queue.delete", queue=queue, if_empty=True)


@topic
def a_queue_in_use_and_not_empty(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.rpc("basic.qos", prefetch_count=1)
    channel.fill(queue, "a", "b")
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.settle(queue)
    channel.rpc("queue.delete", queue=queue, if_empty=True, if_unused=True)


@topic
def a_queue_bound_to_an_exchange_is_unused(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.bind(queue, "amq.fanout")
    channel.rpc("queue.delete", queue=queue, if_unused=True, if_empty=True)


@topic
def acks_for_a_deleted_queue_are_fine(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.fill(queue, "a", "b")
    channel.get(queue)
    channel.get(queue)
    channel.rpc("queue.delete", queue=queue)
    channel.send("basic.ack", delivery_tag=1)
    channel.send("basic.nack", delivery_tag=2, requeue=True)
    channel.fence()


# Auto-delete


@topic
def an_auto_delete_queue_waits_for_its_first_consumer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), auto_delete=True)
    channel.close()
    channel.open()
    channel.rpc("queue.declare", queue=queue, passive=True)
    channel.get(queue)


@topic
def an_auto_delete_queue_goes_with_its_last_consumer(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), auto_delete=True)
    one.rpc("basic.consume", queue=queue, consumer_tag="c1")
    two.rpc("basic.consume", queue=queue, consumer_tag="c2")
    one.rpc("basic.cancel", consumer_tag="c1")
    one.rpc("queue.declare", queue=queue, passive=True)
    two.rpc("basic.cancel", consumer_tag="c2")
    one.rpc("queue.declare", queue=queue, passive=True)


@topic.each({"channel": False, "connection": True})
def an_auto_delete_queue_goes_with_its_consumers(talk, whole):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), auto_delete=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    if whole:
        channel.connection.close()
    else:
        channel.close()
    talk.channel().rpc("queue.declare", queue=queue, passive=True)
