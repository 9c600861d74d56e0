"""The checker finds what it is there for: histories with one planted fault each. No broker is needed."""

import time
import unittest

from checker import check
from history import History


class AHistory(unittest.TestCase):
    """Two lives: messages are sent in the first, and come in either."""

    def setUp(self):
        self.history = History()
        self.history.begin_life()
        self.bodies = {}  # message number -> octets

    def send(self, *queues, confirmed=True, publisher="p", **more):
        message, body = self.history.publish(publisher, queues or ("q",), size=30, **more)
        self.bodies[message.number] = body
        if confirmed:
            self.history.confirm(message)
        return message

    def take(self, message, *, queue="q", redelivered=False, ack=False, sure=False, consumer="c"):
        delivery = self.history.deliver(queue, self.bodies[message.number], redelivered, consumer)
        if ack or sure:
            self.history.ack(delivery)
        if sure:
            self.history.processed([delivery])
        return delivery

    def kill(self):
        self.history.end_life("kill")
        self.history.begin_life()

    def stop(self):
        self.history.end_life("stop")
        self.history.begin_life()

    def found(self):
        return dict(check(self.history, is_drained=True).kinds())

    def assert_found(self, **kinds):
        self.assertEqual(self.found(), kinds)


class Losses(AHistory):
    def test_a_history_without_faults_has_none(self):
        one, two = self.send(), self.send()
        self.take(one)
        self.kill()
        self.take(one, redelivered=True, ack=True)
        self.take(two, ack=True)
        self.assert_found()

    def test_a_confirmed_message_that_never_comes_is_lost(self):
        self.send()
        self.kill()
        self.assert_found(lost=1)

    def test_one_that_came_and_was_not_acked_must_come_again(self):
        self.take(self.send())
        self.kill()
        self.assert_found(lost=1)

    def test_each_queue_must_have_its_copy(self):
        message = self.send("q", "r")
        self.kill()
        self.take(message, ack=True)
        self.assert_found(lost=1)

    def test_one_without_a_confirm_may_be_gone(self):
        self.send(confirmed=False)
        self.kill()
        self.assert_found()

    def test_a_transient_one_may_be_gone_after_a_kill_only(self):
        self.send(persistent=False)
        self.kill()
        self.send(persistent=False)
        self.assert_found(lost=1)

    def test_the_number_that_a_queue_owes(self):
        acked, seen = self.send(), self.send()
        self.take(acked, ack=True)
        self.take(seen)
        self.send()
        self.send(confirmed=False)
        self.send(persistent=False)
        self.kill()
        self.assertEqual(self.history.owed("q"), (2, 4))


class Returns(AHistory):
    def test_an_ack_before_a_publish_that_was_confirmed_is_stored(self):
        message = self.send()
        self.take(message, sure=True)
        self.take(self.send(), ack=True)
        self.kill()
        self.take(message, redelivered=True, ack=True)
        self.assert_found(back=1)

    def test_without_such_a_publish_it_may_come_back(self):
        message = self.send()
        self.take(message, sure=True)
        self.kill()
        self.take(message, redelivered=True, ack=True)
        self.assert_found()
        self.assertEqual(check(self.history, is_drained=True).counts["acked, and seen again"], 1)

    def test_nor_with_one_to_another_queue(self):
        message = self.send()
        self.take(message, sure=True)
        other = self.send("r")
        self.kill()
        self.take(message, redelivered=True, ack=True)
        self.take(other, queue="r", ack=True)
        self.assert_found()

    def test_nor_while_the_ack_may_not_have_been_read(self):
        message = self.send()
        self.take(message, ack=True)
        self.take(self.send(), ack=True)
        self.kill()
        self.take(message, redelivered=True, ack=True)
        self.assert_found()

    def test_after_an_end_in_order_all_acks_are_stored(self):
        message = self.send()
        self.take(message, sure=True)
        self.stop()
        self.take(message, redelivered=True, ack=True)
        self.assert_found(back=1)

    def test_twice_in_one_life(self):
        message = self.send()
        self.take(message)
        self.take(message, redelivered=True, ack=True)
        self.assert_found(twice=1)

    def test_not_if_it_was_given_back(self):
        message = self.send()
        self.history.give_back(self.take(message))
        self.take(message, redelivered=True, ack=True)
        self.assert_found()


class Marks(AHistory):
    def test_what_was_seen_before_must_be_marked(self):
        message = self.send()
        self.take(message)
        self.kill()
        self.take(message, ack=True)
        self.assert_found(unmarked=1)

    def test_what_nobody_can_have_seen_must_not_be(self):
        self.take(self.send(), redelivered=True, ack=True)
        self.assert_found(marked=1)

    def test_after_a_start_it_may_be(self):
        message = self.send()
        self.kill()
        self.take(message, redelivered=True, ack=True)
        self.assert_found()


class Orders(AHistory):
    def test_two_of_one_publisher_in_the_wrong_order(self):
        one, two = self.send(), self.send()
        self.take(two, ack=True)
        self.take(one, ack=True)
        self.assert_found(disorder=1)

    def test_also_after_a_start(self):
        one, two = self.send(), self.send()
        self.kill()
        self.take(two, ack=True)
        self.take(one, ack=True)
        self.assert_found(disorder=1)

    def test_two_of_two_publishers_have_none(self):
        one, two = self.send(publisher="a"), self.send(publisher="b")
        self.take(two, ack=True)
        self.take(one, ack=True)
        self.assert_found()

    def test_nor_have_two_of_different_priority(self):
        one, two = self.send(priority=1), self.send(priority=2)
        self.take(two, ack=True)
        self.take(one, ack=True)
        self.assert_found()

    def test_one_that_was_given_back_comes_when_it_comes(self):
        one, two = self.send(), self.send()
        self.history.give_back(self.take(one))
        self.take(two, ack=True)
        self.take(one, redelivered=True, ack=True)
        self.assert_found()


class Others(AHistory):
    def test_a_transient_message_that_comes_after_a_kill(self):
        message = self.send(persistent=False)
        self.kill()
        self.take(message, ack=True)
        self.assert_found(outlived=1)

    def test_what_was_rolled_back_and_comes(self):
        self.take(self.send(confirmed=False, transaction=1, was_rolled_back=True), ack=True)
        self.assert_found(undone=1)

    def test_a_delayed_message_that_comes_early(self):
        self.take(self.send(due=time.time() + 100), ack=True)
        self.assert_found(early=1)

    def test_a_body_that_was_changed(self):
        message = self.send()
        self.bodies[message.number] = self.bodies[message.number][:-1] + b"?"
        self.take(message)
        self.assert_found(damaged=1, lost=1)

    def test_a_message_from_a_queue_that_it_was_not_for(self):
        message = self.send()
        self.take(message, queue="r")
        self.assert_found(astray=1, lost=1)

    def test_a_refusal(self):
        self.history.refuse(self.send(confirmed=False))
        self.assert_found(refused=1)

    def test_a_transaction_of_which_a_part_is_there_is_counted(self):
        one = self.send(confirmed=False, transaction=1)
        self.send(confirmed=False, transaction=1)
        self.kill()
        self.take(one, ack=True)
        counts = check(self.history, is_drained=True).counts
        self.assertEqual(counts["transactions that were cut, in part there"], 1)
