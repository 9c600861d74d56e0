"""kombu's integration tests: Celery's messaging, over py-amqp."""

from .pytest_suite import PytestSuite


class Kombu(PytestSuite):
    name = "kombu"
    package, version = "kombu", "5.7.0"
    tests = "t/integration/test_py_amqp.py"
    seconds = 300

    def adapt(self, brokers):
        return {"RABBITMQ_HOST": brokers[0].host, "RABBITMQ_5672_TCP": str(brokers[0].port)}
