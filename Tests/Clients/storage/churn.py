"""Clients that make, change and delete durable things until the broker goes, and what must be there after.

A value that a call in flight may or may not have changed is `None` until a start shows which. Of messages,
`must` were confirmed, `may` can be there, and `doomed` were taken or purged: they may come back until a later
publish to the same queue was confirmed. Judges only its own slot.
"""

import threading
import time

import wire

EXCHANGE = "churn"
KINDS = ("direct", "fanout", "x-consistent-hash")


class Slot:
    """A queue and an exchange of its own, a connection for each life."""

    def __init__(self, index, chance):
        self.index, self.chance = index, chance
        self.queue, self.exchange, self.key = f"churn-{index}", f"churn-x-{index}", f"key-{index}"
        self.has_queue = self.has_exchange = self.is_bound = self.leads = False
        self.must, self.may, self.doomed = [], set(), set()
        self.bodies = 0
        self.calls = 0
        self.findings = []
        self.broker = self.line = None
        self.unconfirmed = {}

    # A life

    def live(self, broker):
        self.broker, self.thread = broker, threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            self.connect()
            while True:
                self.chance.choice(self.possible())()
                self.calls += 1
        except wire.Gone:
            pass
        except (wire.Closed, TimeoutError, AssertionError) as error:
            self.findings.append(f"{self.queue}: {type(error).__name__} {error}")
        finally:
            if self.line:
                self.line.drop()

    def connect(self):
        self.tag, self.unconfirmed, self.returned = 0, {}, []
        self.line = self.broker.line(self.heard)
        self.line.open_channel(confirms=True)

    def heard(self, event):
        if event.name == "basic.return":
            self.returned.append(event.body)
        elif event.name == "basic.ack":
            tag = event.fields["delivery_tag"]
            for one in [one for one in self.unconfirmed if one == tag or event.fields["multiple"] and one < tag]:
                body = self.unconfirmed.pop(one)
                if body in self.may:
                    self.may.discard(body)
                    self.must.append(body)
        else:
            self.findings.append(f"{self.queue}: {event.name} {event.fields}")

    def possible(self):
        calls = [self.delete_exchange, self.lead] if self.has_exchange else [self.declare_exchange]
        if not self.has_queue:
            return [*calls, self.declare_queue]
        return [*calls, self.bind, self.unbind, self.purge, self.delete_queue, *[self.publish] * 5, self.take]

    def call(self, name, **fields):
        return self.line.call(1, name, **fields)

    # The calls: what is uncertain until the answer is None before it.

    def declare_queue(self):
        self.has_queue = None
        self.call("queue.declare", queue=self.queue, durable=True)
        self.has_queue, self.is_bound, self.leads = True, False, False
        self.must, self.may, self.doomed = [], set(), set()

    def delete_queue(self):
        self.has_queue = None
        self.call("queue.delete", queue=self.queue)
        self.has_queue = self.is_bound = self.leads = False
        self.must, self.may, self.doomed = [], set(), set()

    def bind(self):
        self.is_bound = self.is_bound or None
        self.call("queue.bind", queue=self.queue, exchange=EXCHANGE, routing_key=self.key)
        self.is_bound = True

    def unbind(self):
        self.is_bound = None if self.is_bound else self.is_bound
        self.call("queue.unbind", queue=self.queue, exchange=EXCHANGE, routing_key=self.key)
        self.is_bound = False

    def declare_exchange(self):
        self.has_exchange, self.leads = None, False
        self.kind = self.chance.choice(KINDS)
        self.call("exchange.declare", exchange=self.exchange, type=self.kind, durable=True)
        self.has_exchange = True

    def delete_exchange(self):
        self.has_exchange = None
        self.call("exchange.delete", exchange=self.exchange)
        self.has_exchange = self.leads = False

    def lead(self):
        """Binds the exchange to the queue."""
        if not self.has_queue:
            return
        self.leads = self.leads or None
        self.call("queue.bind", queue=self.queue, exchange=self.exchange, routing_key="1")
        self.leads = True

    def publish(self):
        """A few, and waits for their confirms; in between nothing else is asked of the queue."""
        gone = set(self.doomed)
        for _ in range(self.chance.randint(1, 12)):
            self.send("", self.queue, self.new_body())
        self.await_confirms()
        self.doomed -= gone

    def new_body(self):
        self.bodies += 1
        size = self.chance.choice((0, 100, 5000))
        body = f"{self.queue} {self.bodies} ".encode() + bytes(size)
        self.may.add(body)
        return body

    def send(self, exchange, key, body, mode=2, mandatory=False):
        self.tag += 1
        self.unconfirmed[self.tag] = body
        self.line.publish(1, exchange, key, body, {"delivery_mode": mode}, mandatory=mandatory)

    def await_confirms(self):
        deadline = time.monotonic() + wire.PATIENCE_SECONDS
        while self.unconfirmed:
            self.line.pump(0.5)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.unconfirmed)} publishes were not confirmed")

    def purge(self):
        self.doom(self.must)
        self.must = []
        self.call("queue.purge", queue=self.queue)

    def doom(self, bodies):
        self.doomed |= set(bodies)

    def take(self):
        for _ in range(self.chance.randint(1, 5)):
            if self.must:
                self.doom(self.must[:1])
                wanted = self.must.pop(0)
                event = self.call("basic.get", queue=self.queue, no_ack=True)
                # What is doomed may have come back, or its removal may be on its way.
                if event.name == "basic.get-empty" or event.body != wanted:
                    raise AssertionError(f"got {show(event)}, not {wanted[:20]!r}")

    # After a start

    def check(self, broker):
        """Compares, and takes what is there as the state from now on."""
        self.broker = broker
        self.connect()
        self._check_exchange()
        found = self.is_there("queue.declare", queue=self.queue)
        if self.has_queue not in (None, found):
            self.wrong(f"the queue {'is there' if found else 'is missing'}")
        self.has_queue = found
        if found:
            self._check_messages()
            self._check_ways()
        else:
            self.must, self.may, self.doomed = [], set(), set()
            self.is_bound = self.leads = False
        self.line.close()

    def _check_exchange(self):
        found = self.is_there("exchange.declare", exchange=self.exchange, type="direct")
        if self.has_exchange not in (None, found):
            self.wrong(f"the exchange {'is there' if found else 'is missing'}")
        self.has_exchange = found
        if found:
            self.call("exchange.declare", exchange=self.exchange, type=self.kind, durable=True)
        else:
            self.leads = False

    def _check_messages(self):
        """Takes them all."""
        bodies = []
        while (event := self.call("basic.get", queue=self.queue, no_ack=True)).name == "basic.get-ok":
            bodies.append(event.body)
        if missing := [body for body in self.must if body not in bodies]:
            self.wrong(f"{len(missing)} of {len(self.must)} messages are missing, such as {missing[0][:20]!r}")
        allowed = set(self.must) | self.may | self.doomed
        if risen := [body for body in bodies if body not in allowed]:
            self.wrong(f"{len(risen)} messages rose from the dead, such as {risen[0][:20]!r}")
        numbers = [int(body.split()[1]) for body in bodies]
        if numbers != sorted(set(numbers)):
            self.wrong(f"the order is {numbers}")
        self.doom(bodies)
        self.must, self.may = [], set()

    def _check_ways(self):
        ways = [("is_bound", EXCHANGE, self.key)]
        if self.has_exchange:
            ways.append(("leads", self.exchange, "1"))
        for word, exchange, key in ways:
            self.send(exchange, key, b"way", mode=1, mandatory=True)
            self.await_confirms()
            found = not self.returned
            self.returned.clear()
            if getattr(self, word) not in (None, found):
                self.wrong(f"the binding to '{exchange}' {'is there' if found else 'is missing'}")
            setattr(self, word, found)
            if found:
                self.call("basic.get", queue=self.queue, no_ack=True)

    def is_there(self, name, **fields):
        self.line.call(2, "channel.open")
        try:
            self.line.call(2, name, passive=True, **fields)
        except wire.Closed as closed:
            if closed.code != 404:
                raise
            return False
        self.line.call(2, "channel.close", reply_code=200)
        return True

    def wrong(self, text):
        self.findings.append(f"{self.queue} after {self.calls} calls: {text}")


def show(event):
    return event.name if event.name == "basic.get-empty" else repr(event.body[:20])
