"""Clients of the crash test, a thread and a connection each, that live until the broker goes.

They tell the history what they do and see, and judge nothing.
"""

import collections
import threading
import time
from dataclasses import dataclass, field

import wire

PAUSE_SECONDS = 0.03
CONNECTION_FORCED = 320
MOST_OPEN = 4000  # messages of a queue that wait, or whose acks may not be stored: then its publishers pause


@dataclass(frozen=True)
class Route:
    """Where a publisher sends, and which queues that reaches."""

    queues: tuple
    exchange: str = ""
    key: str = ""
    headers: dict = field(default_factory=dict)
    sizes: tuple = ((0.7, 200), (0.95, 20_000), (1, 200_000))  # up to this chance, up to so many octets
    rate: float = 150  # messages a second
    window: int = 100  # unconfirmed messages
    transient: float = 0  # the chance that one is
    most_delay: float = 0  # seconds
    most_priority: int = 0


class Client(threading.Thread):
    """`work` runs until the broker goes, or `retire` was called."""

    def __init__(self, name, broker, history, chance):
        super().__init__(name=name, daemon=True)
        self.broker, self.history, self.chance = broker, history, chance
        self.is_retired = threading.Event()
        self.is_blocked = False  # the broker said so
        self.line = None

    def run(self):
        try:
            self.line = self.broker.line(self.heard)
            self.work()
            self.line.close()
        except wire.Gone:
            pass
        except wire.Closed as closed:
            if closed.code != CONNECTION_FORCED:
                self.complain(closed)
        except Exception as error:  # a finding like any other: the test fails with it
            self.complain(f"{type(error).__name__} {error}")
        finally:
            if self.line:
                self.line.drop()

    def complain(self, what):
        self.history.findings.append(f"client: {self.name} in life {self.history.life}: {what}")

    def retire(self):
        self.is_retired.set()

    def pump(self, seconds=PAUSE_SECONDS):
        self.line.pump(seconds)
        if refusal := self.line.refusal():
            raise refusal

    def heard(self, event):
        if event.name in ("connection.blocked", "connection.unblocked"):
            self.is_blocked = event.name == "connection.blocked"
        else:
            self.complain(f"{event.name} {event.fields}")


class Publisher(Client):
    """With confirms."""

    def __init__(self, route, *context):
        super().__init__(*context)
        self.route = route
        self.unconfirmed = collections.OrderedDict()
        self.last_tag = 0

    def work(self):
        self.line.open_channel(confirms=True)
        due = time.monotonic()
        while not (self.is_retired.is_set() and not self.unconfirmed):
            while time.monotonic() >= due and self.may_publish():
                self.last_tag += 1
                self.unconfirmed[self.last_tag] = self.publish()
                due = max(due, time.monotonic() - 0.5) + 1 / self.route.rate
                self.pump(0)
            self.pump(max(0.0005, min(PAUSE_SECONDS, due - time.monotonic())))

    def may_publish(self):
        if self.is_retired.is_set() or len(self.unconfirmed) >= self.route.window:
            return False
        return all(len(self.history.open.get(queue, ())) < MOST_OPEN for queue in self.route.queues)

    def publish(self, **more):
        route, chance = self.route, self.chance
        persistent = chance.random() >= route.transient
        properties = {"delivery_mode": 2 if persistent else 1}
        headers = dict(route.headers)
        if route.most_priority:
            more["priority"] = properties["priority"] = chance.randrange(route.most_priority + 1)
        if route.most_delay:
            delay = chance.randrange(1, int(route.most_delay * 1000))
            headers["x-delay"] = delay
            more["due"] = time.time() + delay / 1000
        if headers:
            properties["headers"] = headers
        message, body = self.history.publish(
            self.name, route.queues, persistent=persistent, size=self.size(), **more
        )
        self.line.publish(1, route.exchange, route.key, body, properties)
        return message

    def size(self):
        dice = self.chance.random()
        most = next(octets for share, octets in self.route.sizes if dice <= share)
        return self.chance.randrange(most + 1)

    def heard(self, event):
        if event.name not in ("basic.ack", "basic.nack"):
            return super().heard(event)
        tag, multiple = event.fields["delivery_tag"], event.fields["multiple"]
        tags = [one for one in self.unconfirmed if one <= tag] if multiple else [tag]
        for one in tags:
            if (message := self.unconfirmed.pop(one, None)) is None:
                self.complain(f"{event.name} {tag} of no message")
            elif event.name == "basic.ack":
                self.history.confirm(message)
            else:
                self.history.refuse(message)


class TransactionPublisher(Publisher):
    """Commits one to twenty messages at a time, or rolls them back."""

    def work(self):
        self.line.open_channel()
        self.line.call(1, "tx.select")
        while not self.is_retired.is_set():
            self.pump()
            if not all(len(self.history.open.get(queue, ())) < MOST_OPEN for queue in self.route.queues):
                continue
            number = self.history.transaction()
            # Until the commit is sent they must not come, whatever happens.
            count = self.chance.randrange(1, 21)
            messages = [self.publish(transaction=number, was_rolled_back=True) for _ in range(count)]
            if self.chance.random() < 0.2:
                self.line.call(1, "tx.rollback")
                continue
            for message in messages:
                message.was_rolled_back = False
            self.line.call(1, "tx.commit")
            for message in messages:
                self.history.confirm(message)


@dataclass(frozen=True)
class Habit:
    """How a consumer works."""

    prefetch: int = 50
    together: int = 1  # so many are acked with one `multiple`
    returns: float = 0  # the chance that one is given back
    leaves: float = 0  # the chance, after a message, that the channel is closed with what it has not acked


class Consumer(Client):
    def __init__(self, queue, habit, *context):
        super().__init__(*context)
        self.queue, self.habit = queue, habit
        self.inbox = collections.deque()  # (tag, delivery)
        self.unacked = []  # to be acked together: (tag, delivery)
        self.unsure = []  # deliveries whose acks were sent after the last round trip
        self.is_leaving = False
        self.sittings = 0

    def heard(self, event):
        if event.name != "basic.deliver":
            return super().heard(event)
        if self.is_leaving:
            return  # the channel's end was sent: that it came is nothing the broker must know
        fields = event.fields
        consumer = f"{self.name} {self.sittings}"
        delivery = self.history.deliver(self.queue, event.body, fields["redelivered"], consumer)
        if delivery:
            self.inbox.append((fields["delivery_tag"], delivery))

    def work(self):
        self.sit_down()
        while not self.is_retired.is_set():
            self.pump(0 if self.inbox else PAUSE_SECONDS)
            if not self.inbox:
                self.ack_together()
                self.make_sure()
            while self.inbox:
                self.handle(*self.inbox.popleft())
                if self.chance.random() < self.habit.leaves:
                    self.leave()
                    self.sit_down()
                    break
                self.pump(0)
        self.ack_together()
        self.make_sure()

    def sit_down(self):
        self.sittings += 1
        self.is_leaving = False
        self.line.call(1, "channel.open")
        self.line.call(1, "basic.qos", prefetch_count=self.habit.prefetch)
        self.line.call(1, "basic.consume", queue=self.queue, consumer_tag="c")

    def leave(self):
        self.history.channel_went(self.queue)
        self.is_leaving = True
        self.line.call(1, "channel.close", reply_code=200)
        self.inbox.clear()
        self.unacked.clear()
        self.unsure.clear()

    def handle(self, tag, delivery):
        if self.chance.random() < self.habit.returns:
            self.ack_together()  # `multiple` must not ack what is given back
            self.history.give_back(delivery)
            self.line.send(1, "basic.nack", delivery_tag=tag, requeue=True)
            return
        self.unacked.append((tag, delivery))
        if len(self.unacked) >= self.habit.together:
            self.ack_together()
        if len(self.unsure) >= 40:
            self.make_sure()

    def ack_together(self):
        if not self.unacked:
            return
        for _, delivery in self.unacked:
            self.history.ack(delivery)
            self.unsure.append(delivery)
        self.line.ack(1, self.unacked[-1][0], multiple=len(self.unacked) > 1)
        self.unacked.clear()

    def make_sure(self):
        """A round trip: what was sent before has been read."""
        if self.unsure:
            sure, self.unsure = self.unsure, []
            self.line.call(1, "basic.qos", prefetch_count=self.habit.prefetch)
            self.history.processed(sure)


class Getter(Consumer):
    """Asks for one after the other with basic.get."""

    def work(self):
        self.line.call(1, "channel.open")
        while not self.is_retired.is_set():
            event = self.line.call(1, "basic.get", queue=self.queue)
            if event.name == "basic.get-empty":
                self.ack_together()
                self.make_sure()
                self.pump()
                continue
            event.name = "basic.deliver"
            self.heard(event)
            self.handle(*self.inbox.popleft())
        self.ack_together()
        self.make_sure()

    def make_sure(self):
        if self.unsure:
            sure, self.unsure = self.unsure, []
            self.line.call(1, "basic.qos", prefetch_count=0)
            self.history.processed(sure)
