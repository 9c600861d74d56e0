"""Judges a history: what was lost, what came back, what came in the wrong order. Knows no client.

lost        confirmed and persistent, but from one of its queues it never came to somebody who acked it
back        acked, the channel's round trip after the ack ended, later a persistent publish to the same queue
            was sent and confirmed in that life (or the life ended in order): the ack was stored before that
            publish was; and still it was delivered again
twice       delivered again in one life though nobody had given it back and no channel had gone
disorder    two messages of one publisher, of one priority, in one queue, to one consumer, in one life, each
            for the first time in that life, not in the order in which they were sent
unmarked    delivered before, and delivered again without `redelivered`
marked      `redelivered` in the life it was sent in, though nobody had seen it and no channel had gone
outlived    transient, and delivered in a later life than it was sent in
undone      rolled back, and delivered
early       delayed, and delivered before its time
damaged, astray   see History
"""

from collections import Counter
from dataclasses import dataclass, field

from history import name

EARLY_SECONDS = 0.002  # clocks are read at different moments


@dataclass
class Findings:
    texts: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)  # what is allowed, but worth a look

    def add(self, kind, text):
        self.texts.append(f"{kind}: {text}")

    def kinds(self):
        return Counter(text.split(":", 1)[0] for text in self.texts)

    def __str__(self):
        if not self.texts:
            return ""
        shown = "\n".join(self.texts[:20])
        more = f"\n… and {len(self.texts) - 20} more" if len(self.texts) > 20 else ""
        return f"{dict(self.kinds())}\n{shown}{more}"


def check(history, *, is_drained):
    """`is_drained`: the queues were emptied by consumers who acked all, so what has not come is lost."""
    findings = Findings(list(history.findings))
    if is_drained:
        _find_lost(history, findings)
    for queue, copies in history.copies.items():
        for copy in copies.values():
            _check_copy(history, queue, copy, findings)
    _check_order(history, findings)
    _count(history, findings)
    return findings


def _find_lost(history, findings):
    for queue, copies in history.copies.items():
        for number, copy in copies.items():
            message = history.messages[number]
            # In the last life nothing was killed, so that transient messages count too.
            must_be_there = message.persistent or message.life == history.life
            if copy.acked or not message.confirmed or not must_be_there or message.was_rolled_back:
                continue
            seen = f"delivered {len(copy.deliveries)} times, never acked" if copy.deliveries else "never seen"
            findings.add("lost", f"{name(message)} in '{queue}', confirmed, {seen}")


def _check_copy(history, queue, copy, findings):
    before = None
    for delivery in copy.deliveries:
        message = delivery.message
        what = f"{name(message)} from '{queue}' in life {delivery.life}"
        is_loose = (delivery.life, queue) in history.unsettled_queues
        if before is None:
            if delivery.redelivered and delivery.life == message.life and not is_loose:
                findings.add("marked", what)
            if delivery.redelivered:
                findings.counts["redelivered without being seen before"] += 1
        else:
            if not delivery.redelivered:
                findings.add("unmarked", f"{what}, seen in life {before.life}")
            if before.life == delivery.life:
                if not before.may_repeat and not is_loose:
                    findings.add("twice", what)
            else:
                findings.counts["seen again in a later life"] += 1
        if not message.persistent and delivery.life > message.life:
            findings.add("outlived", what)
        if message.was_rolled_back:
            findings.add("undone", what)
        if message.due and delivery.wall < message.due - EARLY_SECONDS:
            findings.add("early", f"{what}, by {message.due - delivery.wall:.3f} s")
        if delivery.is_back:
            findings.add("back", what)
        before = delivery


def _check_order(history, findings):
    seen = set()  # (queue, number, life)
    last = {}  # (queue, life, consumer, publisher, priority) -> sequence
    for delivery in history.deliveries:
        message = delivery.message
        once = delivery.queue, message.number, delivery.life
        is_loose = (delivery.life, delivery.queue) in history.unsettled_queues
        if once in seen or message.due or (delivery.redelivered and is_loose):
            continue
        seen.add(once)
        key = delivery.queue, delivery.life, delivery.consumer, message.publisher, message.priority
        if message.sequence < last.get(key, 0):
            text = f"{name(message)} came after {last[key]} from '{delivery.queue}' in life {delivery.life}"
            findings.add("disorder", text)
        last[key] = message.sequence


def _count(history, findings):
    counts = findings.counts
    counts["sent"] = len(history.messages)
    counts["confirmed"] = sum(1 for message in history.messages if message.confirmed)
    counts["delivered"] = len(history.deliveries)
    for copies in history.copies.values():
        for copy in copies.values():
            if copy.acked and any(one.at > copy.acked for one in copy.deliveries):
                counts["acked, and seen again"] += 1
    torn = Counter()
    for message in history.messages:
        if message.transaction and not message.confirmed and not message.was_rolled_back:
            came = any(history.copies[queue][message.number].deliveries for queue in message.queues)
            torn[message.transaction] |= 1 << came
    counts["transactions that were cut, in part there"] = sum(1 for ways in torn.values() if ways == 3)
