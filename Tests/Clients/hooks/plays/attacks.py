"""Hostile scripts in every kind of hook, hit by one client while another one works; its slowest round trip is
printed."""

import threading
import time

import client as conversations
import pika
from case import Play
from judge import places
from scripted import eventually

HOSTILE = places.ROOT / "Tests" / "Scripts" / "hostile"
ATTACK_SECONDS = 0.3
SLOWEST_SECONDS = 2  # not a goal: a debug build on a busy machine stays far below it

MANY = [
    "loop", "pcall_loop", "memory_table", "memory_string", "rep_big", "pattern_bomb", "sort_strings",
    "recursion",
]  # fmt: skip
FEW = ["pcall_loop", "memory_table"]  # in hooks that are like another one, but for where they run


def plugin(table, script):
    """A plugin; `BODY` in its table is the hostile script as the body of a function."""
    body = (HOSTILE / f"{script}.lua").read_text()
    return "return { api = 1, " + table.replace("BODY", f"\n{body}\n") + " }"


class Bystander:
    """Calls over AMQP, as clients of an RPC do, and remembers how long the slowest took."""

    def __init__(self, connect):
        self.trips, self.slowest, self.error = 0, 0, None
        self.is_ready = threading.Event()
        self.is_stopping, self.is_answered = threading.Event(), threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(work, connect()), daemon=True)
            for work in (self.serve, self.call)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, work, connection):
        try:
            work(connection)
            connection.close()
        except Exception as error:
            self.error = error
        finally:
            if work == self.call:
                self.is_answered.set()

    def serve(self, connection):
        channel = connection.channel()
        channel.queue_declare("rpc", auto_delete=True)

        def answer(_, method, properties, body):
            channel.basic_publish(
                "", properties.reply_to, body, pika.BasicProperties(correlation_id=properties.correlation_id)
            )

        channel.basic_consume("rpc", answer, auto_ack=True)
        self.is_ready.set()
        while not self.is_answered.is_set():
            connection.process_data_events(0.02)

    def call(self, connection):
        channel = connection.channel()
        replies = []
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_consume(queue, lambda _, method, properties, body: replies.append(body), auto_ack=True)
        self.is_ready.wait(10)
        while not self.is_stopping.is_set():
            began = time.monotonic()
            body = str(self.trips).encode()
            channel.basic_publish("", "rpc", body, pika.BasicProperties(reply_to=queue), mandatory=True)
            while not replies:
                connection.process_data_events(0.1)
                if time.monotonic() - began > 20:
                    raise AssertionError("no reply within 20 s")
            assert replies.pop() == body and not replies
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.trips += 1

    def finish(self):
        self.is_stopping.set()
        for thread in self.threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in self.threads), "the bystander is stuck"


class Attacks(Play):
    config = """
        [scripting]
        client_expressions = true
    """

    def new_connection(self, user="guest"):
        parameters = pika.ConnectionParameters(
            self.broker.host, self.broker.port, heartbeat=0, credentials=pika.PlainCredentials(user, "guest")
        )
        return pika.BlockingConnection(parameters)

    def attack(self, name, hit):
        """Calls `hit` again and again, while a bystander works; all of its calls must succeed."""
        bystander = Bystander(self.new_connection)
        eventually(lambda: bystander.trips or bystander.error, what="the bystander's first call")
        bystander.slowest = 0
        first, hits = bystander.trips, 0
        began = time.monotonic()
        while time.monotonic() - began < ATTACK_SECONDS or hits < 3:
            hit()
            hits += 1
        trips = bystander.trips - first
        bystander.finish()
        self.note(f"slowest round trip during attack {name}: {1000 * bystander.slowest:.0f} ms")
        self.assertIsNone(bystander.error)
        self.assertGreater(trips, 0, "the bystander had no round trip meanwhile")
        self.assertLess(bystander.slowest, SLOWEST_SECONDS)

    def attack_each(self, hook, table, scripts, hit, prepare=lambda: None):
        """A plugin for each script, for one that wastes time is cut off; it goes again with its attack."""
        for script in scripts:
            name = f"x-{script}"
            with self.subTest(script):
                self.broker.put_in_force(name, plugin(table, script))
                eventually(lambda: self.broker.plugin(name)["in_force"], what=f"the plugin {name}")
                prepare()
                try:
                    self.attack(f"{script} in {hook}", hit)
                    usage = self.broker.plugin(name)["usage"]
                    self.assertGreaterEqual(
                        sum(row["errors"] for row in usage), 1, "the script was not called"
                    )
                finally:
                    self.broker.path(name).unlink()
                    self.broker.reload()

    def filter(self, stage, scripts):
        """What the publisher sees of each message that meets the script."""
        channel = self.channel()
        channel.exchange_declare(f"to.{stage}", "fanout", auto_delete=True)
        self.queue(channel, f"hit.{stage}")
        channel.queue_bind(f"hit.{stage}", f"to.{stage}")
        self.consume(channel, f"hit.{stage}")
        matched = f'exchange = "to.{stage}"' if stage == "publish" else f'queue = "hit.{stage}"'
        table = f"filters = {{ {stage} = {{ match = {{ {matched} }}, run = function(message) BODY end }} }}"
        outcomes = set()
        hit = lambda: outcomes.add(self.publish(channel, exchange=f"to.{stage}"))
        self.attack_each(f"{stage} filter", table, scripts, hit)
        return outcomes

    def test_a_publish_filter(self):
        self.assertEqual(self.filter("publish", MANY), {"nacked"})

    def test_an_enqueue_filter(self):
        self.assertEqual(self.filter("enqueue", FEW), {"nacked"})

    def test_a_deliver_filter(self):
        self.assertEqual(self.filter("deliver", FEW), {"acked"})

    def test_a_route(self):
        channel = self.channel()
        for script in MANY:

            def hit():
                self.assertEqual(self.publish(channel, exchange=f"hit {script}"), "nacked")

            def declare():
                channel.exchange_declare(f"hit {script}", f"x-{script}", auto_delete=True)

            self.attack_each(
                "route", "exchange = { route = function() BODY end }", [script], hit, prepare=declare
            )

    def test_a_bind(self):
        channel = self.channel()
        self.queue(channel, "bound")
        for script in FEW:

            def hit():
                bind = channel.connection.channel().queue_bind
                self.assert_closed(406, f"x-{script}", by=lambda: bind("bound", f"bind {script}", ""))

            def declare():
                channel.exchange_declare(f"bind {script}", f"x-{script}", auto_delete=True)

            table = "exchange = { route = function() end, bind = function() BODY end }"
            self.attack_each("bind", table, [script], hit, prepare=declare)

    def test_a_matcher(self):
        channel = self.channel()
        self.queue(channel, "matched")
        for script in FEW:

            def hit():
                self.assertEqual(self.publish(channel, exchange="amq.headers"), "acked")

            def bind():
                channel.queue_bind("matched", "amq.headers", "", {"x-match": f"x-{script}"})

            self.attack_each(
                "matcher", "matcher = { match = function() BODY end }", [script], hit, prepare=bind
            )
        self.assertEqual(self.take_all(channel, "matched"), {})

    def test_an_authenticator(self):
        def hit():
            self.assert_closed(403, by=lambda: self.new_connection("stranger"))

        self.attack_each("authenticate", "authenticate = function() BODY end", MANY, hit)

    def test_a_mechanism(self):
        def hit():
            talk = conversations.Talk((self.broker.host, self.broker.port), "hooks", 0)
            connection = talk.raw()
            connection.silent = True
            connection.start()
            close = connection.start_ok(mechanism="X-ATTACK", response="")
            connection.drop()
            self.assertEqual((close.name, close.fields.get("reply_code")), ("connection.close", 403))

        self.attack_each("sasl", 'sasl = { ["X-ATTACK"] = function() BODY end }', FEW, hit)

    def test_an_authorizer(self):
        connection = self.connect()

        def hit():
            self.assert_closed(
                403, by=lambda: connection.channel().queue_declare("hit.access", exclusive=True)
            )

        table = 'authorize = function(request) if request.name ~= "hit.access" then return end BODY end'
        self.attack_each("authorize", table, FEW, hit)

    def test_a_declare_policy(self):
        connection = self.connect()

        def hit():
            self.assert_closed(
                406, by=lambda: connection.channel().queue_declare("hit.declare", exclusive=True)
            )

        table = 'declare = function(kind, it) if it.name ~= "hit.declare" then return end BODY end'
        self.attack_each("declare", table, FEW, hit)

    def test_a_dead_letter_policy(self):
        channel = self.channel()
        self.queue(channel, "dying")

        def hit():
            self.publish(channel, "dying")
            channel.basic_reject(channel.basic_get("dying")[0].delivery_tag, requeue=False)

        self.attack_each("dead_letter", "dead_letter = function() BODY end", FEW, hit)

    def test_an_event(self):
        channel = self.channel()

        def hit():
            channel.queue_declare("hit.event")
            channel.queue_delete("hit.event")

        self.attack_each("event", "events = { queue_created = function() BODY end }", FEW, hit)

    def test_an_event_that_causes_itself(self):
        channel = self.channel()
        cause = """
            return { api = 1, events = {
              queue_deleted = function() publish({ queue = "nobody", body = "x" }) end,
              message_dropped = function() publish({ queue = "nobody", body = "x" }) end,
            } }
        """

        def hit():
            channel.queue_declare("hit.deleted")
            channel.queue_delete("hit.deleted")

        self.broker.put_in_force("echo", cause)
        self.attack("echo in event", hit)
        self.broker.path("echo").unlink()
        self.broker.reload()

    def test_a_timer(self):
        table = "timers = { { every = 0.1, run = function() BODY end } }"
        self.attack_each("timer", table, FEW, lambda: time.sleep(0.1))

    def test_a_plugin_that_is_cut_off_comes_back(self):
        wasteful = """
            return { api = 1, filters = { publish = {
              match = { exchange = "amq.fanout" },
              run = function(message) if message.headers.waste then while true do end end end,
            } } }
        """
        self.broker.put_in_force("wasteful", wasteful)
        channel = self.channel()
        start = self.broker.log_length()
        plain = self.channel(confirm=False, connection=channel.connection)
        waste = pika.BasicProperties(headers={"waste": True})
        for _ in range(500):  # each takes 1 ms of the 100 that it has in a second
            plain.basic_publish("amq.fanout", "", b"", waste)
        self.queue(plain, "after them")
        self.assertEqual(self.publish(channel, exchange="amq.fanout"), "nacked")
        cut_off = time.monotonic()
        eventually(lambda: self.publish(channel, exchange="amq.fanout") == "acked", what="its return")
        self.assertTrue(0.5 <= time.monotonic() - cut_off < 5)
        self.broker.wait_for_log("wasteful.*cut off for 1 s", start=start, seconds=1)
        self.broker.path("wasteful").unlink()
        self.broker.reload()

    def test_clients_expressions(self):
        channel = self.channel()
        self.queue(channel, "expressive")
        for name, expression in {
            "loop": "(function() while true do end end)()",
            "string": "string.rep('x', 1000000000) == headers.x",
            "pattern": "string.find(string.rep('a', 50000), '.-.-.-.-b')",
        }.items():
            with self.subTest(name):
                arguments = {"x-match": "lua", "x-lua": expression}
                channel.queue_bind("expressive", "amq.headers", "", arguments)
                self.attack(f"{name} in x-lua", lambda: self.publish(channel, exchange="amq.headers"))
                channel.queue_unbind("expressive", "amq.headers", "", arguments)
        self.assertEqual(self.take_all(channel, "expressive"), {})
