"""The judge of brokers: starts one, lets clients try it, and compares. Knows no AMQP of its own."""
