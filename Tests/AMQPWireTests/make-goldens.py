#!/usr/bin/env python3
"""Writes goldens.txt: octets that real client libraries make, for GoldenTests.swift.

    python3 -m venv /tmp/goldens && /tmp/goldens/bin/pip install pika==1.3.2 amqp==5.4.2 pamqp==4.0.1
    /tmp/goldens/bin/python make-goldens.py > goldens.txt

A line is: library, kind (frame, properties, table), name, hex. The comment above it is the Python that
made it. Whoever adds a line here adds its expected value to GoldenTests.swift: a test finds those without.
"""
import datetime
import decimal
import socket
from contextlib import nullcontext
from importlib.metadata import version

import amqp
import amqp.method_framing
import amqp.sasl
import pamqp.encode
import pamqp.frame
import pika
import pika.data
import pika.frame
from amqp.serialization import dumps
from pamqp import commands
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat
from pika import spec

NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, tzinfo=datetime.timezone.utc)
names = set()


def put(library, kind, name, octets, call):
    assert (library, name) not in names, name
    names.add((library, name))
    print(f"# {call}")
    print(f"{library}=={version(library)} {kind} {name} {octets.hex()}")


def put_all(library, kind, calls, encode):
    for name, call in calls.items():
        put(library, kind, name, encode(eval(call)), call)


# pika ------------------------------------------------------------------------------------------------

PIKA_METHODS = {
    "start-ok":
        "spec.Connection.StartOk({'product': 'Pika Python Client Library', 'platform': 'Python 3.11.7', "
        "'capabilities': {'authentication_failure_close': True, 'basic.nack': True, "
        "'connection.blocked': True, 'consumer_cancel_notify': True, 'publisher_confirms': True}, "
        "'information': 'See http://pika.rtfd.org', 'version': '1.3.2'}, "
        "mechanism='PLAIN', response='\\0guest\\0guest', locale='en_US')",
    "tune-ok": "spec.Connection.TuneOk(channel_max=65535, frame_max=131072, heartbeat=60)",
    "open": "spec.Connection.Open(virtual_host='/', insist=True)",
    "close": "spec.Connection.Close(200, 'Normal shutdown', 0, 0)",
    "channel-open": "spec.Channel.Open()",
    "exchange-declare":
        "spec.Exchange.Declare(0, 'logs', 'topic', False, True, True, True, False, "
        "{'alternate-exchange': 'spare'})",
    "queue-declare-server-named": "spec.Queue.Declare(0, '', exclusive=True)",
    "queue-declare-arguments":
        "spec.Queue.Declare(0, 'tasks', durable=True, arguments={'x-message-ttl': 60000, "
        "'x-max-length-bytes': 5000000000, 'x-dead-letter-exchange': 'dlx', "
        "'x-single-active-consumer': True})",
    "queue-bind": "spec.Queue.Bind(0, 'tasks', 'logs', 'kern.*', arguments={})",
    "qos": "spec.Basic.Qos(0, 1, True)",
    "consume": "spec.Basic.Consume(0, 'tasks', 'ctag1.0', False, True, True, False, {'x-priority': -5})",
    "publish": "spec.Basic.Publish(0, 'logs', 'kern.crit', mandatory=True)",
    "publish-utf8": "spec.Basic.Publish(0, 'grüße', 'ключ.日本.😀')",
    "deliver": "spec.Basic.Deliver('ctag1.0', 2**63 + 1, True, 'logs', 'kern.crit')",
    "nack": "spec.Basic.Nack(7, multiple=True, requeue=False)",
    "confirm-select": "spec.Confirm.Select(nowait=True)",
    "tx-commit": "spec.Tx.Commit()",
}

PIKA_PROPERTIES = {
    "none": "pika.BasicProperties()",
    "persistent": "pika.BasicProperties(delivery_mode=2)",
    "rpc": "pika.BasicProperties(reply_to='amq.gen-1', correlation_id='c-42')",
    "all":
        "pika.BasicProperties('text/plain', 'utf-8', {'a': 1, 'b': {'c': [True, None]}}, 1, 9, 'corr', "
        "'back', '60000', 'm-1', 1709208000, 'kind', 'guest', 'app', 'cl')",
}

PIKA_TABLES = {
    "empty": "{}",
    "integers": "{'max': 2147483647, 'min': -2147483648, 'long': 2**63 - 1, 'negative': -2**63}",
    "scalars":
        "{'text': 'grün', 'octets': b'\\x00\\xff', 'yes': True, 'no': False, 'nothing': None, 'at': NOON, "
        "'price': decimal.Decimal('3.14')}",
    "nested": "{'outer': {'inner': {'list': [1, 'two', [True], {'four': 4}]}}, 'empty': []}",
}

PIKA_FRAMES = {
    "content-header": "pika.frame.Header(3, 2**32 + 5, pika.BasicProperties(delivery_mode=2))",
    "content-body": "pika.frame.Body(3, b'hello')",
    "heartbeat": "pika.frame.Heartbeat()",
}


def pika_table(table):
    pieces = []
    pika.data.encode_table(pieces, table)
    return b"".join(pieces)


put_all("pika", "frame", PIKA_METHODS, lambda method: pika.frame.Method(1, method).marshal())
put_all("pika", "properties", PIKA_PROPERTIES, lambda properties: b"".join(properties.encode()))
put_all("pika", "table", PIKA_TABLES, pika_table)
put_all("pika", "frame", PIKA_FRAMES, lambda frame: frame.marshal())

# py-amqp: its own Connection and Channel, on a transport that only keeps what they write ---------------


class Transport:
    connected = True
    written = b""

    def write(self, octets):
        self.written += bytes(octets)

    def taken(self):
        octets, self.written = self.written, b""
        return octets

    def having_timeout(self, _):
        return nullcontext()

    def read_frame(self):
        raise socket.timeout()


connection = amqp.Connection(userid="guest", password="geheim", virtual_host="/prod", heartbeat=30)
connection.channel_max, connection.frame_max = 2047, 131072
connection.transport = transport = Transport()
connection.frame_writer = amqp.method_framing.frame_writer(connection, transport)
channel = amqp.Channel(connection, 9)
channel.wait = connection.wait = lambda *_, **__: ("", 0, 0)

AMQP_CALLS = {
    "start-ok":
        "connection._on_start(0, 9, {'capabilities': {'consumer_cancel_notify': True}}, "
        "'PLAIN AMQPLAIN', 'en_US')",
    "tune-ok": "connection._on_tune(2047, 131072, 60)",
    "channel-open": "channel.open()",
    "exchange-declare":
        "channel.exchange_declare('events', 'headers', durable=True, auto_delete=False, nowait=True, "
        "arguments={'x-big': 2**40})",
    "exchange-bind": "channel.exchange_bind('events', 'source', 'key', arguments={'n': -1})",
    "queue-declare": "channel.queue_declare('jobs', passive=True, auto_delete=False, durable=True)",
    "queue-unbind": "channel.queue_unbind('jobs', 'events', 'key', arguments={'x-match': 'any'})",
    "queue-delete": "channel.queue_delete('jobs', if_unused=True, if_empty=True)",
    "qos": "channel.basic_qos(2**32 - 1, 65535, False)",
    "consume":
        "channel.basic_consume('jobs', 'tag', no_local=True, exclusive=True, arguments={'from': NOON})",
    "ack": "channel.basic_ack(2**64 - 1, multiple=True)",
    "reject": "channel.basic_reject(3, requeue=True)",
    "recover-async": "channel.basic_recover_async(requeue=True)",
    "flow-ok": "channel._x_flow_ok(True)",
}

PUBLISH = (
    "channel.basic_publish(amqp.Message('hällo', delivery_mode=2, application_headers={'k': [1, 2]}, "
    "content_type='text/plain'), 'events', 'key', mandatory=True)")

AMQP_TABLES = {
    "every-type":
        "{'text': 't', 'octets': b'\\x01', 'float': -0.5, 'int': -7, 'long': 2**62, 'negative': -2**62, "
        "'price': decimal.Decimal('-1.5'), 'at': NOON, 'table': {'x': True}, 'array': [False, None, 's']}",
    "int32-minimum": "{'n': -2**31}",
}

for name, call in AMQP_CALLS.items():
    eval(call)
    # The answer to tune is tune-ok and open at once; only the first frame is kept.
    frames = transport.taken()
    put("amqp", "frame", name, frames[:int.from_bytes(frames[3:7], "big") + 8], call)
channel.is_open = True
eval(PUBLISH)
frames = transport.taken()
for name in ["publish", "publish-header", "publish-body"]:
    length = int.from_bytes(frames[3:7], "big") + 8
    put("amqp", "frame", name, frames[:length], PUBLISH)
    frames = frames[length:]
assert frames == b""
put_all("amqp", "table", AMQP_TABLES, lambda table: dumps("F", [table]))
channel.close(404, "gone", (60, 40))
put("amqp", "frame", "close", transport.taken(), "channel.close(404, 'gone', (60, 40))")

# pamqp, on which aiormq and aio-pika stand -----------------------------------------------------------

PAMQP_METHODS = {
    "start":
        "commands.Connection.Start(0, 9, {'capabilities': {'per_consumer_qos': True}, 'product': 'Yutu'}, "
        "'PLAIN AMQPLAIN', 'en_US')",
    "update-secret": "commands.Connection.UpdateSecret('token', 'it expired')",
    "blocked": "commands.Connection.Blocked('low on memory')",
    "channel-close": "commands.Channel.Close(406, 'PRECONDITION_FAILED - unknown tag 1', 60, 80)",
    "exchange-unbind": "commands.Exchange.Unbind(0, 'to', 'from', 'key', True, {'weight': 10})",
    "queue-declare":
        "commands.Queue.Declare(0, 'q', durable=True, "
        "arguments={'x-expires': 1800000, 'x-max-priority': 10})",
    "queue-declare-ok": "commands.Queue.DeclareOk('q', 2**32 - 1, 3)",
    "get": "commands.Basic.Get(0, 'q', no_ack=True)",
    "get-ok": "commands.Basic.GetOk(5, True, 'logs', 'kern', 17)",
    "get-empty": "commands.Basic.GetEmpty()",
    "return": "commands.Basic.Return(312, 'NO_ROUTE', 'logs', 'nowhere')",
    "recover-ok": "commands.Basic.RecoverOk()",
}

PAMQP_PROPERTIES = {
    "none": "commands.Basic.Properties()",
    "all":
        "commands.Basic.Properties('application/json', 'gzip', {'x-retry': 3, 'x-delay': -40000}, 2, 255, "
        "'corr', 'back', '0', 'id', NOON, 'kind', 'guest', 'app')",
}

PAMQP_TABLES = {
    "integers":
        "{'a': -128, 'b': -32768, 'c': 65535, 'd': -2147483648, 'e': 4294967295, 'f': -2**63, "
        "'g': 2**63 - 1}",
    "others":
        "{'a': True, 'b': 1.5, 'c': decimal.Decimal('-0.001'), 'd': bytearray(b'\\x00\\xfe'), 'e': None, "
        "'f': NOON, 'g': [1, [2, 300]], 'h': {'i': 'text'}}",
}

PAMQP_FRAMES = {
    "content-header": "ContentHeader(0, 10, commands.Basic.Properties(app_id='me'))",
    "heartbeat": "Heartbeat()",
}

put_all("pamqp", "frame", PAMQP_METHODS, lambda method: pamqp.frame.marshal(method, 65535))
put_all("pamqp", "properties", PAMQP_PROPERTIES, lambda properties: properties.marshal())
put_all("pamqp", "table", PAMQP_TABLES, pamqp.encode.field_table)
put_all("pamqp", "frame", PAMQP_FRAMES, lambda frame: pamqp.frame.marshal(frame, 2))
