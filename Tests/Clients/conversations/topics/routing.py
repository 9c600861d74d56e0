"""Which binding matches which message: topic patterns, headers tables, direct keys."""

from amqp import T, typed
from corpus import Topic

topic = Topic("routing")

PATTERNS = [
    "a",
    "a.b",
    "a.b.c",
    "*",
    "*.*",
    "*.*.*",
    "#",
    "#.#",
    "a.*",
    "*.a",
    "a.#",
    "#.a",
    "#.a.#",
    "a.*.c",
    "a.#.c",
    "*.#",
    "#.*",
    "*.b.*",
    "#.b.#",
    "a.*.#",
    "*.#.*",
    "",
    ".",
    "..",
    "a.",
    ".a",
    "a..b",
    "*.",
    "a*",
    "#a",
    "A",
    "a.#.b.#.c",
    "a.#.#.c",
    "#.#.a",
    "*.*.#",
]
KEYS = [
    "",
    "a",
    "b",
    "a.b",
    "b.a",
    "a.b.c",
    "a.c",
    "a.x.c",
    "a.x.y.c",
    "x.a.y",
    ".",
    "..",
    "a.",
    ".a",
    "a..b",
    "a..",
    "*",
    "#",
    "a.*",
    "a.#",
    "A",
    "a*",
    "#a",
    "a.b.x.c",
    "a.x.b.y.c",
    "a.b.c.d.e.f",
]


@topic.each({repr(pattern): pattern for pattern in PATTERNS})
def a_topic_pattern_matches(talk, pattern):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(talk.name("x"), "topic")
    channel.bind(queue, exchange, pattern)
    channel.connection.silent = True
    for key in KEYS:
        channel.publish(exchange, key, key)
    channel.connection.silent = False
    channel.drain(queue)


@topic
def topic_bindings_come_and_go(talk):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(talk.name("x"), "topic")
    for pattern in ("a.#", "a.*", "#"):
        channel.bind(queue, exchange, pattern)
    for pattern in ("a.#", "#", "a.*"):
        channel.publish(exchange, "a.b", f"before {pattern} goes")
        channel.rpc("queue.unbind", queue=queue, exchange=exchange, routing_key=pattern)
    channel.publish(exchange, "a.b", "no binding")
    channel.drain(queue)


@topic
def topic_routes_to_many_queues(talk):
    channel = talk.channel()
    exchange = channel.exchange(talk.name("x"), "topic")
    queues = {
        key: channel.queue(talk.name(f"q{i}"), exclusive=True)
        for i, key in enumerate(["stock.usd.*", "stock.#", "*.usd.nyse", "#.nyse", "stock.eur.#", "#"])
    }
    for key, queue in queues.items():
        channel.bind(queue, exchange, key)
    for key in ("stock.usd.nyse", "stock.eur.db", "bond.usd.nyse", "stock"):
        channel.publish(exchange, key, key)
    for queue in queues.values():
        channel.drain(queue)


@topic
def direct_compares_the_whole_key(talk):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(talk.name("x"))
    for key in ("a", "a.*", "", "ä"):
        channel.bind(queue, exchange, key)
    for key in ("a", "A", "a.b", "a.*", "", "ä", "aa", "#"):
        channel.publish(exchange, key, repr(key))
    channel.drain(queue)


@topic
def fanout_ignores_the_key(talk):
    channel = talk.channel()
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    exchange = channel.exchange(talk.name("x"), "fanout")
    channel.bind(one, exchange, "k")
    channel.bind(two, exchange, "")
    channel.bind(two, exchange, "again")
    for key in ("k", "", "x"):
        channel.publish(exchange, key, repr(key))
    channel.drain(one)
    channel.drain(two)


# Each row is published to a queue bound with each table.
BINDINGS = {
    "no arguments": {},
    "all of nothing": {"x-match": "all"},
    "any of nothing": {"x-match": "any"},
    "all-with-x of nothing": {"x-match": "all-with-x"},
    "any-with-x of nothing": {"x-match": "any-with-x"},
    "a=1": {"a": 1},
    "all a=1": {"x-match": "all", "a": 1},
    "any a=1": {"x-match": "any", "a": 1},
    "all a=1 b=2": {"x-match": "all", "a": 1, "b": 2},
    "any a=1 b=2": {"x-match": "any", "a": 1, "b": 2},
    "all a=void": {"x-match": "all", "a": None},
    "any a=void": {"x-match": "any", "a": None},
    "all a=void b=2": {"x-match": "all", "a": None, "b": 2},
    "all a='1'": {"x-match": "all", "a": "1"},
    "all a=1.0": {"x-match": "all", "a": 1.0},
    "all a=l:1": {"x-match": "all", "a": T("l", 1)},
    "all a=true": {"x-match": "all", "a": True},
    "all x-a=1": {"x-match": "all", "x-a": 1},
    "any x-a=1": {"x-match": "any", "x-a": 1},
    "all x-a=1 b=2": {"x-match": "all", "x-a": 1, "b": 2},
    "all-with-x x-a=1": {"x-match": "all-with-x", "x-a": 1},
    "any-with-x x-a=1": {"x-match": "any-with-x", "x-a": 1},
    "all-with-x x-a=1 b=2": {"x-match": "all-with-x", "x-a": 1, "b": 2},
    "any-with-x x-a=1 b=2": {"x-match": "any-with-x", "x-a": 1, "b": 2},
    "all a=[1]": {"x-match": "all", "a": [1]},
    "all a={k:1}": {"x-match": "all", "a": {"k": 1}},
    "all a=''": {"x-match": "all", "a": ""},
    "all A=1": {"x-match": "all", "A": 1},
    "x-match last": {"a": 1, "b": 2, "x-match": "any"},
}
MESSAGES = {
    "none": None,
    "empty": {},
    "a=1": {"a": 1},
    "a=2": {"a": 2},
    "b=2": {"b": 2},
    "a=1 b=2": {"a": 1, "b": 2},
    "a=1 b=3": {"a": 1, "b": 3},
    "a=1 c=3": {"a": 1, "c": 3},
    "a=l:1": {"a": T("l", 1)},
    "a=1.0": {"a": 1.0},
    "a='1'": {"a": "1"},
    "a=true": {"a": True},
    "a=void": {"a": None},
    "a=''": {"a": ""},
    "x-a=1": {"x-a": 1},
    "x-a=1 b=2": {"x-a": 1, "b": 2},
    "x-a=2 b=2": {"x-a": 2, "b": 2},
    "a=[1]": {"a": [1]},
    "a=[l:1]": {"a": [T("l", 1)]},
    "a={k:1}": {"a": {"k": 1}},
    "x-match=all": {"x-match": "all"},
}


@topic.each(BINDINGS)
def a_headers_binding_matches(talk, arguments):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(
        talk.name("x"), "headers"
    )
    channel.bind(queue, exchange, "ignored", arguments=arguments)
    channel.connection.silent = True
    for name, headers in MESSAGES.items():
        channel.publish(exchange, "k", name, {} if headers is None else {"headers": headers})
    channel.connection.silent = False
    channel.drain(queue)


@topic
def two_headers_bindings_of_a_queue_deliver_once(talk):
    channel = talk.channel()
    queue, exchange = channel.queue(talk.name("q"), exclusive=True), channel.exchange(
        talk.name("x"), "headers"
    )
    channel.bind(queue, exchange, arguments={"a": 1})
    channel.bind(queue, exchange, arguments={"b": 2})
    for headers in ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, {}):
        channel.publish(exchange, "", repr(typed(headers)), {"headers": headers})
    channel.drain(queue)
