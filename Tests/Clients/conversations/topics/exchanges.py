"""Exchanges: declare, delete, bindings between them, and the alternate exchange."""

from amqp import T
from corpus import Topic

topic = Topic("exchanges")

TYPES = ["direct", "fanout", "topic", "headers"]
PREDECLARED = {
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.topic": "topic",
    "amq.headers": "headers",
    "amq.match": "headers",
}


@topic.each(TYPES)
def an_exchange_is_declared_redeclared_and_deleted_of_type(talk, kind):
    channel = talk.channel()
    name = talk.name("x")
    channel.rpc("exchange.declare", exchange=name, type=kind)
    channel.rpc("exchange.declare", exchange=name, type=kind)
    channel.rpc("exchange.declare", exchange=name, passive=True)
    channel.rpc("exchange.delete", exchange=name)
    channel.rpc("exchange.declare", exchange=name, passive=True)


@topic.each({"x-nothing": "x-nothing", "empty": "", "capitals": "Direct", "system-like": "rabbit_exchange"})
def an_exchange_of_unknown_type(talk, kind):
    talk.channel().rpc("exchange.declare", exchange=talk.name("x"), type=kind)


@topic.each({"no type": "", "another type": "fanout", "an unknown type": "x-nothing"})
def a_passive_declare_ignores_the_type(talk, kind):
    channel = talk.channel()
    name = channel.exchange(talk.name("x"), auto_delete=True)
    channel.rpc("exchange.declare", exchange=name, type=kind, passive=True, durable=True, internal=True)
    channel.rpc("exchange.delete", exchange=name)


BASE = {"type": "direct", "durable": False, "auto_delete": False, "internal": False}


@topic.each(
    {
        "type": {"type": "fanout"},
        "durable": {"durable": True},
        "auto_delete": {"auto_delete": True},
        "internal": {"internal": True},
        "type and durable": {"type": "topic", "durable": True},
        "durable and auto_delete": {"durable": True, "auto_delete": True},
        "alternate-exchange": {"arguments": {"alternate-exchange": "other"}},
        "an unknown type": {"type": "x-nothing"},
    }
)
def an_exchange_is_declared_again_with_another(talk, change):
    channel = talk.channel()
    name = channel.exchange(talk.name("x"))
    channel.rpc("exchange.declare", **{"exchange": name, **BASE, **change})


@topic.each({"other": "other", "none": None, "another type": 5, "the same": "first"})
def an_alternate_exchange_is_declared_again_as(talk, value):
    channel = talk.channel()
    name = channel.exchange(talk.name("x"), arguments={"alternate-exchange": "first"})
    arguments = {} if value is None else {"alternate-exchange": value}
    channel.rpc("exchange.declare", exchange=name, type="direct", arguments=arguments)


@topic
def unknown_arguments_do_not_matter_when_declared_again(talk):
    channel = talk.channel()
    name = channel.exchange(talk.name("x"), arguments={"a": 1})
    channel.rpc("exchange.declare", exchange=name, type="direct", arguments={"b": "two"})


@topic.each({"a number": 5, "a table": {}, "void": None})
def an_alternate_exchange_must_be_a_string_not(talk, value):
    talk.channel().rpc(
        "exchange.declare", exchange=talk.name("x"), type="direct", arguments={"alternate-exchange": value}
    )


@topic.each(list(PREDECLARED))
def a_predeclared_exchange_may_be_declared_alike(talk, name):
    channel = talk.channel()
    channel.rpc("exchange.declare", exchange=name, type=PREDECLARED[name], durable=True)
    channel.rpc("exchange.declare", exchange=name, type=PREDECLARED[name], durable=False)


@topic
def amq_rabbitmq_trace_exists_and_is_internal(talk):
    channel = talk.channel()
    channel.rpc("exchange.declare", exchange="amq.rabbitmq.trace", type="topic", durable=True, internal=True)
    channel.rpc("exchange.declare", exchange="amq.rabbitmq.trace", type="topic", durable=True)


@topic.each(["amq.new", "amq.", "amq"])
def a_reserved_exchange_name(talk, name):
    channel = talk.channel()
    channel.rpc("exchange.declare", exchange=name, type="direct", auto_delete=True)
    if name == "amq":
        channel.rpc("exchange.delete", exchange=name)


@topic
def a_missing_exchange_with_a_reserved_name_declared_passively(talk):
    talk.channel().rpc("exchange.declare", exchange="amq.new", type="direct", passive=True)


@topic.each(["amq.direct", "amq.fanout", "amq.new", "amq.rabbitmq.trace"])
def a_reserved_exchange_is_deleted(talk, name):
    talk.channel().rpc("exchange.delete", exchange=name)


@topic.each(
    {
        "declare": {"type": "direct", "durable": True},
        "declare as topic": {"type": "topic"},
        "passive declare": {"passive": True},
        "nowait declare": {"type": "direct", "nowait": True},
    }
)
def the_default_exchange_refuses(talk, fields):
    channel = talk.channel()
    channel.send("exchange.declare", exchange="", **fields)
    channel.receive()


@topic.each({"if unused": {"if_unused": True}, "plain": {}})
def the_default_exchange_is_not_deleted(talk, fields):
    talk.channel().rpc("exchange.delete", exchange="", **fields)


@topic.each(
    {"queue.bind": ("queue.bind", {"exchange": ""}), "queue.unbind": ("queue.unbind", {"exchange": ""})}
)
def the_default_exchange_is_not_bound_by(talk, case):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc(case[0], queue=queue, routing_key="k", **case[1])


@topic.each(
    {
        "exchange.bind from": ("exchange.bind", {"source": "", "destination": "amq.direct"}),
        "exchange.bind to": ("exchange.bind", {"source": "amq.direct", "destination": ""}),
        "exchange.unbind from": ("exchange.unbind", {"source": "", "destination": "amq.direct"}),
        "exchange.unbind to": ("exchange.unbind", {"source": "amq.direct", "destination": ""}),
    }
)
def the_default_exchange_is_no_end_of(talk, case):
    talk.channel().rpc(case[0], routing_key="k", **case[1])


@topic
def deleting_a_missing_exchange_is_fine(talk):
    channel = talk.channel()
    channel.rpc("exchange.delete", exchange=talk.name("x"))
    channel.rpc("exchange.delete", exchange=talk.name("y"), if_unused=True)


@topic
def an_exchange_in_use_is_not_deleted_if_unused(talk):
    channel = talk.channel()
    name, queue = channel.exchange(talk.name("x")), channel.queue(talk.name("q"), exclusive=True)
    channel.bind(queue, name)
    channel.rpc("exchange.delete", exchange=name, if_unused=True)
    channel.open()
    channel.rpc("queue.unbind", queue=queue, exchange=name)
    channel.rpc("exchange.delete", exchange=name, if_unused=True)
    channel.rpc("exchange.declare", exchange=name, passive=True)


@topic
def an_exchange_that_is_only_a_destination_counts_as_unused(talk):
    channel = talk.channel()
    one, two = channel.exchange(talk.name("x1")), channel.exchange(talk.name("x2"))
    channel.rpc("exchange.bind", source=one, destination=two, routing_key="k")
    channel.rpc("exchange.delete", exchange=two, if_unused=True)
    channel.rpc("exchange.delete", exchange=one, if_unused=True)


@topic
def a_deleted_exchange_takes_its_bindings_along(talk):
    channel = talk.channel()
    name, queue = channel.exchange(talk.name("x")), channel.queue(talk.name("q"), exclusive=True)
    channel.bind(queue, name, "k")
    channel.rpc("exchange.delete", exchange=name)
    channel.exchange(name)
    channel.publish(name, "k", "lost")
    channel.counts(queue)
    channel.rpc("exchange.delete", exchange=name)


@topic.each({"declare": ("exchange.declare", {"type": "direct"}), "delete": ("exchange.delete", {})})
def nowait_gets_no_answer(talk, case):
    channel = talk.channel()
    name = talk.name("x")
    channel.send(case[0], exchange=name, nowait=True, **case[1])
    channel.rpc("exchange.declare", exchange=name, passive=True)


@topic
def nowait_bind_and_unbind_get_no_answer(talk):
    channel = talk.channel()
    one, two = channel.exchange(talk.name("x1")), channel.exchange(talk.name("x2"), "fanout")
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.send("exchange.bind", source=one, destination=two, routing_key="k", nowait=True)
    channel.send("queue.bind", exchange=two, queue=queue, nowait=True)
    channel.publish(one, "k", "m")
    channel.counts(queue)
    channel.send("exchange.unbind", source=one, destination=two, routing_key="k", nowait=True)
    channel.publish(one, "k", "m")
    channel.counts(queue)


@topic.each({"declare": {"exchange": "amq.direct", "type": "fanout"}, "unknown type": {"type": "x-nothing"}})
def an_error_after_nowait_still_closes_the_channel(talk, fields):
    channel = talk.channel()
    channel.send("exchange.declare", **{"exchange": talk.name("x"), "nowait": True, **fields})
    channel.receive()


# Auto-delete and internal


@topic
def an_auto_delete_exchange_goes_with_its_last_binding(talk):
    channel = talk.channel()
    name = channel.exchange(talk.name("x"), auto_delete=True)
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    channel.bind(one, name)
    channel.bind(two, name)
    channel.rpc("queue.unbind", queue=one, exchange=name)
    channel.rpc("exchange.declare", exchange=name, passive=True)
    channel.rpc("queue.delete", queue=two)
    channel.rpc("exchange.declare", exchange=name, passive=True)


@topic
def an_auto_delete_exchange_goes_with_its_last_binding_to_an_exchange(talk):
    channel = talk.channel()
    one, two = channel.exchange(talk.name("x1"), auto_delete=True), channel.exchange(talk.name("x2"))
    channel.rpc("exchange.bind", source=one, destination=two, routing_key="k")
    channel.rpc("exchange.delete", exchange=two)
    channel.rpc("exchange.declare", exchange=one, passive=True)


@topic
def an_auto_delete_exchange_stays_when_it_was_only_a_destination(talk):
    channel = talk.channel()
    one, two = channel.exchange(talk.name("x1")), channel.exchange(talk.name("x2"), auto_delete=True)
    channel.rpc("exchange.bind", source=one, destination=two, routing_key="k")
    channel.rpc("exchange.unbind", source=one, destination=two, routing_key="k")
    channel.rpc("exchange.declare", exchange=two, passive=True)


@topic
def auto_delete_cascades_along_exchange_bindings(talk):
    channel = talk.channel()
    one, two = (channel.exchange(talk.name(n), "fanout", auto_delete=True) for n in ("x1", "x2"))
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("exchange.bind", source=one, destination=two)
    channel.bind(queue, two)
    channel.rpc("queue.delete", queue=queue)
    channel.rpc("exchange.declare", exchange=two, passive=True)
    channel.open()
    channel.rpc("exchange.declare", exchange=one, passive=True)


@topic
def an_internal_exchange_routes_but_takes_no_publish(talk):
    channel = talk.channel()
    name, front = channel.exchange(talk.name("in"), "fanout", internal=True), channel.exchange(
        talk.name("x"), "fanout"
    )
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("exchange.bind", source=front, destination=name)
    channel.rpc("queue.bind", queue=queue, exchange=name)
    channel.publish(front, "", "through")
    channel.get(queue, no_ack=True)
    channel.publish(name, "", "refused")
    channel.receive()


# Bindings between exchanges


@topic
def exchange_bindings_route_one_copy_for_each_queue(talk):
    channel = talk.channel()
    one, two, three = (channel.exchange(talk.name(n), "fanout") for n in ("x1", "x2", "x3"))
    queue = channel.queue(talk.name("q"), exclusive=True)
    for destination in (two, three):
        channel.rpc("exchange.bind", source=one, destination=destination)
        channel.bind(queue, destination)
    channel.bind(queue, one)
    channel.publish(one, "k", "once")
    channel.drain(queue)


@topic
def exchange_bindings_in_a_cycle_route_once(talk):
    channel = talk.channel()
    one, two = (channel.exchange(talk.name(n), "fanout") for n in ("x1", "x2"))
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("exchange.bind", source=one, destination=two)
    channel.rpc("exchange.bind", source=two, destination=one)
    channel.rpc("exchange.bind", source=one, destination=one)
    channel.bind(queue, two)
    channel.publish(one, "k", "once")
    channel.publish(two, "k", "twice")
    channel.drain(queue)


@topic
def a_message_keeps_the_exchange_it_was_published_to(talk):
    channel = talk.channel()
    one, two = channel.exchange(talk.name("x1"), "topic"), channel.exchange(talk.name("x2"), "direct")
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("exchange.bind", source=one, destination=two, routing_key="a.*")
    channel.bind(queue, two, "a.b")
    channel.publish(one, "a.b", "in")
    channel.publish(one, "a.c", "lost")
    channel.get(queue, no_ack=True)
    channel.counts(queue)


@topic.each(
    {
        "source": ("missing", "amq.direct"),
        "destination": ("amq.direct", "missing"),
        "both": ("missing", "missing2"),
    }
)
def exchange_bind_with_a_missing(talk, ends):
    channel = talk.channel()
    ends = [talk.name(end) if end.startswith("missing") else end for end in ends]
    channel.rpc("exchange.bind", source=ends[0], destination=ends[1], routing_key="k")


@topic.each(
    {
        "source": ("missing", "amq.direct"),
        "destination": ("amq.direct", "missing"),
        "both": ("missing", "missing2"),
        "binding": ("amq.direct", "amq.fanout"),
    }
)
def exchange_unbind_with_a_missing(talk, ends):
    channel = talk.channel()
    ends = [talk.name(end) if end.startswith("missing") else end for end in ends]
    channel.rpc("exchange.unbind", source=ends[0], destination=ends[1], routing_key="no such key")


@topic
def bindings_differ_by_their_arguments(talk):
    channel = talk.channel()
    one, two = channel.exchange(talk.name("x1")), channel.exchange(talk.name("x2"), "fanout")
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.bind(queue, two)
    channel.rpc("exchange.bind", source=one, destination=two, routing_key="k", arguments={"a": 1})
    channel.rpc("exchange.bind", source=one, destination=two, routing_key="k", arguments={"a": 2})
    channel.rpc("exchange.unbind", source=one, destination=two, routing_key="k")
    channel.rpc("exchange.unbind", source=one, destination=two, routing_key="k", arguments={"a": 1})
    channel.publish(one, "k", "still bound")
    channel.drain(queue)
    channel.rpc("exchange.unbind", source=one, destination=two, routing_key="k", arguments={"a": 2})
    channel.publish(one, "k", "no longer")
    channel.drain(queue)


@topic
def a_binding_made_twice_is_one(talk):
    channel = talk.channel()
    one = channel.exchange(talk.name("x"), auto_delete=True)
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("queue.bind", queue=queue, exchange=one, routing_key="k")
    channel.rpc("queue.bind", queue=queue, exchange=one, routing_key="k")
    channel.publish(one, "k", "once")
    channel.drain(queue)
    channel.rpc("queue.unbind", queue=queue, exchange=one, routing_key="k")
    channel.rpc("exchange.declare", exchange=one, passive=True)


# Alternate exchange


@topic
def what_is_not_routed_goes_to_the_alternate_exchange(talk):
    channel = talk.channel()
    spare = channel.exchange(talk.name("spare"), "fanout")
    main = channel.exchange(talk.name("main"), arguments={"alternate-exchange": spare})
    one, two = (channel.queue(talk.name(n), exclusive=True) for n in ("q1", "q2"))
    channel.bind(one, main, "k")
    channel.bind(two, spare)
    channel.publish(main, "k", "routed")
    channel.publish(main, "else", "spared", mandatory=True)
    channel.drain(one)
    channel.get(two, no_ack=True)


@topic
def a_missing_alternate_exchange_drops_or_returns(talk):
    channel = talk.channel()
    main = channel.exchange(talk.name("main"), arguments={"alternate-exchange": talk.name("missing")})
    channel.publish(main, "k", "dropped")
    channel.publish(main, "k", "returned", mandatory=True)
    channel.fence()


@topic
def alternate_exchanges_chain_and_may_form_a_cycle(talk):
    channel = talk.channel()
    one, two = talk.name("x1"), talk.name("x2")
    channel.exchange(one, arguments={"alternate-exchange": two})
    channel.exchange(two, arguments={"alternate-exchange": one})
    channel.publish(one, "k", "nowhere", mandatory=True)
    channel.fence()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.bind(queue, two, "k")
    channel.publish(one, "k", "there", mandatory=True)
    channel.drain(queue)


@topic
def the_alternate_exchange_acts_only_when_nothing_else_routes(talk):
    channel = talk.channel()
    spare = channel.exchange(talk.name("spare"), "fanout")
    inner = channel.exchange(talk.name("inner"), "direct")
    main = channel.exchange(talk.name("main"), "fanout", arguments={"alternate-exchange": spare})
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.bind(queue, spare)
    channel.rpc("exchange.bind", source=main, destination=inner)
    channel.publish(main, "k", "bound to an exchange that leads nowhere")
    channel.drain(queue)


@topic.each({"direct": "direct", "headers": "headers"})
def an_exchange_name_may_hold_line_ends_of_type(talk, kind):
    channel = talk.channel()
    name = talk.name("x")
    channel.rpc("exchange.declare", exchange=name + "\r\n", type=kind, auto_delete=True)
    channel.rpc("exchange.declare", exchange=name, passive=True)
    channel.rpc("exchange.delete", exchange="\n" + name)


@topic.each(
    {
        "x-match wrong": {"x-match": "some"},
        "x-match number": {"x-match": 1},
        "x-match void": {"x-match": None},
        "x-match absent": {"a": 1},
        "x-match all-with-x": {"x-match": "all-with-x"},
    }
)
def a_headers_binding_with(talk, arguments):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("queue.bind", queue=queue, exchange="amq.headers", arguments=arguments)


@topic
def a_deleted_queue_unbinds_itself(talk):
    channel = talk.channel()
    name, queue = channel.exchange(talk.name("x")), channel.queue(talk.name("q"))
    channel.bind(queue, name, "k")
    channel.rpc("queue.delete", queue=queue)
    channel.publish(name, "k", "m", mandatory=True)
    channel.rpc("exchange.delete", exchange=name, if_unused=True)
