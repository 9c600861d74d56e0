"""basic.publish, basic.return, and contents that must come back as they were."""

import amqp
from amqp import T
from corpus import Topic

topic = Topic("publish")


# Refusals


@topic.each({"plain": {}, "mandatory": {"mandatory": True}})
def a_publish_to_a_missing_exchange(talk, fields):
    channel = talk.channel()
    channel.publish(talk.name("x"), "k", "m", **fields)
    channel.receive()


@topic
def after_a_refused_publish_the_next_are_discarded(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.connection.answers_close = False
    channel.publish(talk.name("x"), "k", "refused")
    channel.publish("", queue, "discarded")
    channel.receive()
    channel.publish("", queue, "discarded too")
    channel.send("channel.close-ok")
    channel.connection.answers_close = True
    channel.open()
    channel.drain(queue)


@topic.each({"routable": True, "unroutable": False})
def an_immediate_publish_is_not_implemented(talk, routable):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue if routable else talk.name("nobody"), "m", immediate=True)
    channel.connection.expect_eof()


@topic.each(
    {
        "exchange missing and immediate": ({"immediate": True}, {}),
        "exchange missing and bad expiration": ({}, {"expiration": "x"}),
        "exchange missing and wrong user": ({}, {"user_id": "somebody"}),
    }
)
def the_first_failing_check_decides(talk, case):
    channel = talk.channel()
    channel.publish(talk.name("x"), "k", "m", case[1], **case[0])
    channel.receive()


@topic
def expiration_is_checked_before_user_id(talk):
    channel = talk.channel()
    channel.publish("", "k", "m", {"expiration": "x", "user_id": "somebody"})
    channel.receive()


@topic.each({"guest": "guest", "somebody": "somebody", "empty": ""})
def user_id_is(talk, user):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"user_id": user})
    channel.rpc("basic.get", queue=queue)


@topic.each(
    {
        "a word": "abc",
        "empty": "",
        "negative": "-1",
        "a fraction": "1.5",
        "with a blank": " 100",
        "with a unit": "100ms",
        "very large": "99999999999999999",
        "hexadecimal": "0x10",
        "plus": "+5",
    }
)
def an_invalid_expiration_is(talk, expiration):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"expiration": expiration})
    channel.fence()


@topic.each(
    {"a minute": "60000", "ten years": "315360000000", "leading zeros": "0060000", "2**32": "4294967296"}
)
def a_valid_expiration_is(talk, expiration):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"expiration": expiration})
    channel.get(queue)


# Returns


@topic.each(
    {
        "default exchange": ("", "nobody"),
        "direct": ("amq.direct", "nobody-bound"),
        "topic": ("amq.topic", "nobody.bound"),
        "headers": ("amq.match", ""),
    }
)
def an_unroutable_mandatory_message_is_returned(talk, case):
    channel = talk.channel()
    exchange = case[0]
    key = talk.name("nobody") if case[1] == "nobody" else case[1]
    channel.publish(exchange, key, "m", {"message_id": "id-1", "headers": {"h": 1}}, mandatory=True)
    channel.receive()


@topic.each({"empty": b"", "one byte": b"a", "300 KB": b"0123456789" * 30000})
def a_returned_body_is_whole(talk, body):
    channel = talk.channel()
    channel.publish("", talk.name("nobody"), body, {"content_type": "text/plain"}, mandatory=True)
    channel.receive()


@topic
def an_unroutable_message_that_is_not_mandatory_is_dropped(talk):
    channel = talk.channel()
    channel.publish("", talk.name("nobody"), "dropped")
    channel.fence()


@topic
def returns_come_in_the_order_of_publishing(talk):
    channel = talk.channel()
    for i in range(5):
        channel.publish("", talk.name(f"nobody{i}"), f"m{i}", mandatory=True)
    channel.fence()


@topic
def a_mandatory_message_that_is_routed_is_not_returned(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", mandatory=True)
    channel.drain(queue)


@topic
def the_default_exchange_routes_to_a_queue_by_name(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m")
    channel.publish("", queue + "x", "other", mandatory=True)
    channel.receive()
    channel.get(queue)


@topic
def a_message_goes_to_a_queue_once_however_many_bindings_match(talk):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(talk.name("x"), "topic")
    for key in ("a.*", "a.b", "#", "*.b"):
        channel.bind(queue, exchange, key)
    channel.publish(exchange, "a.b", "once")
    channel.drain(queue)


# Contents

PROPERTIES = {
    "content_type": "text/plain",
    "content_encoding": "utf-8",
    "headers": {"a": 1, "b": "two"},
    "delivery_mode": 2,
    "priority": 7,
    "correlation_id": "c-1",
    "reply_to": "someone",
    "expiration": "100000",
    "message_id": "m-1",
    "timestamp": 123456789,
    "type": "greeting",
    "user_id": "guest",
    "app_id": "app",
    "cluster_id": "cluster",
}


@topic
def all_properties_come_back_from_get(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", PROPERTIES)
    channel.get(queue)


@topic
def all_properties_come_back_from_a_delivery(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c", no_ack=True)
    channel.publish("", queue, "m", PROPERTIES)
    channel.receive()


@topic.each({name: {name: value} for name, value in PROPERTIES.items()})
def a_single_property_comes_back(talk, properties):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", properties)
    channel.get(queue)


@topic.each(
    {
        "no properties": {},
        "empty headers": {"headers": {}},
        "empty strings": {"content_type": "", "message_id": "", "type": ""},
        "delivery mode 1": {"delivery_mode": 1},
        "delivery mode 0": {"delivery_mode": 0},
        "delivery mode 3": {"delivery_mode": 3},
        "priority 255": {"priority": 255},
        "timestamp 0": {"timestamp": 0},
        "timestamp 2**64-1": {"timestamp": 2**64 - 1},
        "long strings": {"message_id": "i" * 255, "correlation_id": "c" * 255},
        "UTF-8": {"type": "größe-玉兔", "headers": {"größe": "玉兔"}},
        "no UTF-8": {"headers": {"a": b"\xff\xfe"}},
    }
)
def properties_come_back(talk, properties):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", properties)
    channel.get(queue)


@topic
def a_shortstr_property_that_is_no_UTF_8(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "m", {"message_id": b"\xff\xfe"})
    channel.get(queue)


@topic.each(
    {
        "b": T("b", -128),
        "B": T("B", 255),
        "s": T("s", -32768),
        "u": T("u", 65535),
        "I": T("I", -(2**31)),
        "i": T("i", 2**32 - 1),
        "l": T("l", -(2**63)),
        "l largest": T("l", 2**63 - 1),
        "L": T("L", 7),
        "L negative": T("L", -7),
        "T": T("T", 2**63),
        "f": T("f", 1.5),
        "f infinite": T("f", float("inf")),
        "d": T("d", -2.5e300),
        "d not a number": T("d", float("nan")),
        "D": T("D", (3, 12345)),
        "D largest": T("D", (255, 2**32 - 1)),
        "t": True,
        "t false": False,
        "V": None,
        "S": "text",
        "S empty": "",
        "S 100 KB": "x" * 100000,
        "x": T("x", b"\0\1\xff"),
        "A": [1, "a", None, [T("b", 1)], {"k": 2.5}],
        "A empty": [],
        "F": {"a": {"b": {"c": None}}},
        "F empty": {},
        "all": {
            "b": T("b", 1),
            "B": T("B", 1),
            "s": T("s", 1),
            "u": T("u", 1),
            "I": 1,
            "i": T("i", 1),
            "l": T("l", 1),
            "f": T("f", 1),
            "d": 1.0,
            "D": T("D", (0, 1)),
            "T": T("T", 1),
            "t": True,
            "V": None,
            "S": "s",
            "x": T("x", b"x"),
            "A": [1],
            "F": {"n": 1},
        },
    }
)
def a_header_value_comes_back_of_type(talk, value):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    headers = {"before": "x", "value": value, "after": "y"}
    channel.publish("", queue, "m", {"headers": headers if len(repr(value)) < 200 else {"value": value}})
    event = channel.get(queue)
    if event.properties:
        got = amqp.encode_table(event.properties["headers"])
        same = got == amqp.encode_table(headers if len(repr(value)) < 200 else {"value": value})
        talk.note("byte for byte" if same else f"not the same: {got.hex()}")


@topic
def headers_keep_their_order_and_repeated_keys(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    table = amqp.encode_table([("z", 1), ("a", 2), ("z", "three"), ("", 4), ("m", None)])
    channel.publish("", queue, "m", {"headers": table})
    channel.get(queue)


@topic.each(
    {
        "0": 0,
        "1": 1,
        "frame_max - 9": 131063,
        "frame_max - 8": 131064,
        "frame_max - 7": 131065,
        "1 MB": 1000000,
    }
)
def a_body_of_bytes(talk, size):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, bytes(range(256)) * (size // 256) + bytes(range(size % 256)))
    talk.note(f"in frames of {channel.get(queue, no_ack=True).sizes}")


@topic
def a_body_larger_than_small_frames_arrives_whole(talk):
    channel, other = talk.channel(frame_max=8192), talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.publish("", queue, b"0123456789" * 5000)
    talk.note(f"in frames of {channel.get(queue, no_ack=True).sizes}")
    channel.publish("", queue, b"0123456789" * 5000)
    channel.fence()
    talk.note(f"in frames of {other.get(queue, no_ack=True).sizes}")


@topic
def a_binary_body_comes_back(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, b"\x00\xce\xff\xce")
    channel.get(queue, no_ack=True)


@topic
def a_routing_key_of_255_bytes_comes_back(talk):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(
        talk.name("x"), "fanout"
    )
    channel.bind(queue, exchange)
    channel.publish(exchange, "k" * 255, "m")
    channel.get(queue)
