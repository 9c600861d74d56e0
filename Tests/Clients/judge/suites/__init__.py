"""All suites by name, the quick ones first."""

from .aiormq import Aiormq
from .amqp091_go import Amqp091Go
from .conversations import Conversations
from .examples import Examples
from .hooks import Hooks
from .pika_0_13 import Pika013
from .py_amqp import PyAmqp
from .storage import Storage

SUITES = {
    suite.name: suite
    for suite in (Examples(), Pika013(), Conversations(), PyAmqp(), Hooks(), Storage(), Amqp091Go(), Aiormq())
}
