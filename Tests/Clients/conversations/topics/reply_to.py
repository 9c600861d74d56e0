"""Direct reply-to: the pseudo-queue amq.rabbitmq.reply-to."""

from corpus import Topic

topic = Topic("reply_to")

QUEUE = "amq.rabbitmq.reply-to"


def requester(talk, **fields):
    channel = talk.channel()
    channel.rpc("basic.consume", queue=QUEUE, consumer_tag="replies", no_ack=True, **fields)
    return channel


def address_of(talk, channel):
    """(the requester's reply address, a channel of a server that was told it)"""
    server = talk.channel()
    queue = server.queue(talk.name("requests"), exclusive=True)
    channel.publish("", queue, "ping", {"reply_to": QUEUE, "correlation_id": "1"})
    channel.fence()
    return server.get(queue, no_ack=True).properties["reply_to"], server


@topic
def a_request_is_answered(talk):
    channel = requester(talk)
    address, server = address_of(talk, channel)
    server.publish("", address, "pong", {"correlation_id": "1", "headers": {"a": 1}})
    channel.receive()


@topic
def two_requests_have_the_same_address(talk):
    channel = requester(talk)
    address, server = address_of(talk, channel)
    channel.publish("", talk.prefix + "requests", "ping", {"reply_to": QUEUE})
    channel.fence()
    again = server.get(talk.prefix + "requests", no_ack=True).properties["reply_to"]
    talk.note(f"the same: {address == again}")


@topic
def a_mandatory_reply(talk):
    channel = requester(talk)
    address, server = address_of(talk, channel)
    server.publish("", address, "pong", mandatory=True)
    server.fence()
    channel.receive()


@topic.each({"acks": {"no_ack": False}, "acks and exclusive": {"no_ack": False, "exclusive": True}})
def a_reply_consumer_cannot_have(talk, fields):
    talk.channel().rpc("basic.consume", queue=QUEUE, consumer_tag="c", **fields)


@topic.each(
    {
        "exclusive": {"exclusive": True},
        "no_local": {"no_local": True},
        "arguments": {"arguments": {"x-priority": 1}},
    }
)
def a_reply_consumer_may_have(talk, fields):
    requester(talk, **fields)


@topic
def a_second_reply_consumer_on_the_channel(talk):
    channel = requester(talk)
    channel.rpc("basic.consume", queue=QUEUE, consumer_tag="c2", no_ack=True)


@topic
def a_reply_consumer_tag_in_use(talk):
    channel = requester(talk)
    channel.send("basic.consume", queue=QUEUE, consumer_tag="replies", no_ack=True)
    channel.receive()


@topic
def reply_consumers_on_two_channels(talk):
    channel = requester(talk)
    channel.connection.channel(2).rpc("basic.consume", queue=QUEUE, consumer_tag="c", no_ack=True)


@topic
def a_request_without_a_reply_consumer(talk):
    channel = talk.channel()
    channel.publish("", talk.name("nobody"), "ping", {"reply_to": QUEUE})
    channel.receive()


@topic
def a_reply_consumer_is_cancelled_and_made_again(talk):
    channel = requester(talk)
    channel.rpc("basic.cancel", consumer_tag="replies")
    channel.rpc("basic.consume", queue=QUEUE, consumer_tag="again", no_ack=True)
    channel.rpc("basic.cancel", consumer_tag="again")
    channel.publish("", talk.name("nobody"), "ping", {"reply_to": QUEUE})
    channel.receive()


@topic
def a_reply_consumer_without_a_tag(talk):
    talk.channel().rpc("basic.consume", queue=QUEUE, no_ack=True)


@topic.each({"passive": {"passive": True}, "plain": {}, "exclusive": {"exclusive": True}})
def the_pseudo_queue_itself_is_declared(talk, fields):
    talk.channel().rpc("queue.declare", queue=QUEUE, **fields)


@topic.each({"passive": {"passive": True}, "plain": {}})
def a_reply_address_is_declared(talk, fields):
    address, other = address_of(talk, requester(talk))
    other.rpc("queue.declare", queue=address, **fields)


@topic
def a_reply_address_that_never_was_is_declared(talk):
    talk.channel().rpc("queue.declare", queue=QUEUE + ".g1.nonsense", passive=True)


@topic
def a_reply_to_a_requester_that_is_gone_is_returned(talk):
    channel = requester(talk)
    address, other = address_of(talk, channel)
    channel.close()
    other.publish("", address, "late", mandatory=True)
    other.receive()


@topic
def a_reply_to_a_nonsense_address_is_returned(talk):
    channel = talk.channel()
    channel.publish("", QUEUE + ".nonsense", "lost", mandatory=True)
    channel.receive()


@topic
def a_reply_is_confirmed(talk):
    channel = requester(talk)
    address, other = address_of(talk, channel)
    other.rpc("confirm.select")
    other.publish("", address, "pong")
    other.receive()
    channel.receive()


@topic
def another_reply_to_is_left_alone(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"reply_to": QUEUE + ".mine"})
    channel.publish("", queue, "m", {"reply_to": "amq.rabbitmq"})
    channel.get(queue)
    channel.get(queue)


@topic.each(
    {
        "queue.bind": ("queue.bind", {"exchange": "amq.direct", "routing_key": "k"}),
        "queue.purge": ("queue.purge", {}),
        "queue.delete": ("queue.delete", {}),
        "basic.get": ("basic.get", {}),
    }
)
def the_pseudo_queue_and(talk, case):
    talk.channel().rpc(case[0], queue=QUEUE, **case[1])


@topic
def a_reply_through_another_exchange_does_not_arrive(talk):
    address, other = address_of(talk, requester(talk))
    other.publish("amq.direct", address, "pong", mandatory=True)
    other.receive()
