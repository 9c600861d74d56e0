"""Sender-selected distribution: the headers CC and BCC."""

from corpus import Topic

topic = Topic("cc_and_bcc")


@topic.each(
    {
        "a string CC": {"CC": "k"},
        "a number CC": {"CC": 5},
        "a string BCC": {"BCC": "k"},
        "CC of numbers": {"CC": [1, 2]},
        "CC void": {"CC": None},
    }
)
def the_sender_selected_header_is_wrong(talk, headers):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"headers": headers})
    channel.fence()
    talk.note("the channel is " + ("open" if channel.is_open else "closed"))


@topic
def CC_routes_to_more_queues_and_stays_in_the_headers(talk):
    channel = talk.channel()
    one, two, three = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2", "q3"))
    channel.publish("", one, "m", {"headers": {"CC": [two, three], "other": 1}})
    for queue in (one, two, three):
        channel.get(queue, no_ack=True)


@topic
def BCC_routes_and_is_removed(talk):
    channel = talk.channel()
    one, two, three = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2", "q3"))
    channel.publish("", one, "m", {"headers": {"BCC": [two], "CC": [three], "other": 1}})
    for queue in (one, two, three):
        channel.get(queue, no_ack=True)


@topic
def BCC_alone_leaves_empty_headers(talk):
    channel = talk.channel()
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    channel.publish("", one, "m", {"headers": {"BCC": [two]}})
    channel.get(two, no_ack=True)


@topic
def CC_with_the_same_queue_delivers_once(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"headers": {"CC": [queue, queue]}})
    channel.drain(queue)


@topic
def CC_makes_a_mandatory_message_routable(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", talk.name("nobody"), "m", {"headers": {"CC": [queue]}}, mandatory=True)
    channel.drain(queue)


@topic
def CC_works_for_topic_and_direct_exchanges(talk):
    channel = talk.channel()
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    exchange = channel.exchange(talk.name("x"), "topic")
    channel.bind(one, exchange, "a.*")
    channel.bind(two, exchange, "b.#")
    channel.publish(exchange, "nothing", "m", {"headers": {"CC": ["a.x", "b.y.z"]}})
    channel.get(one, no_ack=True)
    channel.get(two, no_ack=True)


@topic
def a_returned_message_keeps_CC_and_loses_BCC(talk):
    channel = talk.channel()
    headers = {"CC": [talk.name("no1")], "BCC": [talk.name("no2")]}
    channel.publish("", talk.name("nobody"), "m", {"headers": headers}, mandatory=True)
    channel.receive()
