"""aiormq's tests: asyncio, pedantic about cancelled channels, late confirms and closing connections."""

from .pytest_suite import PytestSuite

# Its own fixtures start RabbitMQ in docker; these, which come later in the file, replace them.
FIXTURES = """

class _Broker:
    host = os.environ["BROKER_HOST"]
    ports = {"5672/tcp": int(os.environ["BROKER_PORT"]), "5671/tcp": 1}


@pytest.fixture(scope="session")
def rabbitmq_container():
    return _Broker


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container):
    return URL.build(
        scheme="amqp", user="guest", password="guest", path="//",
        host=_Broker.host, port=_Broker.ports["5672/tcp"],
    )
"""


class Aiormq(PytestSuite):
    name = "aiormq"
    package, version = "aiormq", "7.2.4"
    tests = "tests"
    select = "not amqps and not ssl"  # TLS is issue 8
    seconds = 900

    def adapt(self, brokers):
        with (self.tree / "tests" / "conftest.py").open("a") as fixtures:
            fixtures.write(FIXTURES)
        return {"BROKER_HOST": brokers[0].host, "BROKER_PORT": str(brokers[0].port)}
