"""Queue arguments that RabbitMQ knows: how they are checked, and compared when a queue is declared again."""

from amqp import T, typed
from corpus import Topic

topic = Topic("queue_arguments")

ARGUMENTS = {
    "x-message-ttl": (60000, 70000),
    "x-expires": (60000, 70000),
    "x-max-length": (10, 20),
    "x-max-length-bytes": (1000, 2000),
    "x-max-priority": (5, 6),
    "x-dead-letter-exchange": ("amq.direct", "amq.fanout"),
    "x-overflow": ("drop-head", "reject-publish"),
    "x-single-active-consumer": (True, False),
    "x-queue-mode": ("lazy", "default"),
    "x-queue-version": (1, 2),
}


@topic.each(list(ARGUMENTS))
def a_queue_is_declared_again_with_another_argument(talk, name):
    channel, values = talk.channel(), ARGUMENTS[name]
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={name: values[0]})
    channel.rpc("queue.declare", queue=queue, exclusive=True, arguments={name: values[1]})


@topic.each(list(ARGUMENTS))
def a_queue_is_declared_again_without_its_argument(talk, name):
    channel, values = talk.channel(), ARGUMENTS[name]
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={name: values[0]})
    channel.rpc("queue.declare", queue=queue, exclusive=True)


@topic.each(list(ARGUMENTS))
def a_queue_without_arguments_is_declared_again_with(talk, name):
    channel, values = talk.channel(), ARGUMENTS[name]
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("queue.declare", queue=queue, exclusive=True, arguments={name: values[0]})


@topic
def a_queue_is_declared_again_with_another_dead_letter_routing_key(talk):
    channel = talk.channel()
    first = {"x-dead-letter-exchange": "amq.direct", "x-dead-letter-routing-key": "a"}
    queue = channel.queue(talk.name("q"), exclusive=True, arguments=first)
    channel.rpc(
        "queue.declare", queue=queue, exclusive=True, arguments={**first, "x-dead-letter-routing-key": "b"}
    )


@topic.each({kind: T(kind, 30000) for kind in "IlisuT"} | {"d": 30000.0, "S": "30000"})
def an_integer_argument_is_declared_again_as_type(talk, value):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True, arguments={"x-message-ttl": 30000})
    channel.rpc("queue.declare", queue=queue, exclusive=True, arguments={"x-message-ttl": value})


# At the first declare

INVALID = {
    "x-message-ttl": [-1, "10", 1.5, True, None, 2**32, 2**33, T("l", -5)],
    "x-expires": [0, -1, "10", 2**32],
    "x-max-length": [-1, "10", 1.5],
    "x-max-length-bytes": [-1, "10"],
    "x-max-priority": [256, 300, -1, "5"],
    "x-dead-letter-exchange": [5, None, True],
    "x-dead-letter-routing-key": ["k", 5],
    "x-overflow": ["bad", 5],
    "x-queue-type": ["bad", "", 5],
    "x-single-active-consumer": ["true", 1],
    "x-queue-mode": ["bad", 5],
    "x-queue-version": [3, "1"],
    "x-queue-master-locator": ["bad", 5],
    "x-delivery-limit": [5],
    "x-max-age": ["1D"],
    "x-consumer-timeout": [5],
}


@topic.each(
    {
        f"{name} {T('A', [typed(value)])!r}": (name, value)
        for name, values in INVALID.items()
        for value in values
    }
)
def a_queue_is_declared_with(talk, case):
    channel = talk.channel()
    channel.rpc("queue.declare", queue=talk.name("q"), exclusive=True, arguments={case[0]: case[1]})


VALID = {
    "x-message-ttl": [0, 2**32 - 1, T("s", 100), T("T", 100)],
    "x-expires": [1000, 2**32 - 1],
    "x-max-length": [0, 2**40],
    "x-max-length-bytes": [0, 2**40],
    "x-max-priority": [0, 1, 255],
    "x-overflow": ["drop-head", "reject-publish", "reject-publish-dlx"],
    "x-dead-letter-exchange": ["", "missing"],
    "x-queue-type": ["classic"],
    "x-single-active-consumer": [True],
    "x-queue-mode": ["lazy", "default"],
    "x-queue-version": [1, 2],
    "x-queue-master-locator": ["client-local", "min-masters"],
    "x-ha-policy": ["all"],
    "x-something": ["else", 1, None, {"a": [1]}],
}


@topic.each(
    {
        f"{name} {T('A', [typed(value)])!r}": (name, value)
        for name, values in VALID.items()
        for value in values
    }
)
def a_queue_may_be_declared_with(talk, case):
    channel = talk.channel()
    channel.rpc("queue.declare", queue=talk.name("q"), exclusive=True, arguments={case[0]: case[1]})
