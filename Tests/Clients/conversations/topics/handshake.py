"""From the first byte to connection.open-ok, and the life of channel 0."""

import struct

import amqp
from client import CAPABILITIES
from corpus import Topic

topic = Topic("handshake")

WITHOUT_CLOSE = {k: v for k, v in CAPABILITIES.items() if k != "authentication_failure_close"}


def tuned(talk, **options):
    """A connection that has seen connection.tune."""
    connection = talk.raw()
    connection.start()
    connection.start_ok(**options)
    return connection


# Protocol header


@topic.each(
    {
        "AMQP 0-10": b"AMQP\x01\x01\x00\x0a",
        "AMQP 1.0": b"AMQP\x00\x01\x00\x00",
        "AMQP 1.0 with SASL": b"AMQP\x03\x01\x00\x00",
        "ASCII 0100": b"AMQP0100",
        "AMQP 0-9 revision 2": b"AMQP\x00\x00\x09\x02",
        "AMQP 0-10 in the new form": b"AMQP\x00\x00\x0a\x00",
        "HTTP GET": b"GET / HTTP/1.1\r\n\r\n",
        "TLS hello": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        "zeros": bytes(8),
        "lower case": b"amqp\x00\x00\x09\x01",
    }
)
def a_wrong_protocol_header_is_answered_with_ours(talk, header):
    connection = talk.raw()
    connection.send_bytes(header)
    connection.expect_eof()


@topic.each({"AMQP 0-9": b"AMQP\x01\x01\x00\x09", "AMQP 0-8": b"AMQP\x01\x01\x08\x00"})
def an_older_protocol_header_is(talk, header):
    connection = talk.raw()
    connection.send_bytes(header)
    connection.receive()
    connection.drop()


@topic
def a_protocol_header_may_come_in_pieces(talk):
    connection = talk.raw()
    for i in range(8):
        connection.write(amqp.PROTOCOL_HEADER[i : i + 1])
    connection.silent = True
    connection.receive()
    connection.silent = False
    connection.start_ok()
    connection.drop()


@topic
def connection_start_lists_mechanisms_and_capabilities(talk):
    connection = talk.raw()
    connection.send_bytes(amqp.PROTOCOL_HEADER, "protocol header")
    connection.receive()
    connection.drop()


@topic
def a_method_may_follow_the_protocol_header_at_once(talk):
    connection = talk.raw()
    start_ok = amqp.encode_method(
        "connection.start-ok",
        {"client_properties": {}, "mechanism": "PLAIN", "response": "\0guest\0guest", "locale": "en_US"},
    )
    connection.send_bytes(
        amqp.PROTOCOL_HEADER + amqp.encode_frame(amqp.METHOD, 0, start_ok), "header and start-ok"
    )
    connection.silent = True
    connection.receive()
    connection.silent = False
    connection.receive()
    connection.drop()


# Authentication


@topic.each(
    {
        "PLAIN": {},
        "AMQPLAIN": {
            "mechanism": "AMQPLAIN",
            "response": amqp.encode_table({"LOGIN": "guest", "PASSWORD": "guest"})[4:],
        },
        "AMQPLAIN in the other order": {
            "mechanism": "AMQPLAIN",
            "response": amqp.encode_table({"PASSWORD": "guest", "LOGIN": "guest"})[4:],
        },
        "no locale": {"locale": ""},
        "another locale": {"locale": "de_DE"},
        "empty client properties": {"client_properties": {}},
    }
)
def login_succeeds_with(talk, fields):
    connection = tuned(talk, **fields)
    connection.tune_ok()
    connection.rpc("connection.open", virtual_host="/")
    connection.close()


@topic.each(
    {
        "unknown mechanism": {"mechanism": "KERBEROS"},
        "PLAIN with an authorisation id": {"response": "someone\0guest\0guest"},
        "empty mechanism": {"mechanism": ""},
        "lower-case mechanism": {"mechanism": "plain"},
        "EXTERNAL without TLS": {"mechanism": "EXTERNAL"},
        "bad password": {"password": "wrong"},
        "unknown user": {"user": "nobody"},
        "empty user": {"user": ""},
        "empty password": {"password": ""},
        "no response": {"response": ""},
        "response without NUL": {"response": "guest"},
        "response with one NUL": {"response": "\0guest"},
        "response with three NUL": {"response": "\0guest\0guest\0x"},
        "AMQPLAIN bad password": {
            "mechanism": "AMQPLAIN",
            "response": amqp.encode_table({"LOGIN": "guest", "PASSWORD": "x"})[4:],
        },
        "AMQPLAIN without PASSWORD": {
            "mechanism": "AMQPLAIN",
            "response": amqp.encode_table({"LOGIN": "guest"})[4:],
        },
        "AMQPLAIN empty": {"mechanism": "AMQPLAIN", "response": ""},
        "AMQPLAIN no table": {"mechanism": "AMQPLAIN", "response": b"\xff\xff\xff"},
        "AMQPLAIN with its length": {
            "mechanism": "AMQPLAIN",
            "response": amqp.encode_table({"LOGIN": "guest", "PASSWORD": "guest"}),
        },
        "AMQPLAIN number as login": {
            "mechanism": "AMQPLAIN",
            "response": amqp.encode_table({"LOGIN": 5, "PASSWORD": "guest"})[4:],
        },
    }
)
def login_fails_with(talk, fields):
    connection = talk.raw()
    connection.start()
    connection.start_ok(**fields)
    connection.expect_eof()


@topic.each(
    {
        "bad password": {"password": "wrong"},
        "unknown user": {"user": "nobody"},
        "unknown mechanism": {"mechanism": "KERBEROS"},
        "malformed response": {"response": "x"},
    }
)
def without_authentication_failure_close_login_ends_with(talk, fields):
    connection = talk.raw()
    connection.start()
    connection.start_ok(capabilities=WITHOUT_CLOSE, **fields)
    connection.expect_eof()


@topic
def a_false_authentication_failure_close_counts_as_absent(talk):
    connection = talk.raw()
    connection.start()
    connection.start_ok(capabilities={"authentication_failure_close": False}, password="wrong")
    connection.expect_eof()


# Tune


@topic.each(
    {
        "what was offered": {},
        "small numbers": {"channel_max": 10, "frame_max": 8192},
        "smallest frame of the specification": {"frame_max": 4096},
        "heartbeat 580": {"heartbeat": 580},
    }
)
def tune_ok_is_accepted_with(talk, tuning):
    connection = tuned(talk)
    connection.tune_ok(**tuning)
    connection.rpc("connection.open", virtual_host="/")
    connection.close()


@topic.each(
    {
        "channel_max above": {"channel_max": 4000},
        "channel_max 0": {"channel_max": 0},
        "channel_max 65535": {"channel_max": 65535},
        "frame_max above": {"frame_max": 131073},
        "frame_max 0": {"frame_max": 0},
        "frame_max 4095": {"frame_max": 4095},
        "frame_max 1": {"frame_max": 1},
        "both above": {"channel_max": 4000, "frame_max": 200000},
    }
)
def tune_ok_is_refused_with(talk, tuning):
    connection = tuned(talk)
    connection.tune_ok(**tuning)
    connection.frame_max = 131072
    connection.send("connection.open", virtual_host="/")
    connection.expect_eof()


@topic
def tune_ok_twice(talk):
    connection = tuned(talk)
    connection.tune_ok()
    connection.tune_ok()
    connection.expect_eof()


@topic
def frame_max_8192_splits_what_the_broker_sends(talk):
    channel = talk.channel(frame_max=8192)
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, b"0123456789" * 2000)
    sizes = channel.get(queue, no_ack=True).sizes
    talk.note(f"in frames of {sizes}")


# Open


@topic.each({"an unknown vhost": "nowhere", "an empty vhost": "", "a vhost with odd characters": "a/b c'd"})
def connection_open_of(talk, vhost):
    connection = tuned(talk)
    connection.tune_ok()
    connection.send("connection.open", virtual_host=vhost)
    connection.expect_eof()


@topic.each({"capabilities": {"reserved_1": "caps"}, "insist": {"reserved_2": True}})
def connection_open_ignores(talk, fields):
    connection = tuned(talk)
    connection.tune_ok()
    connection.rpc("connection.open", virtual_host="/", **fields)
    connection.close()


# Out of order

OUT_OF_ORDER = {
    "tune-ok": ("connection.tune-ok", {"channel_max": 1, "frame_max": 8192}),
    "open": ("connection.open", {"virtual_host": "/"}),
    "start-ok": (
        "connection.start-ok",
        {"mechanism": "PLAIN", "response": "\0guest\0guest", "locale": "en_US"},
    ),
    "secure-ok": ("connection.secure-ok", {"response": "x"}),
    "close-ok": ("connection.close-ok", {}),
    "start": ("connection.start", {}),
    "update-secret": ("connection.update-secret", {"new_secret": "x", "reason": "y"}),
}


@topic.each({k: v for k, v in OUT_OF_ORDER.items() if k != "start-ok"})
def instead_of_start_ok_comes(talk, method):
    connection = talk.raw()
    connection.start()
    connection.send(method[0], **method[1])
    connection.expect_eof()


@topic.each({k: v for k, v in OUT_OF_ORDER.items() if k != "tune-ok"})
def instead_of_tune_ok_comes(talk, method):
    connection = tuned(talk)
    connection.send(method[0], **method[1])
    connection.expect_eof()


@topic.each({k: v for k, v in OUT_OF_ORDER.items() if k not in ("open", "tune-ok")})
def instead_of_open_comes(talk, method):
    connection = tuned(talk)
    connection.tune_ok()
    connection.send(method[0], **method[1])
    connection.expect_eof()


@topic.each({k: v for k, v in OUT_OF_ORDER.items() if k not in ("update-secret",)})
def after_open_comes(talk, method):
    connection = talk.connect()
    connection.send(method[0], **method[1])
    connection.expect_eof()


@topic.each({"start": 0, "tune": 1, "open": 2})
def a_channel_method_comes_before(talk, steps):
    connection = talk.raw()
    connection.start()
    if steps > 0:
        connection.start_ok()
    if steps > 1:
        connection.tune_ok()
    connection.send("channel.open", 1)
    connection.expect_eof()


@topic.each({"start": 0, "tune": 1, "open": 2})
def the_client_closes_before(talk, steps):
    connection = talk.raw()
    connection.start()
    if steps > 0:
        connection.start_ok()
    if steps > 1:
        connection.tune_ok()
    connection.send("connection.close", reply_code=200, reply_text="changed my mind")
    connection.expect_eof()


# Heartbeats and secrets


@topic
def heartbeats_of_the_client_are_not_answered(talk):
    connection = talk.connect()
    for _ in range(3):
        connection.send_frame(amqp.HEARTBEAT, 0, b"")
    connection.channel(1).fence()


@topic
def the_broker_sends_heartbeats(talk):
    connection = talk.connect(heartbeat=1)
    connection.receive()
    connection.drop()


@topic
def the_broker_closes_when_heartbeats_are_missed(talk):
    connection = talk.connect(heartbeat=1)
    connection.silent = True
    connection.expect_eof()
    connection.silent = False
    talk.note("closed by the broker")


@topic.each({"guest": "guest", "another": "anything"})
def update_secret_with_PLAIN(talk, secret):
    connection = talk.connect()
    connection.rpc("connection.update-secret", new_secret=secret, reason="rotation")
    connection.channel(1).fence()


# Close


@topic.each(
    {"200": (200, "bye"), "0": (0, ""), "320 with class and method": (320, "gone"), "541": (541, "x" * 60)}
)
def connection_close_is_answered(talk, reason):
    connection = talk.connect()
    connection.rpc("connection.close", reply_code=reason[0], reply_text=reason[1], class_id=60, method_id=40)


@topic
def connection_close_with_channels_open(talk):
    connection = talk.connect()
    connection.channel(1)
    connection.channel(7)
    connection.close()


@topic
def what_follows_connection_close_is_ignored(talk):
    connection = talk.connect()
    connection.channel(1)
    close = amqp.encode_method("connection.close", {"reply_code": 200, "reply_text": "bye"})
    more = amqp.encode_method("queue.declare", {"queue": "amq.nothing", "passive": True})
    connection.send_bytes(
        amqp.encode_frame(1, 0, close) + amqp.encode_frame(1, 1, more), "close, then queue.declare"
    )
    connection.answer("connection.close")


@topic
def connection_closes_that_cross(talk):
    connection = talk.connect()
    connection.answers_close = False
    connection.send("connection.open", virtual_host="/")
    connection.receive()
    connection.send("connection.close", reply_code=200, reply_text="bye")
    connection.receive()
    connection.send("connection.close-ok")
    connection.expect_eof()


@topic
def after_the_brokers_connection_close_other_methods_are_ignored(talk):
    connection = talk.connect()
    connection.channel(1)
    connection.answers_close = False
    connection.send("connection.open", virtual_host="/")
    connection.receive()
    connection.send("queue.declare", 1, queue="amq.nothing", passive=True)
    connection.send_frame(1, 1, struct.pack(">HH", 999, 1))
    connection.send("connection.close-ok")
    connection.expect_eof()


@topic
def the_client_drops_the_connection_within_a_frame(talk):
    connection = talk.connect()
    connection.send_bytes(b"\x01\x00")
    connection.drop()
    talk.channel().fence()


@topic
def an_unexpected_connection_blocked_from_the_client(talk):
    connection = talk.connect()
    connection.send("connection.blocked", reason="x")
    connection.expect_eof()


@topic.each({"the protocol header": 0, "start-ok": 1, "tune-ok": 2, "open": 3})
def the_handshake_has_a_deadline_for(talk, steps):
    connection = talk.raw()
    connection.silent = True
    if steps > 0:
        connection.start()
    if steps > 1:
        connection.start_ok()
    if steps > 2:
        connection.tune_ok()
    connection.silent = False
    connection.expect_eof(patience=20)
