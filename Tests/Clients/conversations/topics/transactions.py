"""tx.select, commit and rollback."""

from corpus import Topic

topic = Topic("transactions")


@topic
def tx_select_is_answered_every_time(talk):
    channel = talk.channel()
    channel.rpc("tx.select")
    channel.rpc("tx.select")


@topic.each({"tx.commit": "tx.commit", "tx.rollback": "tx.rollback"})
def without_tx_select(talk, method):
    talk.channel().rpc(method)


@topic.each({"tx.commit": "tx.commit", "tx.rollback": "tx.rollback"})
def on_a_confirm_channel(talk, method):
    channel = talk.channel()
    channel.rpc("confirm.select")
    channel.rpc(method)


@topic.each({"tx.commit": "tx.commit", "tx.rollback": "tx.rollback"})
def an_empty_transaction_ends_with(talk, method):
    channel = talk.channel()
    channel.rpc("tx.select")
    channel.rpc(method)
    channel.rpc(method)


@topic
def publishes_appear_at_commit(talk):
    connection = talk.connect()
    channel, other = connection.channel(1), connection.channel(2)
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("tx.select")
    channel.publish("", queue, "a")
    channel.publish("", queue, "b")
    channel.fence()
    other.counts(queue)
    channel.rpc("tx.commit")
    other.counts(queue)
    channel.publish("", queue, "c")
    channel.fence()
    other.drain(queue)
    channel.rpc("tx.commit")
    other.drain(queue)


@topic
def publishes_are_forgotten_at_rollback(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("tx.select")
    channel.publish("", queue, "a")
    channel.rpc("tx.rollback")
    channel.publish("", queue, "b")
    channel.rpc("tx.commit")
    channel.drain(queue)


@topic
def publishes_are_forgotten_when_the_channel_closes(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("tx.select")
    channel.publish("", queue, "a")
    channel.close()
    channel.open()
    channel.drain(queue)


@topic
def a_mandatory_message_is_returned_at_commit(talk):
    channel = talk.channel()
    channel.rpc("tx.select")
    channel.publish("", talk.name("nobody"), "m", mandatory=True)
    channel.fence()
    channel.rpc("tx.commit")
    channel.fence()


@topic
def a_publish_to_a_missing_exchange_fails_at_once(talk):
    channel = talk.channel()
    channel.rpc("tx.select")
    channel.publish(talk.name("x"), "k", "m")
    channel.receive()


@topic
def an_error_forgets_the_transaction(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.rpc("tx.select")
    channel.publish("", queue, "a")
    channel.rpc("queue.declare", queue="amq.nothing", passive=True)
    channel.open()
    channel.drain(queue)
    channel.rpc("tx.commit")


def got_three(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b", "c")
    channel.rpc("tx.select")
    for _ in range(3):
        channel.get(queue)
    return channel, queue


@topic
def acks_count_at_commit(talk):
    channel, queue = got_three(talk)
    channel.send("basic.ack", delivery_tag=2, multiple=True)
    channel.rpc("tx.commit")
    channel.close()
    channel.open()
    channel.drain(queue)


@topic
def acks_without_commit_are_forgotten_with_the_channel(talk):
    channel, queue = got_three(talk)
    channel.send("basic.ack", delivery_tag=3, multiple=True)
    channel.close()
    channel.open()
    channel.drain(queue)


@topic
def rollback_makes_acked_messages_unacked_again(talk):
    channel, queue = got_three(talk)
    channel.send("basic.ack", delivery_tag=2)
    channel.rpc("tx.rollback")
    channel.counts(queue)
    channel.send("basic.ack", delivery_tag=2)
    channel.rpc("tx.commit")
    channel.close()
    channel.open()
    channel.drain(queue)


@topic
def rejects_count_at_commit(talk):
    channel, queue = got_three(talk)
    channel.send("basic.reject", delivery_tag=2, requeue=True)
    channel.send("basic.reject", delivery_tag=1)
    channel.counts(queue)
    channel.rpc("tx.commit")
    channel.drain(queue)


@topic
def nacks_are_undone_by_rollback(talk):
    channel, queue = got_three(talk)
    channel.send("basic.nack", delivery_tag=3, multiple=True, requeue=True)
    channel.rpc("tx.rollback")
    channel.counts(queue)
    channel.send("basic.nack", delivery_tag=3, multiple=True, requeue=True)
    channel.rpc("tx.commit")
    channel.drain(queue)


@topic
def an_ack_twice_within_a_transaction(talk):
    channel, queue = got_three(talk)
    channel.send("basic.ack", delivery_tag=1)
    channel.send("basic.ack", delivery_tag=1)
    channel.receive()


@topic
def an_unknown_tag_fails_before_commit(talk):
    channel = talk.channel()
    channel.rpc("tx.select")
    channel.send("basic.ack", delivery_tag=5)
    channel.receive()


@topic
def acks_in_a_transaction_make_no_room_before_commit(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a", "b")
    channel.rpc("tx.select")
    channel.rpc("basic.qos", prefetch_count=1)
    channel.rpc("basic.consume", queue=queue, consumer_tag="c")
    channel.receive()
    channel.send("basic.ack", delivery_tag=1)
    channel.settle(queue)
    channel.rpc("tx.commit")
    channel.receive()


@topic
def recover_within_a_transaction(talk):
    channel, queue = got_three(talk)
    channel.send("basic.ack", delivery_tag=1)
    channel.rpc("basic.recover", requeue=True)
    channel.rpc("tx.commit")
    channel.drain(queue)


@topic
def declares_are_not_part_of_a_transaction(talk):
    channel = talk.channel()
    channel.rpc("tx.select")
    queue = talk.name("q")
    channel.rpc("queue.declare", queue=queue, exclusive=True)
    channel.rpc("tx.rollback")
    channel.rpc("queue.declare", queue=queue, passive=True)


@topic
def a_queue_deleted_before_commit(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"))
    channel.rpc("tx.select")
    channel.publish("", queue, "m")
    channel.rpc("queue.delete", queue=queue)
    channel.rpc("tx.commit")


@topic
def gets_are_not_part_of_a_transaction(talk):
    channel = talk.channel()
    queue = channel.queue(talk.name("q"), exclusive=True)
    channel.fill(queue, "a")
    channel.rpc("tx.select")
    channel.get(queue, no_ack=True)
    channel.rpc("tx.rollback")
    channel.drain(queue)
