"""Publisher confirms."""

from corpus import Topic

topic = Topic("confirms")


@topic
def confirm_select_is_answered_every_time(talk):
    channel = talk.channel()
    channel.rpc("confirm.select")
    channel.rpc("confirm.select")


@topic
def confirm_select_with_nowait_gets_no_answer(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.send("confirm.select", nowait=True)
    channel.publish("", queue, "m")
    channel.receive()


@topic
def confirm_select_again_does_not_start_the_count_anew(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    for _ in range(2):
        channel.rpc("confirm.select")
        channel.publish("", queue, "m")
        channel.receive()


@topic.each({"routed": {}, "persistent": {"delivery_mode": 2}, "empty body": {"type": "x"}})
def a_message_is_acked_when(talk, properties):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), durable=True)
    channel.rpc("confirm.select")
    channel.publish("", queue, "" if "type" in properties else "m", properties)
    channel.receive()


@topic
def an_unroutable_message_is_acked(talk):
    channel = talk.channel()
    channel.rpc("confirm.select")
    channel.publish("", talk.name("nobody"), "m")
    channel.receive()


@topic
def a_return_comes_before_its_ack(talk):
    channel = talk.channel()
    channel.rpc("confirm.select")
    channel.publish("", talk.name("nobody"), "m", mandatory=True)
    channel.receive()
    channel.receive()


@topic
def publishes_before_select_are_not_counted(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.publish("", queue, "before")
    channel.rpc("confirm.select")
    channel.publish("", queue, "after")
    channel.receive()


@topic.each([1, 10, 200])
def all_are_acked_of(talk, count):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("confirm.select")
    channel.connection.silent = True
    for i in range(count):
        channel.publish("", queue, str(i))
    channel.connection.silent = False
    channel.confirmed(count)


@topic
def routed_and_returned_messages_are_all_acked(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    nobody = talk.name("nobody")
    channel.rpc("confirm.select")
    for i in range(3):
        channel.publish("", queue, f"routed {i}", mandatory=True)
        channel.publish("", nobody, f"returned {i}", mandatory=True)
    channel.confirmed(6)


@topic
def each_channel_counts_for_itself(talk):
    connection = talk.connect()
    one, two = connection.channel(1), connection.channel(2)
    queue = one.queue(talk.name("q"), exclusive=True)
    one.rpc("confirm.select")
    two.rpc("confirm.select")
    for channel in (one, one, two):
        channel.publish("", queue, "m")
        channel.receive()


@topic
def a_message_to_several_queues_is_acked_once(talk):
    channel = talk.channel()
    exchange = channel.exchange(talk.name("x"), "fanout")
    for n in ("q1", "q2", "q3"):
        channel.bind(channel.queue(talk.name(n), exclusive=True), exchange)
    channel.rpc("confirm.select")
    channel.publish(exchange, "", "m")
    channel.confirmed(1)
    channel.fence()


@topic
def a_failed_publish_is_not_acked(talk):
    channel = talk.channel()
    channel.rpc("confirm.select")
    channel.publish(talk.name("x"), "", "m")
    channel.receive()


@topic
def a_message_consumed_at_once_is_acked(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    other = channel.connection.channel(2)
    other.rpc("basic.consume", queue=queue, consumer_tag="c", no_ack=True)
    channel.rpc("confirm.select")
    channel.publish("", queue, "m")
    channel.confirmed(1)
    other.receive()


@topic
def a_consumer_on_a_confirm_channel_gets_its_own_tags(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "before")
    channel.rpc("confirm.select")
    channel.get(queue)
    channel.publish("", queue, "m")
    channel.receive()
    channel.send("basic.ack", delivery_tag=1)
    channel.get(queue)


@topic
def tx_select_on_a_confirm_channel(talk):
    channel = talk.channel()
    channel.rpc("confirm.select")
    channel.rpc("tx.select")


@topic
def confirm_select_on_a_tx_channel(talk):
    channel = talk.channel()
    channel.rpc("tx.select")
    channel.rpc("confirm.select")
