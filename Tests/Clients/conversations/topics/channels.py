"""The life of channels, and methods that concern the channel alone."""

from corpus import Topic

topic = Topic("channels")


@topic
def a_channel_opens_and_closes_and_opens_again(talk):
    channel = talk.connect().bare_channel(1)
    channel.open()
    channel.close()
    channel.open()


@topic
def channel_open_ignores_out_of_band(talk):
    channel = talk.connect().bare_channel(1)
    channel.rpc("channel.open", reserved_1="anything")


@topic
def a_channel_opened_twice_is_a_connection_error(talk):
    channel = talk.channel()
    channel.send("channel.open")
    channel.connection.expect_eof()


@topic.each({"2047": 2047, "2046": 2046, "1000": 1000})
def the_highest_channel_numbers_are_usable(talk, number):
    talk.connect().bare_channel(number).open()


@topic.each({"2048 of 2047": (2048, 2047), "65535 of 2047": (65535, 2047), "11 of 10": (11, 10)})
def a_channel_number_above_channel_max(talk, case):
    connection = talk.connect(channel_max=case[1])
    connection.send("channel.open", case[0])
    connection.receive(case[0])


@topic
def one_channel_more_than_channel_max(talk):
    connection = talk.connect(channel_max=3)
    for number in (1, 2, 3):
        connection.bare_channel(number).open()
    connection.send("channel.open", 4)
    connection.expect_eof()


@topic
def a_closed_channel_makes_room_for_another(talk):
    connection = talk.connect(channel_max=2)
    for number in (1, 2):
        connection.bare_channel(number).open()
    connection.channels[1].close()
    connection.bare_channel(1).open()


@topic.each({"200": (200, "done", 0, 0), "an error": (504, "oh", 60, 40), "nothing": (0, "", 0, 0)})
def channel_close_is_answered(talk, reason):
    channel = talk.channel()
    channel.is_open = False
    channel.rpc(
        "channel.close", reply_code=reason[0], reply_text=reason[1], class_id=reason[2], method_id=reason[3]
    )


@topic
def an_unexpected_channel_close_ok(talk):
    channel = talk.channel()
    channel.send("channel.close-ok")
    channel.connection.verdict()


@topic.each({"on": True, "off": False})
def channel_flow(talk, active):
    channel = talk.channel()
    channel.send("channel.flow", active=active)
    channel.receive()


@topic
def an_unexpected_channel_flow_ok(talk):
    channel = talk.channel()
    channel.send("channel.flow-ok", active=True)
    channel.connection.verdict()


@topic.each(
    {
        "plain": {},
        "all bits": {
            "realm": "/data",
            "exclusive": True,
            "passive": True,
            "active": True,
            "write": True,
            "read": True,
        },
    }
)
def access_request(talk, fields):
    channel = talk.channel()
    channel.rpc("access.request", **fields)


@topic
def a_channel_error_leaves_the_other_channels_alone(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    one.rpc("queue.declare", queue=talk.name("q"), passive=True)
    two.rpc("queue.declare", queue="", exclusive=True)
    one.open()
    one.rpc("queue.declare", queue="", exclusive=True)


@topic
def a_reopened_channel_starts_anew(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "one", "two")
    channel.rpc("confirm.select")
    channel.rpc("basic.qos", prefetch_count=1)
    channel.close()
    channel.open()
    channel.rpc("tx.select")
    channel.get(queue)
    channel.get(queue)


@topic
def the_last_declared_queue_is_forgotten_with_the_channel(talk):
    channel = talk.channel()
    channel.queue(talk.name("q"), exclusive=True)
    channel.close()
    channel.open()
    channel.rpc("queue.declare", queue="", passive=True)


@topic
def tickets_are_ignored(talk):
    channel = talk.channel()
    queue = talk.name("q")
    channel.rpc("queue.declare", ticket=101, queue=queue, exclusive=True)
    channel.publish("", queue, "x", ticket=7)
    channel.rpc("basic.get", ticket=65535, queue=queue)
