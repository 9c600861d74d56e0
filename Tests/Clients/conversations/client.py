"""A conversation with a broker: connections, channels, and the transcript of all that was said.

Frames are sent when the script says so, and nothing is interpreted for it, except that a close from the
broker is answered. The transcript is the test: every line is either sent (>) or received (<).
"""

import collections
import hashlib
import re
import socket
import struct
import time

import amqp
from amqp import T

PATIENCE_SECONDS = 6  # RabbitMQ holds a refused login for 3 s; a busy machine may double that.

SILENCE = "nothing, though the script waits"

CAPABILITIES = {
    "publisher_confirms": True,
    "exchange_exchange_bindings": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}


class Stuck(Exception):
    """The broker did not say what the script waits for; the transcript has it."""


Event = collections.namedtuple("Event", "name fields properties body sizes", defaults=({}, None, None, ()))
EOF_EVENT = Event("EOF")


class Talk:
    """One conversation: its names, its connections and its transcript."""

    def __init__(self, address, run_id, number):
        self.address, self.prefix = address, f"conv.{run_id}.{number}."
        self.lines, self.connections, self.names = [], [], {}

    def name(self, label):
        """A name no other conversation uses, shown as <label>."""
        assert label not in self.names.values(), label
        name = self.prefix + label
        self.names[name] = label
        return name

    def note(self, text):
        self.log(f"-- {text}")

    def log(self, line):
        self.lines.append(self.normalise(line))

    def normalise(self, line):
        line = re.sub(re.escape(self.prefix) + r"([A-Za-z0-9]+)", r"<\1>", line)
        line = re.sub(r"amq\.(gen|ctag)-[\w-]{10,}", r"<amq.\1>", line)
        line = re.sub(r"(amq\.rabbitmq\.reply-to)\.g[\w/+=.@-]{20,}", r"\1.<address>", line)
        line = re.sub(r"\bT:\d{10}\b", "T:<now>", line)
        return re.sub(r"127\.0\.0\.1:\d+", "<address>", line)

    def raw(self):
        """A TCP connection on which nothing was sent yet."""
        connection = Connection(self, "ABCDEFGH"[len(self.connections)])
        self.connections.append(connection)
        return connection

    def connect(self, **options):
        """An open connection. The handshake is not in the transcript."""
        return self.raw().shake_hands(**options)

    def channel(self, **options):
        """Channel 1, open, of a new connection."""
        return self.connect(**options).channel(1)

    def finish(self):
        """Asks every open channel for what it still has to say, then closes everything."""
        try:
            for connection in self.connections:
                for number in sorted(connection.channels):
                    if connection.channels[number].is_open and not connection.is_gone:
                        connection.channels[number].fence()
        finally:
            for connection in self.connections:
                connection.hang_up()


def show_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, bytes)):
        return amqp.show_text(value)
    if isinstance(value, dict):
        return repr(amqp.typed(value))
    if isinstance(value, list):
        return amqp.show_table(value)
    return repr(value)


def show_body(body):
    if len(body) <= 80:
        return amqp.show_text(body)
    return f"{len(body)} bytes {hashlib.sha1(body).hexdigest()[:12]}"


def show_deaths(properties):
    """The properties with dead-letter headers in one order, less x-last-death-*, new in RabbitMQ 3.13."""
    headers = properties.get("headers")
    if not headers or isinstance(headers, bytes) or "x-death" not in dict(headers):
        return properties
    headers = dict(headers)
    deaths = [T("F", sorted(entry.value, key=lambda row: row[0])) for entry in headers["x-death"].value]
    rows = {k: v for k, v in headers.items() if not k.startswith("x-last-death-")} | {
        "x-death": T("A", deaths)
    }
    return {**properties, "headers": sorted(rows.items())}


def show(name, fields, properties=None, body=None):
    if properties is not None:
        properties = show_deaths(properties)
    words = [name] + [f"{k}={show_value(v)}" for k, v in fields.items()]
    if properties is not None:
        words.append(
            "| " + " ".join([f"{k}={show_value(v)}" for k, v in properties.items()] + [show_body(body)])
        )
    return " ".join(words)


class Connection:
    """One TCP connection, its channels and what came in on each."""

    def __init__(self, talk, label):
        self.talk, self.label = talk, label
        self.socket = socket.create_connection(talk.address, timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.is_gone, self.silent = b"", False, False
        self.inbox = collections.defaultdict(collections.deque)
        self.contents, self.channels, self.frame_max, self.frame_log = {}, {}, 131072, None
        self.answers_close, self.is_ended = True, False

    # Sending

    def log(self, channel, arrow, text):
        if not self.silent:
            self.talk.log(f"{self.label}{channel} {arrow} {text}")

    def write(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # The peer is gone; reading will say so.

    def send_bytes(self, data, note=None):
        """Bytes as they are."""
        self.log("", ">", note or (f"bytes {data.hex()}" if len(data) < 60 else f"{len(data)} bytes"))
        self.write(data)

    def send_frame(self, kind, channel, payload, end=amqp.FRAME_END, size=None):
        """One frame, well-formed or not."""
        text = f"frame type={kind} payload={payload.hex() if len(payload) <= 60 else len(payload)}"
        text += f" size={size}" if size is not None else ""
        text += f" end={end}" if end != amqp.FRAME_END else ""
        self.log(channel, ">", text)
        self.write(amqp.encode_frame(kind, channel, payload, end, size))

    def send(self, name, channel=0, **fields):
        """One method without content."""
        self.log(channel, ">", show(name, fields))
        self.write(amqp.encode_frame(amqp.METHOD, channel, amqp.encode_method(name, fields)))

    # Receiving

    def _read(self, count, deadline):
        while len(self.data) < count and not self.is_gone:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            try:
                chunk = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                chunk = b""
            self.data += chunk
            self.is_gone = not chunk
        return len(self.data) >= count

    def _pump(self, deadline):
        """Reads one frame and files what it completes."""
        if not self._read(7, deadline):
            if self.data:
                self.inbox[0].append(Event("bytes " + self.data.hex()))
                self.data = b""
            return
        if self.data.startswith(b"AMQP"):
            self._read(8, deadline)
            self.inbox[0].append(Event("protocol header " + self.data[4:8].hex(" ")))
            self.data = self.data[8:]
            return
        kind, channel, size = struct.unpack(">BHI", self.data[:7])
        if not self._read(size + 8, deadline):
            return
        payload, end, self.data = self.data[7 : 7 + size], self.data[7 + size], self.data[8 + size :]
        if end != amqp.FRAME_END or size + 8 > self.frame_max:
            raise amqp.Malformed(f"frame end {end}, size {size}")
        if kind == amqp.METHOD:
            name, fields = amqp.decode_method(payload)
            if name in amqp.CONTENT:
                self.contents[channel] = [name, fields, None, None, b"", []]
            else:
                self.inbox[channel].append(Event(name, fields))
        elif kind == amqp.HEARTBEAT:
            self.inbox[0].append(Event("heartbeat"))
        else:
            content = self.contents[channel]
            if kind == amqp.HEADER:
                content[2], content[3] = amqp.decode_header(payload)
            else:
                content[4] += payload
                content[5].append(size)
            if content[2] == len(content[4]):
                del self.contents[channel]
                name, fields, _, properties, body, sizes = content
                self.inbox[channel].append(Event(name, fields, properties, body, tuple(sizes)))

    def receive(self, channel=0, patience=PATIENCE_SECONDS):
        """The next event on the channel, or on channel 0 if that comes first; written down and answered."""
        deadline = time.monotonic() + patience
        while True:
            source = channel if self.inbox[channel] else 0
            if self.inbox[source]:
                event = self.inbox[source].popleft()
                break
            if self.is_gone:
                source, event = "", EOF_EVENT
                break
            try:
                self._pump(deadline)
            except TimeoutError:
                self.log(channel, "<", SILENCE)
                raise Stuck
            except amqp.Malformed as error:
                self.log(channel, "<", f"malformed: {error}")
                raise Stuck
        self._note(source, event)
        return event

    def _note(self, source, event):
        if event.name.endswith(".close") and event.name in ("channel.close", "connection.close"):
            # What the script did not foresee must be readable even in a silent stretch.
            silent, self.silent = self.silent, False
            self.log(source, "<", show_close(event))
            self.silent = silent
            if source in self.channels:
                self.channels[source].is_open = False
            if self.answers_close:
                self.write(amqp.encode_frame(amqp.METHOD, source, amqp.encode_method(event.name + "-ok", {})))
        elif event is EOF_EVENT:
            if not self.is_ended:
                self.log("", "<", "EOF")
            self.is_ended = True
        elif event.name == "connection.start":
            self.log(source, "<", show_start(event))
        else:
            self.log(source, "<", show(*event[:4]))
        if event.name == "connection.close-ok":
            self.is_gone = True  # RabbitMQ leaves it to the client to close the socket.

    def expect_eof(self, patience=PATIENCE_SECONDS):
        """Reads on until the broker closes the connection."""
        while not self.is_ended:
            self.receive(0, patience)

    def verdict(self, number=1):
        """Writes down whether the broker ends the connection, closes the channel, or goes on."""
        event = self.bare_channel(number).fence()
        if event.name == "connection.close":
            self.expect_eof()
        elif event.name.endswith("-ok"):
            self.talk.note("and goes on")

    def rpc(self, name, channel=0, **fields):
        """Sends, and reads until the answer, a close or the end."""
        self.send(name, channel, **fields)
        return self.answer(name, channel)

    def answer(self, name, channel=0):
        wanted = {"basic.get": ("basic.get-ok", "basic.get-empty")}.get(name, (name + "-ok",))
        ends = ("channel.close", "connection.close", "EOF", "protocol header")
        while True:
            event = self.receive(channel)
            if event.name in wanted or event.name in ends:
                return event

    # Life

    def start(self):
        """Sends the protocol header and reads connection.start, outside the transcript."""
        silent, self.silent = self.silent, True
        self.write(amqp.PROTOCOL_HEADER)
        event = self.receive()
        self.silent = silent
        return event

    def start_ok(self, user="guest", password="guest", capabilities=CAPABILITIES, **fields):
        """Logs in. The transcript has only what is unusual."""
        usual = {
            "client_properties": {"product": "conversations", "capabilities": capabilities},
            "mechanism": "PLAIN",
            "response": f"\0{user}\0{password}",
            "locale": "en_US",
        }
        if (user, password) != ("guest", "guest"):
            fields["response"] = usual["response"]
        self.log(0, ">", show("connection.start-ok", fields))
        payload = amqp.encode_method("connection.start-ok", {**usual, **fields})
        self.write(amqp.encode_frame(amqp.METHOD, 0, payload))
        return self.receive()

    def tune_ok(self, channel_max=2047, frame_max=131072, heartbeat=0):
        self.frame_max = frame_max or 2**32
        self.send("connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat)

    def shake_hands(self, vhost="/", user="guest", password="guest", capabilities=CAPABILITIES, **tuning):
        self.silent = True
        self.start()
        self.start_ok(user, password, capabilities)
        self.tune_ok(**tuning)
        self.send("connection.open", virtual_host=vhost)
        if self.receive().name != "connection.open-ok":
            self.talk.log(f"{self.label} does not open")
            raise Stuck
        self.silent = False
        return self

    def channel(self, number):
        """The channel, opened outside the transcript."""
        channel = self.bare_channel(number)
        self.silent = True
        channel.open()
        self.silent = False
        return channel

    def bare_channel(self, number):
        """The channel, not opened."""
        return self.channels.setdefault(number, Channel(self, number))

    def close(self):
        """An orderly close, in the transcript."""
        self.rpc("connection.close", reply_code=200, reply_text="bye")

    def hang_up(self):
        """Ends the connection without a word in the transcript, but not before the broker has let go."""
        self.silent, self.talk = True, Talk(self.talk.address, "", 0)
        try:
            if self.channels and not self.is_gone:
                self.rpc("connection.close", reply_code=200, reply_text="bye")
        except Stuck:
            pass
        self.drop()

    def drop(self):
        """Closes the socket at once."""
        self.is_gone = True
        self.socket.close()


class Channel:
    """One channel of a connection."""

    def __init__(self, connection, number):
        self.connection, self.number, self.is_open, self.talk = connection, number, False, connection.talk

    def open(self):
        event = self.rpc("channel.open")
        self.is_open = event.name == "channel.open-ok"
        return event

    def reopen(self):
        """Opens the channel again, outside the transcript, after the broker closed it."""
        self.connection.silent = True
        self.open()
        self.connection.silent = False

    def send(self, name, **fields):
        self.connection.send(name, self.number, **fields)

    def receive(self):
        return self.connection.receive(self.number)

    def rpc(self, name, **fields):
        return self.connection.rpc(name, self.number, **fields)

    def close(self):
        self.is_open = False
        return self.rpc("channel.close", reply_code=200, reply_text="done")

    def publish(self, exchange, key, body="", properties=None, **fields):
        """basic.publish with its content, split by frame_max."""
        body, properties = amqp.octets(body), properties or {}
        shown = {"exchange": exchange, "routing_key": key, **fields}
        self.connection.log(self.number, ">", show("basic.publish", shown, properties, body))
        frames = [
            (amqp.METHOD, amqp.encode_method("basic.publish", shown)),
            (amqp.HEADER, amqp.encode_header(len(body), properties)),
        ]
        step = self.connection.frame_max - 8
        frames += [(amqp.BODY, body[i : i + step]) for i in range(0, len(body), step)]
        self.connection.write(b"".join(amqp.encode_frame(kind, self.number, data) for kind, data in frames))

    def ask(self, name, **fields):
        """A call whose own lines stay out of the transcript; what else comes meanwhile is written."""
        connection = self.connection
        payload = amqp.encode_method(name, fields)
        connection.write(amqp.encode_frame(amqp.METHOD, self.number, payload))
        while True:
            connection.silent = self._next_is(name + "-ok")
            event = connection.receive(self.number)
            connection.silent = False
            if event.name in (name + "-ok", "channel.close", "connection.close", "EOF"):
                return event

    def _next_is(self, name):
        deadline = time.monotonic() + PATIENCE_SECONDS
        connection, inbox = self.connection, self.connection.inbox
        while not inbox[self.number] and not inbox[0] and not connection.is_gone:
            try:
                connection._pump(deadline)
            except (TimeoutError, amqp.Malformed):
                return False
        return bool(inbox[self.number]) and inbox[self.number][0].name == name

    def fence(self):
        """Waits until the channel has handled all that was sent on it; writes down what came."""
        return self.ask("exchange.declare", exchange="amq.direct", type="direct", passive=True)

    def settle(self, *queues):
        """As fence, and until the queues have handed over all that they can.

        RabbitMQ's queues answer a passive declare before messages that came earlier, hence two of them.
        """
        for queue in queues + queues:
            if self.is_open and not self.connection.is_gone:
                self.ask("queue.declare", queue=queue, passive=True)
        if self.is_open and not self.connection.is_gone:
            self.fence()

    def confirmed(self, count):
        """Waits until publishes 1...count are settled; writes down which were acked, not in which steps."""
        connection, acked, nacked = self.connection, set(), set()
        while len(acked) + len(nacked) < count:
            connection.silent = self._next_is("basic.ack") or self._next_is("basic.nack")
            event = connection.receive(self.number)
            connection.silent = False
            if event.name not in ("basic.ack", "basic.nack"):
                if event.name in ("basic.return", "basic.deliver"):
                    continue
                return
            tag, both = event.fields["delivery_tag"], acked | nacked
            tags = {n for n in range(1, tag + 1) if n not in both} if event.fields["multiple"] else {tag}
            (acked if event.name == "basic.ack" else nacked).update(tags)
        connection.log(self.number, "<", f"confirms: acked {sorted(acked)} nacked {sorted(nacked)}")

    # Words that make scripts short

    def queue(self, name, **fields):
        """Declares a queue outside the transcript; gives its name."""
        return self.ask("queue.declare", queue=name, **fields).fields.get("queue", name)

    def exchange(self, name, kind="direct", **fields):
        self.ask("exchange.declare", exchange=name, type=kind, **fields)
        return name

    def bind(self, queue, exchange, key="", **fields):
        self.ask("queue.bind", queue=queue, exchange=exchange, routing_key=key, **fields)

    def fill(self, queue, *bodies, properties=None):
        """Publishes to the queue outside the transcript."""
        self.connection.silent = True
        for body in bodies:
            self.publish("", queue, body, properties)
        self.connection.silent = False
        self.settle(queue)

    def counts(self, queue):
        """Writes down how many messages are ready and how many consumers there are."""
        self.settle(queue)
        fields = self.ask("queue.declare", queue=queue, passive=True).fields
        self.connection.log(
            self.number,
            "<",
            f"{show_value(queue)} has {fields.get('message_count')} ready,"
            f" {fields.get('consumer_count')} consumers",
        )

    def get(self, queue, **fields):
        return self.rpc("basic.get", queue=queue, **fields)

    def wait_for(self, queue, count):
        """Waits until the queue has that many messages ready, as after another connection's end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.ask("queue.declare", queue=queue, passive=True).fields.get("message_count") != count:
            if time.monotonic() > deadline:
                self.connection.log(self.number, "<", f"{show_value(queue)} never has {count} ready")
                raise Stuck
            time.sleep(0.02)

    def drain(self, queue):
        """Gets all messages of the queue, unlogged, and writes down their bodies in order."""
        bodies = []
        while True:
            event = self._quiet_get(queue)
            if event.name != "basic.get-ok":
                break
            bodies.append(
                amqp.show_text(event.body) + (" redelivered" if event.fields["redelivered"] else "")
            )
        self.connection.log(self.number, "<", f"{show_value(queue)} held [{', '.join(bodies)}]")

    def _quiet_get(self, queue):
        self.connection.silent = True
        event = self.rpc("basic.get", queue=queue, no_ack=True)
        self.connection.silent = False
        return event


def show_close(event):
    """The close as a line. Where RabbitMQ dumps Erlang terms, any text will do, hence the '...'."""
    fields = dict(event.fields)
    fields["reply_text"] = re.sub(
        r" - (type \d+, (all|first 16) octets = |cannot decode <<).*",
        " - ...",
        fields["reply_text"],
        flags=re.S,
    )
    return show(event.name, fields)


SERVER_PROPERTIES = {
    "capabilities",
    "cluster_name",
    "copyright",
    "information",
    "platform",
    "product",
    "version",
}


def show_start(event):
    """connection.start as a line: RabbitMQ's own server properties, sorted; only capabilities show values."""
    fields, properties = dict(event.fields), []
    for key, value in sorted(fields["server_properties"], key=lambda row: row[0]):
        if value.kind == "F":
            properties.append((key, T("F", sorted(value.value, key=lambda row: row[0]))))
        elif key in SERVER_PROPERTIES:
            properties.append((key, T(value.kind, f"<{key}>")))
    fields["server_properties"] = properties
    fields["mechanisms"] = " ".join(sorted(fields["mechanisms"].split()))
    return show(event.name, fields)
