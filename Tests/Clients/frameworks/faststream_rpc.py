"""FastStream: handlers by topic, a reply to each request, and a dead letter."""

import asyncio
import os

from faststream import AckPolicy
from faststream.exceptions import RejectMessage
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue

SECONDS = 20
broker = RabbitBroker(os.environ["AMQP_URL"], logger=None)
exchange = RabbitExchange("frameworks.faststream", type=ExchangeType.TOPIC, auto_delete=True)
arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "frameworks.faststream.dead"}
letters = asyncio.Queue()


@broker.subscriber(
    RabbitQueue("frameworks.faststream.square", auto_delete=True, routing_key="square.*"), exchange
)
async def square(number: int) -> int:
    return number * number


@broker.subscriber(
    RabbitQueue("frameworks.faststream.picky", auto_delete=True, routing_key="picky", arguments=arguments),
    exchange,
    ack_policy=AckPolicy.REJECT_ON_ERROR,
)
async def picky(word: str):
    raise RejectMessage


@broker.subscriber(RabbitQueue("frameworks.faststream.dead", auto_delete=True))
async def dead(word: str):
    await letters.put(word)


async def main():
    async with broker:
        await broker.start()
        replies = await asyncio.gather(
            *(
                broker.request(number, routing_key=f"square.{number}", exchange=exchange, timeout=SECONDS)
                for number in range(1, 21)
            )
        )
        print("squares:", *[await reply.decode() for reply in replies])
        await broker.publish("no", routing_key="picky", exchange=exchange)
        print("dead letter:", await asyncio.wait_for(letters.get(), SECONDS))


asyncio.run(main())
