"""aio-pika's tests: connections that mend themselves, through a proxy that cuts them."""

from .pytest_suite import PytestSuite

# Its own fixtures start RabbitMQ in docker; these replace them. Each worker of pytest-xdist has a broker for
# itself, for many of the tests use the same names.
FIXTURES = """

import os


@pytest.fixture(scope="session")
def rabbitmq_container() -> ContainerInfo:
    ports = os.environ["BROKER_PORTS"].split(",")
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return ContainerInfo(
        id="external", host=os.environ["BROKER_HOST"],
        ports={"5672/tcp": int(ports[worker]), "5671/tcp": 1},
    )


def pytest_configure(config):
    pass
"""

# It would restart the container.
RECOVERY = """

@pytest.fixture
async def recovery_broker(rabbitmq_container, amqp_direct_url):
    yield None, rabbitmq_container, amqp_direct_url
"""


class AioPika(PytestSuite):
    name = "aio-pika"
    package, version = "aio-pika", "10.2.1"
    tests = "tests"
    # TLS is issue 8; three tests restart a broker in docker.
    select = (
        "not (test_restore_topology_and_consumers and (stop_app or kill))"
        " and not test_pool_consumer_survives_broker_restart"
    )
    options = ["--ignore", "tests/test_amqps.py"]
    test_seconds = 130
    seconds = 900
    workers = 4

    def adapt(self, brokers):
        tests = self.tree / "tests"
        added = {"conftest.py": FIXTURES, "test_robust_recovery.py": RECOVERY}
        for name, text in added.items():
            with (tests / name).open("a") as file:
                file.write(text)
        ports = ",".join(str(broker.port) for broker in brokers)
        return {"BROKER_HOST": brokers[0].host, "BROKER_PORTS": ports}
