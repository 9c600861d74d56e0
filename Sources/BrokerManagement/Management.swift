/// The HTTP API and the metrics. Knows no socket of AMQP.

internal import Hummingbird
