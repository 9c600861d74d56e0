"""The crash test: a broker with all kinds of queues that lives many short lives. Knows no checks but those
after a start; the history is judged by checker.py."""

import random
import time

import wire
from checker import check
from clients import Consumer, Getter, Habit, Publisher, Route, TransactionPublisher
from history import History

DRAIN_SECONDS = 90
# Lines of the section [data]: in some lives queues keep next to nothing in memory.
MEMORIES = ("", "queue_memory = 65536\n", "queue_memory = 16384\nmemory = 1048576\n")
MEGABYTE = ((1, 1 << 20),)
FANOUT = ("wide-1", "wide-2", "wide-3")

# name -> type, arguments
EXCHANGES = {
    "keys": ("direct", {}),
    "topics": ("topic", {}),
    "all": ("fanout", {}),
    "front": ("direct", {"alternate-exchange": "all"}),
    "heads": ("headers", {}),
    "later": ("x-delayed-message", {"x-delayed-type": "direct"}),
    "hashes": ("x-consistent-hash", {}),
}

# name -> arguments
QUEUES = {
    "plain": {"x-message-ttl": 3_600_000},
    "got": {},
    "many": {},
    "returns": {},
    "leaving": {},
    "wide-1": {},
    "wide-2": {},
    "wide-3": {},
    "booked": {},
    "graded": {"x-max-priority": 5},
    "delayed": {},
    "hashed": {"x-expires": 3_600_000},
    "long": {},
}

# queue or exchange, source, key, arguments
BINDINGS = [
    ("queue", "got", "keys", "get", {}),
    ("queue", "many", "topics", "a.*.#", {}),
    ("queue", "returns", "heads", "", {"x-match": "all", "kind": "r", "n": 1}),
    ("exchange", "all", "front", "wide", {}),
    *(("queue", queue, "all", "", {}) for queue in FANOUT),
    ("queue", "delayed", "later", "d", {}),
    ("queue", "hashed", "hashes", "10", {}),
]

PUBLISHERS = {
    "plain": [Route(("plain",), key="plain", transient=0.2), Route(("plain",), key="plain", window=1)],
    "got": [Route(("got",), "keys", "get", rate=80)],
    "many": [Route(("many",), "topics", "a.b.c", rate=250, window=300)],
    "returns": [Route(("returns",), "heads", headers={"kind": "r", "n": 1})],
    "leaving": [Route(("leaving",), key="leaving")],
    "wide": [
        Route(FANOUT, "front", "wide", sizes=MEGABYTE, rate=8, window=8),
        Route(FANOUT, "front", "no such key", rate=40),
    ],
    "graded": [Route(("graded",), key="graded", most_priority=5, transient=0.1)],
    "delayed": [Route(("delayed",), "later", "d", rate=60, most_delay=6)],
    "hashed": [Route(("hashed",), "hashes", "anything", rate=60)],
    "long": [Route(("long",), key="long", rate=40, transient=0.1)],
}

BOOKED = Route(("booked",), key="booked", transient=0.1)

CONSUMERS = {
    "plain": [Habit(prefetch=20), Habit(prefetch=1)],
    "many": [Habit(prefetch=200, together=25)],
    "returns": [Habit(prefetch=30, returns=0.1), Habit(prefetch=5, returns=0.1, together=3)],
    "leaving": [Habit(prefetch=10, leaves=0.03), Habit(prefetch=10, together=4)],
    "wide-1": [Habit(prefetch=10)],
    "wide-2": [Habit(prefetch=10, together=5)],
    "booked": [Habit(prefetch=50)],
    "graded": [Habit(prefetch=3)],
    "delayed": [Habit()],
    "hashed": [Habit()],
}


class Wrong(AssertionError):
    """A start did not bring back what was there."""


class Missing(Wrong):
    """Confirmed messages are not there."""


class Crash:
    def __init__(self, broker, seed, config="[data]\n"):
        """`config` ends within the section [data]."""
        self.broker = broker
        self.config = config
        self.seed = seed
        self.chance = random.Random(seed)
        self.history = History()
        self.passing = None  # the connection that holds what must not outlive its life

    # Definitions

    def declare(self):
        line = self.broker.line()
        line.open_channel()
        for name, (kind, arguments) in EXCHANGES.items():
            line.call(1, "exchange.declare", exchange=name, type=kind, durable=True, arguments=arguments)
        for name, arguments in QUEUES.items():
            line.call(1, "queue.declare", queue=name, durable=True, arguments=arguments)
        for kind, name, source, key, arguments in BINDINGS:
            where = {"queue": name} if kind == "queue" else {"destination": name}
            fields = {"routing_key": key, "arguments": arguments, **where}
            if kind == "queue":
                line.call(1, "queue.bind", exchange=source, **fields)
            else:
                line.call(1, "exchange.bind", source=source, **fields)
        line.close()

    def leave_passing_things(self):
        """What is not durable, on a connection that stays."""
        line = self.passing = self.broker.line()
        line.open_channel()
        line.call(1, "exchange.declare", exchange="passing", type="fanout")
        line.call(1, "queue.declare", queue="passing")
        line.call(1, "queue.declare", queue="mine", exclusive=True, durable=True)
        for queue in ("passing", "mine"):
            line.publish(1, "", queue, b"gone tomorrow", {"delivery_mode": 2})
        line.call(1, "queue.declare", queue="passing", passive=True)

    def look_around(self):
        """After a start: definitions, and the number of messages in each queue."""
        line = self.broker.line()
        line.open_channel()
        for name, (kind, arguments) in EXCHANGES.items():
            line.call(1, "exchange.declare", exchange=name, type=kind, durable=True, arguments=arguments)
        counts = {}
        for name, arguments in QUEUES.items():
            line.call(1, "queue.declare", queue=name, passive=True)
            found = line.call(1, "queue.declare", queue=name, durable=True, arguments=arguments)
            if name != "delayed":
                counts[name] = (found.fields["message_count"], *self.history.owed(name))
        for name, (count, least, most) in counts.items():
            if count < least:
                raise Missing(f"'{name}' holds {count} messages, and must hold {least} at least")
        for name, (count, least, most) in counts.items():
            if count > most:
                raise Wrong(f"'{name}' holds {count} messages, and can hold {most} at most")
        changed = self.chance.choice(list(QUEUES))
        self.expect_refusal(406, "queue.declare", queue=changed, durable=True, arguments={"x-max-length": 7})
        for name in ("passing", "mine"):
            self.expect_refusal(404, "queue.declare", queue=name, passive=True)
        self.expect_refusal(404, "exchange.declare", exchange="passing", type="fanout", passive=True)
        line.close()

    def expect_refusal(self, code, method, **fields):
        line = self.broker.line()
        line.open_channel()
        try:
            line.call(1, method, **fields)
        except wire.Closed as closed:
            if closed.code == code:
                return line.drop()
            raise
        raise Wrong(f"{method} {fields} was accepted in life {self.history.life}")

    # Lives

    def cast(self):
        """The clients of a life."""
        context = (self.broker, self.history)
        clients = []

        def add(make, name, *parts):
            clients.append(make(*parts, name, *context, random.Random(self.chance.random())))

        for name, routes in PUBLISHERS.items():
            for index, route in enumerate(routes):
                add(Publisher, f"p-{name}-{index}", route)
        add(TransactionPublisher, "p-booked", BOOKED)
        for queue, habits in CONSUMERS.items():
            for index, habit in enumerate(habits):
                add(Consumer, f"c-{queue}-{index}", queue, habit)
        add(Getter, "c-got", "got", Habit(together=self.chance.choice((1, 5))))
        return clients

    def begin(self, environment=None):
        life = self.history.begin_life()
        self.broker.configure(self.config + self.chance.choice(MEMORIES))
        self.broker.start(environment)
        if life == 1:
            self.declare()
        else:
            self.look_around()
        self.leave_passing_things()

    def live(self, seconds, *, how="kill"):
        """Clients come, the broker works for so long, and ends."""
        clients = self.cast()
        for client in clients:
            client.start()
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self.broker.runs:
            time.sleep(min(0.05, max(0, ends - time.monotonic())))
        self.end(how, clients)

    def end(self, how, clients=()):
        self.broker.kill() if how == "kill" else self.broker.stop()
        for client in clients:
            client.join(wire.PATIENCE_SECONDS)
            if client.is_alive():
                raise Wrong(f"{client.name} did not see the end of life {self.history.life}")
        if self.passing:
            self.passing.drop()
        self.history.end_life(how)

    def die_at_birth(self, seconds):
        """Killed so soon after its start, perhaps while it recovers."""
        self.history.begin_life()
        self.broker.start_and_kill(seconds)
        self.history.end_life("kill")

    # The end

    def drain(self):
        """Takes all that is there, and stops in order."""
        began = time.monotonic()
        context = (self.broker, self.history)
        # One for each queue: then order can be seen.
        habit = Habit(prefetch=300, together=50)
        clients = [Consumer(queue, habit, f"d-{queue}", *context, random.Random(1)) for queue in QUEUES]
        for client in clients:
            client.start()
        overseer = self.broker.line()
        overseer.open_channel()
        deadline = began + DRAIN_SECONDS
        while not (self.is_empty(overseer, clients)):
            if time.monotonic() > deadline or not any(client.is_alive() for client in clients):
                break
            time.sleep(0.1)
        for client in clients:
            client.retire()
        for client in clients:
            client.join(wire.PATIENCE_SECONDS)
        # What was only waiting for an ack would be back now.
        left = {queue: count for queue in QUEUES if (count := self.count(overseer, queue))}
        overseer.close()
        if left:
            self.history.findings.append(f"stuck: after the drain there are still {left}")
        self.end("stop")
        return time.monotonic() - began

    def is_empty(self, overseer, clients):
        if any(client.inbox or client.unacked for client in clients):
            return False
        now = time.time()
        for number, copy in list(self.history.open.get("delayed", {}).items()):
            message = self.history.messages[number]
            if message.confirmed and not copy.acked and now < message.due + 5 and message.persistent:
                return False  # it has not come yet
        return not any(self.count(overseer, queue) for queue in QUEUES)

    def count(self, line, queue):
        return line.call(1, "queue.declare", queue=queue, passive=True).fields["message_count"]

    def judge(self):
        return check(self.history, is_drained=True)
