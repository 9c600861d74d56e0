"""What clients know of each message: when it was sent, confirmed, delivered and acked. Judges nothing.

A *life* is one run of the broker, from its start to its end. A *copy* is a message in one queue. Times are
nanoseconds of one monotonic clock, so that things on different connections can be put in order.
"""

import struct
import threading
import time
import zlib
from dataclasses import dataclass, field

HEAD = struct.Struct(">QII")  # the message's number, the length of what follows, its checksum


@dataclass(slots=True)
class Message:
    number: int
    publisher: str
    sequence: int
    queues: tuple
    persistent: bool
    life: int
    sent: int
    priority: int = 0
    due: float = 0  # wall clock; 0: at once
    transaction: int = 0
    confirmed: int = 0  # when; 0: not (yet)
    was_refused: bool = False
    was_rolled_back: bool = False  # or not committed


@dataclass(slots=True)
class Delivery:
    queue: str
    message: Message
    redelivered: bool
    consumer: str
    life: int
    at: int
    wall: float
    is_back: bool = False  # though its ack had been stored
    may_repeat: bool = False  # it was given back, or its channel went: this life may see it again


@dataclass(slots=True)
class Copy:
    """A message in a queue."""

    deliveries: list = field(default_factory=list)
    acked: int = 0  # when the first ack was sent
    acked_in: int = 0  # the life of the last ack
    processed: int = 0  # when a round trip on the channel of that ack, after it, had ended
    is_closed: bool = False  # it must not come back


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.messages = []  # by number
        self.copies = {}  # queue -> {number -> Copy}
        self.open = {}  # queue -> the same, without those that must not come back
        self.deliveries = []
        self.findings = []  # what was wrong at once: a message nobody sent, for example
        self.unsettled_queues = set()  # (life, queue) where a channel went, so that marks and order are loose
        self.sequences = {}
        self.life = 0
        self.ends = {}  # life -> "kill" or "stop"
        self.last_confirmed = {}  # (life, queue) -> when the last publish that was confirmed was sent
        self.transactions = 0

    # Lives

    def begin_life(self):
        self.life += 1
        return self.life

    def end_life(self, how):
        """All clients have seen the end. Closes the copies whose acks must have been stored."""
        self.ends[self.life] = how
        if how == "stop":
            # Connections are closed one after the other, and what one gives back goes to the next.
            self.unsettled_queues.update((self.life, queue) for queue in self.copies)
        for queue, copies in self.open.items():
            fence = self.last_confirmed.get((self.life, queue), 0)
            for number, copy in list(copies.items()):
                if copy.acked_in == self.life and copy.processed and (
                    how == "stop" or copy.processed < fence
                ):
                    copy.is_closed = True
                    del copies[number]

    # Publishers

    def transaction(self):
        with self.lock:
            self.transactions += 1
            return self.transactions

    def publish(self, publisher, queues, *, persistent=True, size=0, **more):
        """A new message and its body; it counts as sent."""
        with self.lock:
            number = len(self.messages)
            sequence = self.sequences[publisher] = self.sequences.get(publisher, 0) + 1
            message = Message(
                number, publisher, sequence, tuple(queues), persistent, self.life, time.monotonic_ns(), **more
            )
            self.messages.append(message)
            for queue in queues:
                copy = Copy()
                self.copies.setdefault(queue, {})[number] = copy
                self.open.setdefault(queue, {})[number] = copy
        return message, body(number, size)

    def confirm(self, message):
        with self.lock:
            message.confirmed = time.monotonic_ns()
            if message.persistent:
                for queue in message.queues:
                    key = message.life, queue
                    self.last_confirmed[key] = max(self.last_confirmed.get(key, 0), message.sent)

    def refuse(self, message):
        message.was_refused = True
        with self.lock:
            self.findings.append(f"refused: {name(message)} for {message.queues}")

    # Consumers

    def deliver(self, queue, octets, redelivered, consumer):
        """Returns the Delivery, or None for a message that nobody sent there."""
        with self.lock:
            message = self._message(queue, octets)
            if message is None:
                return None
            now, wall = time.monotonic_ns(), time.time()
            copy = self.copies[queue][message.number]
            is_back = copy.is_closed or bool(copy.processed and copy.acked_in == self.life)
            delivery = Delivery(queue, message, redelivered, consumer, self.life, now, wall, is_back)
            self.deliveries.append(delivery)
            copy.deliveries.append(delivery)
            return delivery

    def _message(self, queue, octets):
        number = number_in(octets)
        if number is None or number >= len(self.messages):
            self.findings.append(f"damaged: {len(octets)} octets from '{queue}' are no message of ours")
            return None
        message = self.messages[number]
        if queue not in message.queues:
            self.findings.append(f"astray: {name(message)} came from '{queue}', not {message.queues}")
            return None
        return message

    def ack(self, delivery):
        """It was sent."""
        with self.lock:
            copy = self.copies[delivery.queue][delivery.message.number]
            copy.acked = copy.acked or time.monotonic_ns()
            copy.acked_in, copy.processed = delivery.life, 0

    def processed(self, deliveries):
        """A round trip on the channel of their acks has ended."""
        with self.lock:
            now = time.monotonic_ns()
            for delivery in deliveries:
                self.copies[delivery.queue][delivery.message.number].processed = now

    def give_back(self, delivery):
        delivery.may_repeat = True

    def channel_went(self, queue):
        """With deliveries that nobody has seen, perhaps, and acks that the broker has not."""
        with self.lock:
            self.unsettled_queues.add((self.life, queue))

    # Questions

    def owed(self, queue):
        """How many messages the queue must hold at least and may hold at most, just after a start."""
        least = most = 0
        for number, copy in self.open.get(queue, {}).items():
            message = self.messages[number]
            if not message.persistent or message.was_rolled_back:
                continue
            most += 1
            if message.confirmed and not copy.acked:
                least += 1
        return least, most


def body(number, size):
    padding = (number.to_bytes(4, "big") * (size // 4 + 1))[:size]
    return HEAD.pack(number, size, zlib.crc32(padding)) + padding


def number_in(octets):
    """The number of the message whose whole body this is, or None."""
    if len(octets) < HEAD.size:
        return None
    number, size, checksum = HEAD.unpack_from(octets)
    padding = octets[HEAD.size :]
    return number if len(padding) == size and zlib.crc32(padding) == checksum else None


def name(message):
    return f"message {message.number} ({message.publisher} {message.sequence}, life {message.life})"
