"""The AMQP 0-9-1 wire format with RabbitMQ's extensions: bytes to values and back. Knows no sockets."""

import struct

METHODS_TEXT = """
connection 10
  10 start version_major:octet version_minor:octet server_properties:table
     mechanisms:longstr locales:longstr
  11 start-ok client_properties:table mechanism:shortstr response:longstr locale:shortstr
  20 secure challenge:longstr
  21 secure-ok response:longstr
  30 tune channel_max:short frame_max:long heartbeat:short
  31 tune-ok channel_max:short frame_max:long heartbeat:short
  40 open virtual_host:shortstr reserved_1:shortstr reserved_2:bit
  41 open-ok reserved_1:shortstr
  50 close reply_code:short reply_text:shortstr class_id:short method_id:short
  51 close-ok
  60 blocked reason:shortstr
  61 unblocked
  70 update-secret new_secret:longstr reason:shortstr
  71 update-secret-ok
channel 20
  10 open reserved_1:shortstr
  11 open-ok reserved_1:longstr
  20 flow active:bit
  21 flow-ok active:bit
  40 close reply_code:short reply_text:shortstr class_id:short method_id:short
  41 close-ok
access 30
  10 request realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit
  11 request-ok ticket:short
exchange 40
  10 declare ticket:short exchange:shortstr type:shortstr passive:bit durable:bit
     auto_delete:bit internal:bit nowait:bit arguments:table
  11 declare-ok
  20 delete ticket:short exchange:shortstr if_unused:bit nowait:bit
  21 delete-ok
  30 bind ticket:short destination:shortstr source:shortstr routing_key:shortstr nowait:bit arguments:table
  31 bind-ok
  40 unbind ticket:short destination:shortstr source:shortstr routing_key:shortstr nowait:bit arguments:table
  51 unbind-ok
queue 50
  10 declare ticket:short queue:shortstr passive:bit durable:bit exclusive:bit auto_delete:bit
     nowait:bit arguments:table
  11 declare-ok queue:shortstr message_count:long consumer_count:long
  20 bind ticket:short queue:shortstr exchange:shortstr routing_key:shortstr nowait:bit arguments:table
  21 bind-ok
  30 purge ticket:short queue:shortstr nowait:bit
  31 purge-ok message_count:long
  40 delete ticket:short queue:shortstr if_unused:bit if_empty:bit nowait:bit
  41 delete-ok message_count:long
  50 unbind ticket:short queue:shortstr exchange:shortstr routing_key:shortstr arguments:table
  51 unbind-ok
basic 60
  10 qos prefetch_size:long prefetch_count:short global:bit
  11 qos-ok
  20 consume ticket:short queue:shortstr consumer_tag:shortstr no_local:bit no_ack:bit exclusive:bit
     nowait:bit arguments:table
  21 consume-ok consumer_tag:shortstr
  30 cancel consumer_tag:shortstr nowait:bit
  31 cancel-ok consumer_tag:shortstr
  40 publish ticket:short exchange:shortstr routing_key:shortstr mandatory:bit immediate:bit
  50 return reply_code:short reply_text:shortstr exchange:shortstr routing_key:shortstr
  60 deliver consumer_tag:shortstr delivery_tag:longlong redelivered:bit
     exchange:shortstr routing_key:shortstr
  70 get ticket:short queue:shortstr no_ack:bit
  71 get-ok delivery_tag:longlong redelivered:bit exchange:shortstr routing_key:shortstr message_count:long
  72 get-empty cluster_id:shortstr
  80 ack delivery_tag:longlong multiple:bit
  90 reject delivery_tag:longlong requeue:bit
  100 recover-async requeue:bit
  110 recover requeue:bit
  111 recover-ok
  120 nack delivery_tag:longlong multiple:bit requeue:bit
tx 90
  10 select
  11 select-ok
  20 commit
  21 commit-ok
  30 rollback
  31 rollback-ok
confirm 85
  10 select nowait:bit
  11 select-ok
"""

# The flag bits of the content header count down from bit 15 in this order.
PROPERTIES = [
    ("content_type", "shortstr"),
    ("content_encoding", "shortstr"),
    ("headers", "table"),
    ("delivery_mode", "octet"),
    ("priority", "octet"),
    ("correlation_id", "shortstr"),
    ("reply_to", "shortstr"),
    ("expiration", "shortstr"),
    ("message_id", "shortstr"),
    ("timestamp", "longlong"),
    ("type", "shortstr"),
    ("user_id", "shortstr"),
    ("app_id", "shortstr"),
    ("cluster_id", "shortstr"),
]

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
CONTENT = {"basic.publish", "basic.return", "basic.deliver", "basic.get-ok"}


def _read_methods():
    ids, names, class_name, class_id = {}, {}, "", 0
    for line in METHODS_TEXT.replace("\n     ", " ").strip().splitlines():
        words = line.split()
        if not line.startswith(" "):
            class_name, class_id = words[0], int(words[1])
            continue
        name = f"{class_name}.{words[1]}"
        fields = [tuple(w.split(":")) for w in words[2:]]
        ids[name] = (class_id, int(words[0]), fields)
        names[class_id, int(words[0])] = name
    return ids, names


METHODS, NAMES = _read_methods()


class Malformed(Exception):
    """The peer's bytes are no AMQP 0-9-1."""


class T:
    """A field-table value with its wire type, as in T("s", -5)."""

    def __init__(self, kind, value=None):
        self.kind, self.value = kind, value

    def __repr__(self):
        kind, value = self.kind, self.value
        if kind == "F":
            return show_table(value)
        if kind == "A":
            return "[" + ", ".join(map(repr, value)) + "]"
        if kind == "V":
            return "void"
        if kind == "t":
            return "true" if value else "false"
        if kind == "S":
            return show_text(value)
        if kind == "D":
            return f"D:{value[1]}e-{value[0]}"
        if kind == "x":
            return f"x:{bytes(value).hex()}"
        return f"{kind}:{value!r}"


def show_text(value):
    """A string as one line of printable ASCII."""
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return repr(data)[1:]


def show_table(table):
    return "{" + ", ".join(f"{k}: {v!r}" for k, v in table) + "}"


NUMBERS = {
    "b": ">b",
    "B": ">B",
    "s": ">h",
    "u": ">H",
    "I": ">i",
    "i": ">I",
    "l": ">q",
    "L": ">q",
    "f": ">f",
    "d": ">d",
    "T": ">Q",
}


def typed(value):
    """The T that a plain Python value becomes in a table."""
    if isinstance(value, T):
        return value
    if value is None:
        return T("V")
    if isinstance(value, bool):
        return T("t", value)
    if isinstance(value, int):
        return T("I" if -(2**31) <= value < 2**31 else "l", value)
    if isinstance(value, float):
        return T("d", value)
    if isinstance(value, (str, bytes)):
        return T("S", value)
    if isinstance(value, dict):
        return T("F", [(k, typed(v)) for k, v in value.items()])
    if isinstance(value, (list, tuple)):
        return T("A", [typed(v) for v in value])
    raise TypeError(f"no field-table type for {value!r}")


def octets(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def encode_value(value):
    value = typed(value)
    kind, v = value.kind, value.value
    if kind in NUMBERS:
        data = struct.pack(NUMBERS[kind], v)
    elif kind in "Sx":
        data = struct.pack(">I", len(octets(v))) + octets(v)
    elif kind == "t":
        data = b"\x01" if v else b"\x00"
    elif kind == "V":
        data = b""
    elif kind == "D":
        data = struct.pack(">BI", *v)
    elif kind == "F":
        data = encode_table(v)
    elif kind == "A":
        inner = b"".join(map(encode_value, v))
        data = struct.pack(">I", len(inner)) + inner
    else:
        data = octets(v)  # An invented type: the bytes as they are.
    return kind.encode("latin-1") + data


def encode_table(table):
    rows = table.items() if isinstance(table, dict) else table
    inner = b"".join(encode("shortstr", k) + encode_value(v) for k, v in rows)
    return struct.pack(">I", len(inner)) + inner


INTEGERS = {"octet": ">B", "short": ">H", "long": ">I", "longlong": ">Q"}


def encode(kind, value):
    if kind in INTEGERS:
        return struct.pack(INTEGERS[kind], value)
    if kind == "table":
        return value if isinstance(value, bytes) else encode_table(value)
    data = octets(value)
    return (struct.pack(">B", len(data)) if kind == "shortstr" else struct.pack(">I", len(data))) + data


DEFAULTS = {"shortstr": "", "longstr": "", "table": {}, "bit": False}


def encode_method(name, values):
    """The payload of a method frame; fields that are not given are zero or empty."""
    class_id, method_id, fields = METHODS[name]
    unknown = set(values) - {f for f, _ in fields}
    assert not unknown, f"{name} has no field {unknown}"
    out, bits, used = struct.pack(">HH", class_id, method_id), 0, 0
    for field, kind in fields:
        value = values.get(field, DEFAULTS.get(kind, 0))
        if kind == "bit":
            bits |= bool(value) << used
            used += 1
            continue
        if used:
            out, bits, used = out + bytes([bits]), 0, 0
        out += encode(kind, value)
    return out + (bytes([bits]) if used else b"")


def encode_header(size, properties, class_id=60, weight=0):
    """The payload of a content header frame."""
    flags, out = 0, b""
    for i, (name, kind) in enumerate(PROPERTIES):
        if name in properties:
            flags |= 1 << (15 - i)
            out += encode(kind, properties[name])
    return struct.pack(">HHQH", class_id, weight, size, flags) + out


def encode_frame(kind, channel, payload, end=FRAME_END, size=None):
    return struct.pack(">BHI", kind, channel, len(payload) if size is None else size) + payload + bytes([end])


class Reader:
    """Takes values off the front of a payload."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, form):
        return self.take(self.number(form)).decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind in INTEGERS:
            return self.number(INTEGERS[kind])
        if kind == "shortstr":
            return self.text(">B")
        if kind == "longstr":
            return self.text(">I")
        return self.table()

    def table(self):
        inner, rows = Reader(self.take(self.number(">I"))), []
        while inner.at < len(inner.data):
            rows.append((inner.text(">B"), inner.field()))
        return rows

    def field(self):
        kind = self.take(1).decode("latin-1")
        if kind in NUMBERS:
            return T(kind, self.number(NUMBERS[kind]))
        if kind == "S":
            return T(kind, self.text(">I"))
        if kind == "x":
            return T(kind, self.take(self.number(">I")))
        if kind == "t":
            return T(kind, self.take(1) != b"\x00")
        if kind == "V":
            return T(kind)
        if kind == "D":
            return T(kind, (self.number(">B"), self.number(">I")))
        if kind == "F":
            return T(kind, self.table())
        if kind == "A":
            inner, items = Reader(self.take(self.number(">I"))), []
            while inner.at < len(inner.data):
                items.append(inner.field())
            return T(kind, items)
        raise Malformed(f"field type {kind!r}")


def decode_method(payload):
    """(name, fields in order) of a method frame's payload."""
    reader = Reader(payload)
    key = reader.number(">H"), reader.number(">H")
    if key not in NAMES:
        raise Malformed(f"method {key}")
    name, values, bits, used = NAMES[key], {}, 0, 8
    for field, kind in METHODS[name][2]:
        if kind == "bit":
            if used == 8:
                bits, used = reader.number(">B"), 0
            values[field] = bool(bits >> used & 1)
            used += 1
        else:
            used = 8
            values[field] = reader.value(kind)
    if reader.at != len(payload):
        raise Malformed(f"{len(payload) - reader.at} bytes after the arguments of {name}")
    return name, values


def decode_header(payload):
    """(body size, properties in order) of a content header's payload."""
    reader = Reader(payload)
    class_id, weight, size, flags = (reader.number(f) for f in (">H", ">H", ">Q", ">H"))
    if class_id != 60 or weight != 0:
        raise Malformed(f"content header of class {class_id}, weight {weight}")
    values = {name: reader.value(kind) for i, (name, kind) in enumerate(PROPERTIES) if flags & 1 << (15 - i)}
    if reader.at != len(payload):
        raise Malformed(f"{len(payload) - reader.at} bytes after the properties")
    return size, values
