"""py-amqp's integration tests: Celery's client, the plainest of the Python ones."""

from .pytest_suite import PytestSuite


class PyAmqp(PytestSuite):
    name = "py-amqp"
    package, version = "amqp", "5.4.2"
    tests = "t/integration/test_rmq.py"
    select = "not tls"  # TLS is issue 8
    seconds = 300

    def adapt(self, brokers):
        return {"RABBITMQ_HOST": brokers[0].host, "RABBITMQ_5672_TCP": str(brokers[0].port)}
