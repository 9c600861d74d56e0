"""Scripts that look at declarations, and at messages that are about to die."""

import time

from case import Play

LAW = """
    return {
      api = 1,
      declare = function(kind, definition)
        local name = definition.name
        if name:match("^no") then return deny("the law forbids " .. kind .. " " .. name) end
        if name:match("^told") then
          return deny(table.concat({
            kind, definition.vhost, definition.type or "-", tostring(definition.durable),
            tostring(definition.auto_delete), tostring(definition.exclusive), tostring(definition.internal),
            definition.user, tostring(definition.arguments["x-expires"] or definition.arguments.color),
          }, " "))
        end
        if kind == "queue" and name:match("^buried") then
          return change{ arguments = {
            ["x-dead-letter-exchange"] = "", ["x-dead-letter-routing-key"] = "grave",
            ["x-extra"] = "of the law",
          } }
        end
        if kind == "exchange" and name:match("^second") then
          return change{ arguments = { ["alternate-exchange"] = "amq.fanout" } }
        end
        if name:match("^broken") then error("on purpose") end
        if name:match("^default") or name:match("^amq%.") or name == "" then
          publish({ queue = "seen", body = kind .. " " .. name })
        end
      end,
    }
"""

# Comes back twice, ever later; then what the header `after` says.
RETRY = """
    return {
      api = 1,
      dead_letter = function(message, death)
        publish({
          queue = "deaths",
          body = table.concat({ death.queue, death.reason, death.count, message.queue, message.body }, " "),
        })
        if not message.headers.after then return end
        if death.count <= 2 then return delay(100 * death.count) end
        if message.headers.after == "drop" then return drop("it had its chances") end
        if message.headers.after == "fail" then error("on purpose") end
      end,
    }
"""


class Declarations(Play):
    plugins = {"law": LAW}

    def test_deny_is_406_with_the_text(self):
        for declare, kind in (
            (lambda channel: channel.queue_declare("no queue", exclusive=True), "queue"),
            (lambda channel: channel.exchange_declare("no exchange", "direct"), "exchange"),
        ):
            with self.subTest(kind):
                said = f"the law forbids {kind} no {kind}"
                self.assert_closed(406, said, by=lambda: declare(self.channel()))
        self.assert_closed(404, by=lambda: self.channel().queue_declare("no queue", passive=True))

    def test_the_definition_is_told(self):
        self.assert_closed(
            406,
            "queue / - true false false nil guest 60000",
            by=lambda: self.channel().queue_declare("told", durable=True, arguments={"x-expires": 60000}),
        )
        self.assert_closed(
            406,
            "exchange / topic false true nil true guest red",
            by=lambda: self.channel().exchange_declare(
                "told", "topic", auto_delete=True, internal=True, arguments={"color": "red"}
            ),
        )

    def die(self, channel, queue):
        """Publishes to the queue and rejects it there; returns what comes to the grave."""
        self.queue(channel, "grave")
        self.publish(channel, queue, "x")
        tag = channel.basic_get(queue)[0].delivery_tag
        channel.basic_reject(tag, requeue=False)
        return self.take(channel, "grave")

    def test_arguments_that_are_set_are_in_force(self):
        channel = self.channel()
        self.queue(channel, "buried")
        self.assertEqual(self.die(channel, "buried").headers["x-death"][0]["queue"], "buried")

    def test_arguments_of_an_exchange_are_in_force(self):
        channel = self.channel()
        channel.exchange_declare("second", "direct", auto_delete=True)
        self.queue(channel, "alternate")
        channel.queue_bind("alternate", "amq.fanout")
        self.assertEqual(self.publish(channel, "nowhere", "x", exchange="second", mandatory=True), "acked")
        self.assertEqual(self.take(channel, "alternate").body, "x")
        channel.exchange_delete("second")

    def test_the_clients_own_arguments_stay_and_are_equal_later(self):
        channel = self.channel()
        own = {"x-max-length": 1000, "x-dead-letter-exchange": "amq.direct"}
        for _ in range(2):
            self.queue(channel, "buried too", arguments=own)
        self.assertEqual(self.die(channel, "buried too").headers["x-death"][0]["queue"], "buried too")
        other = {**own, "x-max-length": 1001}
        said = "inequivalent arg 'x-max-length'"
        self.assert_closed(406, said, by=lambda: self.queue(channel, "buried too", arguments=other))

    def test_a_policy_that_fails_denies(self):
        self.assert_closed(406, "law", by=lambda: self.channel().queue_declare("broken", exclusive=True))

    def test_nobody_is_asked_about_what_is_the_brokers(self):
        channel = self.channel()
        self.queue(channel, "seen")
        channel.exchange_declare("amq.direct", "direct", durable=True)
        self.queue(channel, "default queue")
        self.assertEqual(self.take_all(channel, "seen"), {"seen": ["queue default queue"]})


class DeadLetters(Play):
    plugins = {"retry": RETRY}

    def mortal(self, name, after=None):
        """A channel with a queue whose dead go to NAME.dead, and one message in it."""
        channel = self.channel()
        self.queue(channel, "deaths")
        self.queue(channel, f"{name}.dead")
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{name}.dead"}
        self.queue(channel, name, arguments=arguments)
        self.publish(channel, name, "x", headers={"after": after} if after else None)
        return channel

    def reject(self, channel, queue, times):
        """Rejects what comes, so many times; returns how many milliseconds lay between."""
        pauses, last = [], None
        for _ in range(times):
            seen = []
            deadline = time.monotonic() + 10
            while not seen:
                method, properties, body = channel.basic_get(queue)
                if method:
                    seen.append(method.delivery_tag)
                self.assertLess(time.monotonic(), deadline, "it did not come back")
                time.sleep(0.005)
            now = time.monotonic()
            if last:
                pauses.append(1000 * (now - last))
            channel.basic_reject(seen[0], requeue=False)
            last = time.monotonic()
        return pauses

    def test_nothing_lets_it_die(self):
        channel = self.mortal("plain")
        self.reject(channel, "plain", 1)
        dead = self.take(channel, "plain.dead")
        self.assertEqual((dead.body, dead.headers["x-death"][0]["count"]), ("x", 1))
        self.assertEqual(self.take(channel, "deaths").body, "plain rejected 1 plain x")

    def test_delay_brings_it_back_to_the_same_queue_and_deaths_are_counted(self):
        channel = self.mortal("retried", after="die")
        first, second = self.reject(channel, "retried", 3)
        self.assertTrue(95 <= first < 3000 and 195 <= second < 3000, f"{first:.0f} ms, {second:.0f} ms")
        dead = self.take(channel, "retried.dead")
        death = dead.headers["x-death"][0]
        self.assertEqual((death["queue"], death["reason"], death["count"]), ("retried", "rejected", 3))
        self.assertEqual(
            self.take_all(channel, "deaths")["deaths"],
            [f"retried rejected {count} retried x" for count in (1, 2, 3)],
        )

    def test_drop_is_the_end(self):
        channel = self.mortal("dropped", after="drop")
        self.reject(channel, "dropped", 3)
        self.assertEqual(self.take_all(channel, "dropped", "dropped.dead"), {})
        self.assertEqual(len(self.take_all(channel, "deaths")["deaths"]), 3)

    def test_a_policy_that_fails_lets_it_die(self):
        channel = self.mortal("failed", after="fail")
        self.reject(channel, "failed", 3)
        self.assertEqual(self.take(channel, "failed.dead").body, "x")

    def test_a_queue_without_dead_letters_asks_too(self):
        channel = self.channel()
        self.queue(channel, "deaths")
        self.queue(channel, "bare")
        self.publish(channel, "bare", "x", headers={"after": "die"})
        self.reject(channel, "bare", 3)
        self.assertEqual(self.take_all(channel, "bare"), {})
        self.assertEqual(len(self.take_all(channel, "deaths")["deaths"]), 3)

    def test_what_a_full_queue_gives_up_is_asked_about(self):
        channel = self.channel()
        self.queue(channel, "deaths")
        self.queue(channel, "full", arguments={"x-max-length": 1})
        self.publish(channel, "full", "a")
        self.publish(channel, "full", "b")
        self.assertEqual(self.take(channel, "deaths", seconds=1).body, "full maxlen 1 full a")
        self.assertEqual(self.take_all(channel, "full"), {"full": ["b"]})
