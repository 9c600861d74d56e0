"""All suites by name, the quick ones first."""

from .aio_pika import AioPika
from .aiormq import Aiormq
from .amqp091_go import Amqp091Go
from .conversations import Conversations
from .ctl import Ctl
from .examples import Examples
from .frameworks import Frameworks
from .hooks import Hooks
from .kombu import Kombu
from .pika_0_13 import Pika013
from .py_amqp import PyAmqp
from .storage import Storage

SUITES = {
    suite.name: suite
    for suite in (
        Examples(),
        Pika013(),
        Conversations(),
        PyAmqp(),
        Ctl(),
        Kombu(),
        Frameworks(),
        Hooks(),
        Storage(),
        Amqp091Go(),
        AioPika(),
        Aiormq(),
    )
}
