"""A quick AMQP connection for many messages: what comes is told to a listener at once. Knows no test.

The wire format itself is conversations/amqp.py's; only what is sent or comes often is packed here by hand.
"""

import select
import socket
import struct
import time

import amqp

PATIENCE_SECONDS = 60  # for an answer; a debug build on a busy machine
FRAME_OCTETS = 131072
CAPABILITIES = {
    "publisher_confirms": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "authentication_failure_close": True,
}
DELIVER, GET_OK, ACK = struct.pack(">HH", 60, 60), struct.pack(">HH", 60, 71), struct.pack(">HH", 60, 80)


class Gone(Exception):
    """The broker has ended the connection, or never was there."""


class Closed(Exception):
    """The broker closed the channel, or the connection, with a code and a text."""

    def __init__(self, name, code, text):
        super().__init__(f"{name} {code} {text}")
        self.code, self.text = code, text


class Event:
    """A method that came, with its content if it has one."""

    __slots__ = ("name", "channel", "fields", "header", "body", "missing")

    def __init__(self, name, channel, fields):
        self.name, self.channel, self.fields = name, channel, fields
        self.header, self.body, self.missing = b"", b"", 0

    @property
    def properties(self):
        return amqp.decode_header(self.header)[1]


class Line:
    """One connection. `listener(event)` gets deliveries, confirms, returns and what else nobody asked for.

    A listener must send nothing: it is called while frames are taken in, perhaps in the middle of sending.
    """

    def __init__(self, port, listener=None, *, user="guest", password="guest"):
        self.listener = listener or (lambda event: None)
        self.is_broken = False  # nothing can be sent any more, but what came before the end can be read
        self.received = bytearray()
        self.answers = []
        self.unfinished = {}  # channel -> Event whose content is on its way
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        except OSError as error:
            raise Gone(str(error)) from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._write(amqp.PROTOCOL_HEADER)
        self._answer(("connection.start",))
        self.send(
            0,
            "connection.start-ok",
            client_properties={"product": "storage tests", "capabilities": CAPABILITIES},
            mechanism="PLAIN",
            response=f"\0{user}\0{password}",
            locale="en_US",
        )
        self._answer(("connection.tune",))
        self.send(0, "connection.tune-ok", channel_max=2047, frame_max=FRAME_OCTETS, heartbeat=0)
        self.call(0, "connection.open", virtual_host="/")

    # Sending

    def send(self, channel, name, **fields):
        self._write(amqp.encode_frame(amqp.METHOD, channel, amqp.encode_method(name, fields)))

    def call(self, channel, name, **fields):
        """Sends, and waits for the answer, whose event it returns."""
        self.send(channel, name, **fields)
        wanted = (name + "-ok",) if name != "basic.get" else ("basic.get-ok", "basic.get-empty")
        return self._answer(wanted)

    def open_channel(self, channel=1, *, confirms=False):
        self.call(channel, "channel.open")
        if confirms:
            self.call(channel, "confirm.select")

    def publish(self, channel, exchange, key, body, properties, mandatory=False):
        fields = {"exchange": exchange, "routing_key": key, "mandatory": mandatory}
        frames = [
            amqp.encode_frame(amqp.METHOD, channel, amqp.encode_method("basic.publish", fields)),
            amqp.encode_frame(amqp.HEADER, channel, amqp.encode_header(len(body), properties)),
        ]
        step = FRAME_OCTETS - 8
        for at in range(0, len(body), step):
            frames.append(amqp.encode_frame(amqp.BODY, channel, body[at : at + step]))
        self._write(b"".join(frames))

    def ack(self, channel, tag, multiple=False):
        self._write(struct.pack(">BHI4sQBB", 1, channel, 13, ACK, tag, multiple, amqp.FRAME_END))

    def _write(self, octets):
        """Reads too while the broker does not take more, for it may wait for us to read."""
        if self.is_broken:
            return
        view = memoryview(octets)
        deadline = time.monotonic() + PATIENCE_SECONDS
        try:
            while view:
                readable, writable, _ = select.select([self.socket], [self.socket], [], 1)
                if writable:
                    view = view[self.socket.send(view, socket.MSG_DONTWAIT) :]
                elif readable:
                    self._receive()
                elif time.monotonic() > deadline:
                    raise TimeoutError("the broker takes nothing any more")
        except BlockingIOError:
            self._write(view)
        except (ConnectionError, BrokenPipeError):
            self.is_broken = True

    # Receiving

    def pump(self, seconds=0.0):
        """Takes in what has come, or comes within that time."""
        readable, _, _ = select.select([self.socket], [], [], seconds)
        if readable:
            self._receive()

    def _receive(self):
        try:
            octets = self.socket.recv(1 << 18)
        except OSError as error:
            raise Gone(str(error)) from None
        if not octets:
            raise Gone("the connection ended")
        self.received += octets
        self._take_frames()

    def _take_frames(self):
        received, at = self.received, 0
        while len(received) - at >= 8:
            kind, channel, size = struct.unpack_from(">BHI", received, at)
            if len(received) - at < size + 8:
                break
            assert received[at + size + 7] == amqp.FRAME_END, "the frame has no end"
            self._take(kind, channel, bytes(received[at + 7 : at + 7 + size]))
            at += size + 8
        del received[:at]

    def _take(self, kind, channel, payload):
        if kind == amqp.METHOD:
            event = self._event(channel, payload)
            if event.name in amqp.CONTENT:
                self.unfinished[channel] = event
            else:
                self._came(event)
        elif kind == amqp.HEADER:
            event = self.unfinished[channel]
            event.header = payload
            event.missing = struct.unpack_from(">Q", payload, 4)[0]
            event.body = []
            self._end_content(event)
        elif kind == amqp.BODY:
            event = self.unfinished[channel]
            event.body.append(payload)
            event.missing -= len(payload)
            self._end_content(event)

    def _event(self, channel, payload):
        method = payload[:4]
        if method == DELIVER:
            at = 5 + payload[4]
            tag, redelivered = struct.unpack_from(">QB", payload, at)
            consumer = payload[5:at].decode()
            fields = {"consumer_tag": consumer, "delivery_tag": tag, "redelivered": bool(redelivered)}
            return Event("basic.deliver", channel, fields)
        if method == ACK:
            tag, multiple = struct.unpack_from(">QB", payload, 4)
            return Event("basic.ack", channel, {"delivery_tag": tag, "multiple": bool(multiple)})
        return Event(*_swap(channel, amqp.decode_method(payload)))

    def _end_content(self, event):
        if event.missing == 0:
            del self.unfinished[event.channel]
            event.body = b"".join(event.body)
            self._came(event)

    def _came(self, event):
        if event.name in ("channel.close", "connection.close"):
            self.send(event.channel, event.name + "-ok")
            self.answers.append(event)
        elif event.name.endswith("-ok") or event.name in ("basic.get-empty", *STARTS):
            self.answers.append(event)
        else:
            self.listener(event)

    def _answer(self, wanted):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            while self.answers:
                event = self.answers.pop(0)
                if event.name in wanted:
                    return event
                if event.name.endswith(".close"):
                    raise Closed(event.name, event.fields["reply_code"], event.fields["reply_text"])
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {' or '.join(wanted)} within {PATIENCE_SECONDS} s")
            self.pump(1)

    # Life

    def refusal(self):
        """What the broker closed the channel or the connection for, if it did."""
        for event in self.answers:
            if event.name.endswith(".close"):
                return Closed(event.name, event.fields["reply_code"], event.fields["reply_text"])
        return None

    def close(self):
        """In order."""
        self.call(0, "connection.close", reply_code=200, reply_text="bye")
        self.drop()

    def drop(self):
        """Without a word."""
        self.socket.close()


STARTS = ("connection.start", "connection.tune")


def _swap(channel, decoded):
    name, fields = decoded
    return name, channel, fields
