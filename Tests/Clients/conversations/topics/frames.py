"""Frames, contents and argument bytes that are wrong, and what scope the error has."""

import struct

import amqp
from amqp import T
from corpus import Topic

topic = Topic("frames")

METHOD, HEADER, BODY = amqp.METHOD, amqp.HEADER, amqp.BODY
PUBLISH = amqp.encode_method("basic.publish", {"routing_key": "nobody-is-bound"})


@topic.each({"0": 0, "255": 255, "10 (newline)": 10})
def a_frame_ends_with_octet(talk, end):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, amqp.encode_method("channel.flow", {"active": True}), end=end)
    connection.expect_eof()


@topic.each([0, 4, 5, 7, 9, 255])
def a_frame_has_type(talk, kind):
    connection = talk.channel().connection
    connection.send_frame(kind, 1, b"abcd")
    connection.expect_eof()


@topic.each([0, 4, 255])
def a_frame_on_channel_0_has_type(talk, kind):
    connection = talk.connect()
    connection.send_frame(kind, 0, b"abcd")
    connection.expect_eof()


@topic.each(
    {"one byte": 131072 - 8 + 1, "8 bytes": 131072, "9 bytes": 131073, "10000 bytes": 141064, "2 GiB": 2**31}
)
def a_frame_is_larger_than_negotiated_by(talk, size):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, PUBLISH)
    connection.send_frame(HEADER, 1, amqp.encode_header(min(size, 200000), {}))
    connection.send_frame(BODY, 1, bytes(min(size, 200000)), size=size)
    connection.verdict()


@topic
def a_frame_of_the_negotiated_size_is_fine(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, b"a" * (131072 - 8))
    talk.note(f"in frames of {channel.get(queue, no_ack=True).sizes}")


@topic.each({"method": METHOD, "header": HEADER, "body": BODY})
def a_frame_without_payload_of_type(talk, kind):
    connection = talk.channel().connection
    connection.send_frame(kind, 1, b"")
    connection.expect_eof()


@topic.each(
    {
        "on channel 1": (1, b""),
        "on a channel that is not open": (9, b""),
        "with a payload": (0, b"abc"),
        "with a payload on channel 1": (1, b"abc"),
    }
)
def a_heartbeat_frame(talk, case):
    connection = talk.channel().connection
    connection.send_frame(amqp.HEARTBEAT, *case)
    connection.verdict()


@topic.each({"a header": (HEADER, amqp.encode_header(0, {})), "a body": (BODY, b"abc")})
def without_a_method_comes(talk, frame):
    connection = talk.channel().connection
    connection.send_frame(frame[0], 1, frame[1])
    connection.expect_eof()


@topic.each({"a header": (HEADER, amqp.encode_header(0, {})), "a body": (BODY, b"abc")})
def on_channel_0_comes(talk, frame):
    connection = talk.connect()
    connection.send_frame(frame[0], 0, frame[1])
    connection.expect_eof()


@topic.each(
    {
        "a body instead of a header": (BODY, b"abc"),
        "a method instead of a header": (METHOD, PUBLISH),
        "another method instead of a header": (METHOD, amqp.encode_method("channel.flow", {"active": True})),
        "channel.close instead of a header": (
            METHOD,
            amqp.encode_method("channel.close", {"reply_code": 200}),
        ),
        "a header of class 50": (HEADER, amqp.encode_header(0, {}, class_id=50)),
        "a header of class 0": (HEADER, amqp.encode_header(0, {}, class_id=0)),
        "a header cut short": (HEADER, amqp.encode_header(0, {})[:9]),
        "a header whose flags promise more": (HEADER, struct.pack(">HHQH", 60, 0, 0, 0x8000)),
        "a header whose property runs over": (HEADER, struct.pack(">HHQH", 60, 0, 0, 0x8000) + b"\x09abc"),
        "a header with a broken table": (
            HEADER,
            struct.pack(">HHQH", 60, 0, 0, 0x2000) + b"\x00\x00\x00\x05\x01aZ\x00\x00",
        ),
        "a header with continued flags": (HEADER, struct.pack(">HHQHH", 60, 0, 0, 1, 0)),
    }
)
def after_basic_publish_comes(talk, frame):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, PUBLISH)
    connection.send_frame(frame[0], 1, frame[1])
    connection.verdict()


@topic.each(
    {
        "weight 1": amqp.encode_header(0, {}, weight=1),
        "bytes after the properties": amqp.encode_header(0, {}) + b"abc",
        "the reserved last flag": struct.pack(">HHQH", 60, 0, 0, 2),
    }
)
def a_content_header_with(talk, payload):
    channel = talk.channel()
    channel.connection.send_frame(METHOD, 1, PUBLISH)
    channel.connection.send_frame(HEADER, 1, payload)
    channel.connection.verdict()


@topic.each(
    {
        "more bytes than announced": (3, b"abcd"),
        "more bytes than announced, in the second frame": (3, b"ab", b"cd"),
        "bytes after a complete body": (3, b"abc", b"d"),
        "a body for an empty content": (0, b"a"),
        "an empty body frame for an empty content": (0, b""),
        "an empty body frame after a complete body": (3, b"abc", b""),
    }
)
def a_body_has(talk, case):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, PUBLISH)
    connection.send_frame(HEADER, 1, amqp.encode_header(case[0], {}))
    for body in case[1:]:
        connection.send_frame(BODY, 1, body)
    connection.verdict()


@topic
def a_body_may_come_in_frames_of_any_size(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.send("basic.publish", exchange="", routing_key=queue)
    channel.connection.send_frame(HEADER, 1, amqp.encode_header(6, {}))
    for body in (b"a", b"", b"bcd", b"", b"ef"):
        channel.connection.send_frame(BODY, 1, body)
    channel.get(queue, no_ack=True)


@topic.each(
    {
        "a method": (METHOD, PUBLISH),
        "a header": (HEADER, amqp.encode_header(3, {})),
        "channel.close": (METHOD, amqp.encode_method("channel.close", {"reply_code": 200})),
    }
)
def in_the_middle_of_a_body_comes(talk, frame):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, PUBLISH)
    connection.send_frame(HEADER, 1, amqp.encode_header(6, {}))
    connection.send_frame(BODY, 1, b"abc")
    connection.send_frame(frame[0], 1, frame[1])
    connection.expect_eof()


@topic
def contents_of_two_channels_may_be_interleaved(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    for number in (1, 2):
        connection.send("basic.publish", number, exchange="", routing_key=queue)
    for number in (2, 1):
        connection.send_frame(HEADER, number, amqp.encode_header(2, {"priority": number}))
    connection.send_frame(BODY, 2, b"2")
    connection.send_frame(BODY, 1, b"11")
    one.fence()
    connection.send_frame(BODY, 2, b"2")
    two.fence()
    one.drain(queue)


@topic
def heartbeats_may_come_within_a_content(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.send("basic.publish", exchange="", routing_key=queue)
    channel.connection.send_frame(amqp.HEARTBEAT, 0, b"")
    channel.connection.send_frame(HEADER, 1, amqp.encode_header(3, {}))
    channel.connection.send_frame(amqp.HEARTBEAT, 0, b"")
    channel.connection.send_frame(BODY, 1, b"abc")
    channel.get(queue, no_ack=True)


# Methods


@topic.each(
    {
        "class 0": (0, 10),
        "class 999": (999, 1),
        "class 60 method 99": (60, 99),
        "class 20 method 30": (20, 30),
        "class 85 method 99": (85, 99),
        "class 70 (file)": (70, 10),
        "class 100 (dtx)": (100, 10),
    }
)
def an_unknown_method_on_a_channel(talk, ids):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, struct.pack(">HH", *ids))
    connection.expect_eof()


@topic.each({"class 0": (0, 10), "class 10 method 99": (10, 99), "class 999": (999, 1)})
def an_unknown_method_on_channel_0(talk, ids):
    connection = talk.connect()
    connection.send_frame(METHOD, 0, struct.pack(">HH", *ids))
    connection.expect_eof()


@topic.each(
    {
        "one byte": b"\x00",
        "three bytes": b"\x00\x32\x00",
        "queue.declare without its arguments": amqp.encode_method("queue.declare", {})[:-4],
        "queue.declare cut in the name": amqp.encode_method("queue.declare", {"queue": "abcdef"})[:10],
        "basic.ack cut in the tag": amqp.encode_method("basic.ack", {})[:9],
        "basic.qos with nothing": struct.pack(">HH", 60, 10),
    }
)
def a_method_frame_cut_short(talk, payload):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, payload)
    connection.expect_eof()


@topic.each(
    {
        "channel.flow": amqp.encode_method("channel.flow", {"active": True}),
        "basic.qos": amqp.encode_method("basic.qos", {}),
        "queue.declare": amqp.encode_method("queue.declare", {"queue": "amq.x", "passive": True}),
        "tx.select": amqp.encode_method("tx.select", {}),
        "basic.recover": amqp.encode_method("basic.recover", {"requeue": True}),
    }
)
def bytes_after_the_arguments_of(talk, payload):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, payload + b"xyz")
    connection.expect_eof()


def declare_with(table):
    """The payload of a queue.declare whose argument table has the given bytes."""
    return amqp.encode_method("queue.declare", {"queue": "amq.never", "exclusive": True})[:-4] + table


@topic.each(
    {
        "shorter than its length": b"\x00\x00\x00\x20\x01aI\x00\x00\x00\x01",
        "with a length of 4 GiB": b"\xff\xff\xff\xff",
        "longer than its length": b"\x00\x00\x00\x02\x01aI\x00\x00\x00\x01",
        "with a key that runs over": b"\x00\x00\x00\x03\x09ab",
        "with a value cut short": b"\x00\x00\x00\x05\x01aI\x00\x00",
        "with a long string that runs over": b"\x00\x00\x00\x08\x01aS\x00\x00\x00\x09x",
        "with an array that runs over": b"\x00\x00\x00\x08\x01aA\x00\x00\x00\x09t",
        "with a table that runs over": b"\x00\x00\x00\x08\x01aF\x00\x00\x00\x09t",
        "with a key only": b"\x00\x00\x00\x02\x01a",
        "with unknown type Z": b"\x00\x00\x00\x04\x01aZ\x00",
        "with unknown type NUL": b"\x00\x00\x00\x04\x01a\x00\x00",
        "with type U of the specification": b"\x00\x00\x00\x05\x01aU\x00\x01",
        "with an unknown type in an array": b"\x00\x00\x00\x09\x01aA\x00\x00\x00\x02Z\x00",
    }
)
def an_argument_table(talk, table):
    connection = talk.channel().connection
    connection.send_frame(METHOD, 1, declare_with(table))
    connection.expect_eof()


@topic.each(
    {
        **{kind: T(kind, 1) for kind in "bBsuIilLTfd"},
        "t": True,
        "D": T("D", (2, 314)),
        "S": "text",
        "x": T("x", b"\0\1"),
        "V": None,
        "A": [1, "a", [None]],
        "F": {"a": {"b": 1}},
        "empty A": [],
        "empty F": {},
        "empty S": "",
    }
)
def an_argument_of_field_type(talk, value):
    channel = talk.channel()
    channel.rpc("queue.declare", queue=talk.name("q"), exclusive=True, arguments={"some-argument": value})


@topic
def a_table_may_have_a_key_twice_and_an_empty_key(talk):
    channel = talk.channel()
    table = amqp.encode_table([("a", 1), ("a", "two"), ("", 3)])
    channel.connection.log(1, ">", "queue.declare {a: 1, a: 'two', '': 3}")
    channel.connection.write(
        amqp.encode_frame(
            METHOD,
            1,
            amqp.encode_method("queue.declare", {"queue": talk.name("q"), "exclusive": True})[:-4] + table,
        )
    )
    channel.receive()


@topic
def bits_beyond_the_last_are_ignored(talk):
    channel = talk.channel()
    payload = bytearray(amqp.encode_method("basic.qos", {}))
    payload[-1] = 0xFE
    channel.connection.send_frame(METHOD, 1, bytes(payload))
    channel.receive()


@topic.each(
    {
        "a method": PUBLISH,
        "queue.declare": amqp.encode_method("queue.declare", {}),
        "channel.open": amqp.encode_method("channel.open", {}),
        "tx.select": amqp.encode_method("tx.select", {}),
    }
)
def on_channel_0_comes_the_channel_method(talk, payload):
    connection = talk.connect()
    connection.send_frame(METHOD, 0, payload)
    connection.expect_eof()


@topic.each(
    {
        "connection.close": ("connection.close", {"reply_code": 200}),
        "connection.open": ("connection.open", {}),
        "connection.close-ok": ("connection.close-ok", {}),
        "connection.tune-ok": ("connection.tune-ok", {}),
    }
)
def on_channel_1_comes(talk, case):
    connection = talk.channel().connection
    connection.send(case[0], 1, **case[1])
    connection.receive(1)
    connection.drop()


@topic.each(
    {
        "basic.deliver": "basic.deliver",
        "queue.declare-ok": "queue.declare-ok",
        "basic.get-empty": "basic.get-empty",
        "channel.open-ok": "channel.open-ok",
        "tx.select-ok": "tx.select-ok",
        "basic.return": "basic.return",
        "basic.consume-ok": "basic.consume-ok",
        "confirm.select-ok": "confirm.select-ok",
    }
)
def the_client_sends_a_method_of_the_broker(talk, method):
    connection = talk.channel().connection
    connection.send(method, 1)
    if method in amqp.CONTENT:
        connection.send_frame(HEADER, 1, amqp.encode_header(0, {}))
    connection.verdict()


@topic.each(
    {
        "a method": (METHOD, amqp.encode_method("queue.declare", {})),
        "a header": (HEADER, amqp.encode_header(0, {})),
        "a body": (BODY, b"abc"),
        "channel.close": (METHOD, amqp.encode_method("channel.close", {"reply_code": 200})),
        "channel.close-ok": (METHOD, amqp.encode_method("channel.close-ok", {})),
        "an unknown method": (METHOD, struct.pack(">HH", 60, 99)),
    }
)
def on_a_channel_that_was_never_opened_comes(talk, frame):
    connection = talk.channel().connection
    connection.send_frame(frame[0], 5, frame[1])
    connection.expect_eof()


@topic.each(
    {
        "a method": (METHOD, amqp.encode_method("queue.declare", {})),
        "a body": (BODY, b"abc"),
        "channel.close": (METHOD, amqp.encode_method("channel.close", {"reply_code": 200})),
        "channel.close-ok": (METHOD, amqp.encode_method("channel.close-ok", {})),
    }
)
def on_a_channel_that_the_client_closed_comes(talk, frame):
    channel = talk.channel()
    channel.close()
    channel.connection.send_frame(frame[0], 1, frame[1])
    channel.connection.expect_eof()


def closed_by_the_broker(talk):
    """A channel that the broker has closed and whose close was not answered."""
    channel = talk.channel()
    channel.connection.answers_close = False
    channel.send("queue.declare", queue="amq.nothing", passive=True)
    channel.receive()
    return channel


@topic.each(
    {
        "a method": (METHOD, amqp.encode_method("queue.declare", {})),
        "a publish without its content": (METHOD, PUBLISH),
        "a header": (HEADER, amqp.encode_header(0, {})),
        "a body": (BODY, b"abc"),
        "bytes that are no method": (METHOD, b"\0"),
    }
)
def before_close_ok_comes(talk, frame):
    channel = closed_by_the_broker(talk)
    channel.connection.send_frame(frame[0], 1, frame[1])
    channel.send("channel.close-ok")
    channel.connection.answers_close = True
    channel.open()


@topic
def before_close_ok_a_whole_publish_is_ignored(talk):
    channel = closed_by_the_broker(talk)
    channel.publish("", "nobody-is-bound", "m", mandatory=True)
    channel.publish("", "nobody-is-bound", "m", mandatory=True)
    channel.send("channel.close-ok")
    channel.connection.answers_close = True
    channel.open()


@topic
def channel_closes_that_cross(talk):
    channel = closed_by_the_broker(talk)
    channel.rpc("channel.close", reply_code=200, reply_text="bye")
    channel.send("channel.close-ok")
    channel.connection.answers_close = True
    channel.open()


@topic
def connection_close_is_answered_while_a_channel_waits_for_close_ok(talk):
    channel = closed_by_the_broker(talk)
    channel.connection.close()


@topic
def a_connection_error_on_one_channel_ends_the_other(talk):
    connection = talk.connect()
    connection.channel(1)
    connection.channel(2)
    connection.send_frame(BODY, 1, b"abc")
    connection.expect_eof()


@topic
def methods_sent_together_are_answered_in_order(talk):
    channel = talk.channel()
    queue = talk.name("q")
    payloads = [
        amqp.encode_method(*method)
        for method in [
            ("queue.declare", {"queue": queue, "exclusive": True}),
            ("queue.bind", {"queue": queue, "exchange": "amq.fanout"}),
            ("basic.qos", {"prefetch_count": 1}),
            ("queue.purge", {"queue": queue}),
            ("confirm.select", {}),
            ("queue.unbind", {"queue": queue, "exchange": "amq.fanout"}),
            ("queue.delete", {"queue": queue}),
        ]
    ]
    frames = b"".join(amqp.encode_frame(METHOD, 1, payload) for payload in payloads)
    channel.connection.send_bytes(frames, "seven methods in one write")
    for _ in payloads:
        channel.receive()


@topic
def a_frame_may_come_a_byte_at_a_time(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    frames = amqp.encode_frame(METHOD, 1, amqp.encode_method("basic.publish", {"routing_key": queue}))
    frames += amqp.encode_frame(HEADER, 1, amqp.encode_header(3, {"type": "t"})) + amqp.encode_frame(
        BODY, 1, b"abc"
    )
    for i in range(len(frames)):
        channel.connection.write(frames[i : i + 1])
    channel.get(queue)


@topic.each(
    {
        "255 bytes": "n" * 255,
        "UTF-8": "größe-玉兔",
        "bytes that are no UTF-8": b"\xff\xfe",
        "a NUL": "a\0b",
        "spaces": " a b ",
    }
)
def a_queue_name_of(talk, name):
    channel = talk.channel()
    channel.rpc("queue.declare", queue=name, exclusive=True)
    channel.rpc("queue.delete", queue=name)
