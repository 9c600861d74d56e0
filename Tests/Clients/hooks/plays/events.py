"""Events and timers, heard through a plugin that publishes what it hears."""

import itertools
import json
import time

from case import Play
from scripted import eventually

HEARD = [
    "connection_opened", "connection_closed", "queue_created", "queue_deleted", "exchange_created",
    "exchange_deleted", "message_dropped",
]  # fmt: skip

HERALD = """
    local function tell(name)
      return function(event)
        if name == "message_dropped" and event.reason:match("no queue") then return end -- its own
        publish({ queue = "heard", body = json.encode({ event = name, fields = event }) })
      end
    end
    local events = {}
    for _, name in ipairs({ %s, "alarm_raised", "alarm_cleared" }) do events[name] = tell(name) end
    return {
      api = 1,
      events = events,
      filters = {
        publish = {
          match = { exchange = "dropping" },
          run = function(message) if message.body == "drop" then return drop("unwanted") end end,
        },
        enqueue = { match = { queue = "dropping" }, run = function() return drop("not in here") end },
      },
    }
""" % ", ".join(f'"{name}"' for name in HEARD)

# Waits in an event: the ones after it are not held up, nor is the broker.
SLOW = """
    return {
      api = 1,
      events = {
        queue_created = function(event)
          if event.name ~= "slow" then return end
          publish({ queue = "slowly", body = "began" })
          sleep(0.3)
          publish({ queue = "slowly", body = "ended" })
        end,
        queue_deleted = function() error("on purpose") end,
      },
    }
"""

TIMERS = """
    local ticks, round = 0, 0
    return {
      api = 1,
      timers = {
        { every = 0.1, run = function()
          ticks = ticks + 1
          publish({ queue = "ticks", body = tostring(ticks) })
        end },
        { every = 0.1, run = function()
          round = round + 1
          local mine = round
          publish({ queue = "rounds", body = "begin " .. mine })
          sleep(0.35)
          publish({ queue = "rounds", body = "end " .. mine })
        end },
        { every = 0.1, run = function() error("on purpose") end },
      },
    }
"""


class Events(Play):
    plugins = {"herald": HERALD, "slow": SLOW}

    def setUp(self):
        super().setUp()
        self.ear = self.channel()
        self.queue(self.ear, "heard")
        self.heard = []

    def hear(self, event, **fields):
        """Waits for the event with these fields; returns all of them."""

        def find():
            while one := self.look(self.ear, "heard"):
                self.heard.append(json.loads(one.body))
            for told in self.heard:
                if told["event"] == event and fields.items() <= told["fields"].items():
                    return told["fields"]

        return eventually(find, what=f"{event} with {fields}")

    def test_connections(self):
        connection = self.connect(client_properties={"product": "the tested one"})
        port = connection._impl._transport._sock.getsockname()[1]
        told = self.hear("connection_opened")
        self.assertEqual((told["user"], told["vhost"]), ("guest", "/"))
        self.assertEqual(told["peer"], {"address": "127.0.0.1", "port": port, "loopback": True})
        self.assertEqual(told["client"]["product"], "the tested one")
        connection.close()
        told = self.hear("connection_closed")
        self.assertEqual(told["peer"]["port"], port)
        self.assertTrue(told["reason"])

    def test_a_connection_that_is_cut_is_closed(self):
        connection = self.connect()
        self.hear("connection_opened")
        connection._impl._transport._sock.close()
        self.connections.remove(connection)
        self.assertTrue(self.hear("connection_closed")["reason"])

    def test_queues(self):
        arguments = {"x-max-length": 5}
        self.ear.queue_declare("q", auto_delete=True, arguments=arguments)
        fields = dict(vhost="/", name="q", durable=False, auto_delete=True, exclusive=False)
        self.assertEqual(self.hear("queue_created", name="q"), {**fields, "arguments": arguments})
        self.ear.queue_declare("q", auto_delete=True, arguments=arguments)
        self.ear.queue_delete("q")
        self.assertEqual(self.hear("queue_deleted", name="q"), {**fields, "arguments": arguments})
        self.assertEqual(len([told for told in self.heard if told["fields"].get("name") == "q"]), 2)

    def test_an_exclusive_queue_goes_with_its_connection(self):
        connection = self.connect()
        self.queue(connection.channel(), "exclusive")
        self.assertTrue(self.hear("queue_created", name="exclusive")["exclusive"])
        connection.close()
        self.hear("queue_deleted", name="exclusive")

    def test_exchanges(self):
        self.ear.exchange_declare("e", "topic", durable=True, internal=True, arguments={"a": 1})
        fields = dict(vhost="/", name="e", type="topic", durable=True, auto_delete=False, internal=True)
        self.assertEqual(self.hear("exchange_created", name="e"), {**fields, "arguments": {"a": 1}})
        self.ear.exchange_delete("e")
        self.assertEqual(self.hear("exchange_deleted", name="e"), {**fields, "arguments": {"a": 1}})

    def test_messages_that_scripts_drop(self):
        self.ear.exchange_declare("dropping", "fanout", auto_delete=True)
        self.queue(self.ear, "dropping")
        self.ear.queue_bind("dropping", "dropping")
        self.publish(self.ear, "key", "drop", exchange="dropping")
        told = self.hear("message_dropped", reason="unwanted")
        self.assertEqual(told, dict(vhost="/", exchange="dropping", routing_key="key", reason="unwanted"))
        self.publish(self.ear, "key", "x", exchange="dropping")
        told = self.hear("message_dropped", reason="not in here")
        self.assertEqual(told["queue"], "dropping")

    def test_a_hook_that_waits_holds_nobody_up(self):
        self.queue(self.ear, "slowly")
        began = time.monotonic()
        self.queue(self.ear, "slow")
        self.assertEqual(self.take(self.ear, "slowly").body, "began")
        self.queue(self.ear, "meanwhile")
        self.hear("queue_created", name="meanwhile")
        meanwhile = time.monotonic() - began
        self.assertEqual(self.take(self.ear, "slowly").body, "ended")
        ended = time.monotonic() - began
        self.assertGreaterEqual(ended, 0.29)
        self.assertLess(meanwhile, ended)

    def test_a_hook_that_fails_is_in_the_log_and_harms_nothing(self):
        start = self.broker.log_length()
        self.queue(self.ear, "short lived")
        self.ear.queue_delete("short lived")
        self.broker.wait_for_log("slow.*on purpose", start=start)
        self.hear("queue_deleted", name="short lived")


class Timers(Play):
    plugins = {"clockwork": TIMERS}

    def test_a_timer_ticks(self):
        channel = self.channel()
        self.queue(channel, "ticks")
        began = time.monotonic()
        ticks = [int(self.take(channel, "ticks").body) for _ in range(5)]
        took = time.monotonic() - began
        self.assertEqual(ticks, list(range(ticks[0], ticks[0] + 5)))
        self.assertTrue(0.35 <= took < 8, f"5 ticks of 0.1 s took {took:.2f} s")

    def test_a_run_that_still_waits_is_not_begun_anew(self):
        channel = self.channel()
        self.queue(channel, "rounds")
        words = [self.take(channel, "rounds").body.split() for _ in range(7)]
        first = words.index(next(word for word in words if word[0] == "begin"))
        for one, other in itertools.pairwise(words[first:]):
            if one[0] == "begin":
                self.assertEqual(other, ["end", one[1]])
            else:
                self.assertEqual(other, ["begin", str(int(one[1]) + 1)])

    def test_timers_of_a_plugin_that_is_gone_tick_no_more(self):
        name = "gone"
        self.broker.put_in_force(
            name,
            """
            return { api = 1, timers = { { every = 0.1, run = function()
              publish({ queue = "last", body = "x" })
            end } } }
            """,
        )
        channel = self.channel()
        self.queue(channel, "last")
        self.take(channel, "last")
        self.broker.path(name).unlink()
        self.broker.reload()
        eventually(lambda: name not in [row["name"] for row in self.broker.get("/api/plugins")])
        channel.queue_purge("last")
        time.sleep(0.4)
        self.assertEqual(self.count(channel, "last"), 0)
