"""Filters before routing, before a queue and before a consumer: every verdict, their order, and what they are
for."""

import datetime
import json
import time

import pika
from case import Play

# One filter for each stage. What it does is what the header `do` says, for the stage of its name.
VERDICTS = """
    local changed = {
      headers = function()
        return change{ headers = { added = "new", kept = "changed" }, remove = { "gone" } }
      end,
      routing_key = function() return change{ routing_key = "other" } end,
      body = function(message) return change{ body = message.body:upper() } end,
      properties = function()
        return change{
          content_type = "text/x", content_encoding = "none", delivery_mode = 1, priority = 7,
          correlation_id = "c", reply_to = "r", expiration = "60000", message_id = "m",
          timestamp = 1234567890, type = "t", user_id = "guest", app_id = "a",
        }
      end,
      null = function() return change{ content_type = null, priority = null, app_id = null } end,
      types = function(message)
        local h = message.headers
        return change{ headers = {
          integer = h.integer + 1, float = h.integer * 0.5, text = h.text .. "!", flag = not h.flag,
          list = { 1, "two", true }, table = { inner = { deep = 1 } },
          was_null = h.void == null, void = null, moment = { timestamp = h.moment.timestamp + 1 },
        } }
      end,
      seen = function(message)
        return change{ body = json.encode({
          exchange = message.exchange, routing_key = message.routing_key, size = message.size,
          body = message.body, vhost = message.vhost, user = message.user, queue = message.queue or "-",
          content_type = message.content_type, message_id = message.message_id, type = message.type,
          priority = message.priority, redelivered = message.redelivered, delayed = message.delayed or "-",
        }) }
      end,
    }
    local function verdict(message, what)
      if changed[what] then return changed[what](message) end
      if what == "allow" then return allow{} end
      if what == "drop" then return drop("unwanted") end
      if what == "deny" then return deny("refused") end
      if what == "delay" then return delay(300) end
      if what == "delay once" then
        if shared("late"):add(message.message_id, true) then return delay(300) end
      end
      if what == "throttle" then return throttle(400) end
      if what == "fail" then error("on purpose") end
      if what == "assign" then message.body = "mine" end
      if what == "misspell" then return message.routingkey end
      if what == "nonsense" then return 42 end
      if what == "wait" then sleep(0.1) end
      if what == "copy" then
        publish(message, { exchange = "copies", headers = { copied = true } })
        publish({ queue = "straight", body = "of its own", content_type = "text/plain" })
      end
      if what == "flood" then for i = 1, 101 do publish({ queue = "straight", body = "x" }) end end
      if what == "count" then publish({ queue = "calls", body = message.queue or message.exchange }) end
    end
    local function stage(name)
      return function(message) return verdict(message, message.headers[name]) end
    end

    return {
      api = 1,
      filters = {
        publish = { match = { exchange = { "filtered", "filtered.*" } }, run = stage("publish") },
        enqueue = { match = { queue = "q.*" }, run = stage("enqueue") },
        deliver = { match = { queue = "q.*" }, run = stage("deliver") },
      },
    }
"""

# A fanout that tells for how long a message was delayed before.
TELLS = """
    return {
      api = 1,
      exchange = {
        route = function(message, bindings)
          publish({ queue = "told", body = tostring(message.delayed) })
          return bindings:all()
        end,
      },
    }
"""


def lenient(hook):
    return f"""
        return {{
          api = 1,
          on_error = {{ {hook} = "pass" }},
          filters = {{ {hook} = {{
            match = {{ {"exchange" if hook == "publish" else "queue"} = "lenient" }},
            run = function() error("on purpose") end,
          }} }},
        }}
    """


class Filters(Play):
    plugins = {
        "verdicts": VERDICTS,
        "x-tells": TELLS,
        "lenient-publish": lenient("publish"),
        "lenient-enqueue": lenient("enqueue"),
        "lenient-deliver": lenient("deliver"),
    }

    def filtered(self, exchange, *queues, kind="fanout", **arguments):
        """A channel with an exchange that feeds the queues, whose names begin with "q."."""
        channel = self.channel()
        channel.exchange_declare(exchange, kind, auto_delete=True)
        for queue in queues:
            self.queue(channel, queue, arguments=arguments or None)
            channel.queue_bind(queue, exchange)
        return channel

    def send(
        self,
        channel,
        exchange="filtered",
        body="x",
        key="",
        headers=None,
        mandatory=False,
        properties=None,
        **do,
    ):
        return self.publish(
            channel,
            key,
            body,
            exchange=exchange,
            headers={**do, **(headers or {})},
            mandatory=mandatory,
            **(properties or {}),
        )

    # Each verdict at each stage

    def test_nothing_and_allow_go_on(self):
        channel = self.filtered("filtered.pass", "q.pass")
        for do in ({}, *({stage: "allow"} for stage in ("publish", "enqueue", "deliver"))):
            with self.subTest(do):
                self.assertEqual(self.send(channel, "filtered.pass", **do), "acked")
                self.assertEqual(self.take(channel, "q.pass").body, "x")

    def test_headers_are_set_and_removed_and_others_stay(self):
        channel = self.filtered("filtered.headers", "q.headers")
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                headers = {"kept": 1, "gone": 2, "other": [1, {"a": "b"}, None]}
                self.send(channel, "filtered.headers", headers=headers, **{stage: "headers"})
                self.assertEqual(
                    self.take(channel, "q.headers").headers,
                    {stage: "headers", "added": "new", "kept": "changed", "other": [1, {"a": "b"}, None]},
                )

    def test_the_body_is_changed(self):
        channel = self.filtered("filtered.body", "q.body")
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                self.send(channel, "filtered.body", "whisper", **{stage: "body"})
                self.assertEqual(self.take(channel, "q.body").body, "WHISPER")

    def test_all_properties_are_changed(self):
        channel = self.filtered("filtered.properties", "q.properties")
        wanted = dict(
            content_type="text/x", content_encoding="none", delivery_mode=1, priority=7, correlation_id="c",
            reply_to="r", expiration="60000", message_id="m", timestamp=1234567890, type="t", user_id="guest",
            app_id="a", cluster_id=None,
        )  # fmt: skip
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                self.send(channel, "filtered.properties", **{stage: "properties"})
                properties = self.take(channel, "q.properties").properties
                self.assertEqual({name: getattr(properties, name) for name in wanted}, wanted)

    def test_null_takes_a_property_away(self):
        channel = self.filtered("filtered.null", "q.null")
        given = {"content_type": "text/plain", "priority": 3, "app_id": "a", "message_id": "stays"}
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                self.send(channel, "filtered.null", properties=given, **{stage: "null"})
                properties = self.take(channel, "q.null").properties
                self.assertEqual([getattr(properties, name) for name in given], [None, None, None, "stays"])

    def test_headers_keep_their_types(self):
        channel = self.filtered("filtered.types", "q.types")
        moment = datetime.datetime(2020, 1, 1)
        given = {
            "integer": 2**40, "text": "ä", "flag": True, "void": None, "moment": moment,
            "untouched": [None, {"x": -1}],
        }  # fmt: skip
        self.assertEqual(self.send(channel, "filtered.types", headers=given, publish="types"), "acked")
        headers = self.take(channel, "q.types").headers
        self.assertEqual(
            headers,
            {
                "publish": "types", "integer": 2**40 + 1, "float": 2.0**39, "text": "ä!", "flag": False,
                "list": [1, "two", True], "table": {"inner": {"deep": 1}}, "was_null": True, "void": None,
                "moment": moment + datetime.timedelta(seconds=1), "untouched": [None, {"x": -1}],
            },
        )  # fmt: skip

    def test_the_message_tells_what_it_is(self):
        channel = self.filtered("filtered.seen", "q.seen")
        properties = {"content_type": "text/plain", "message_id": "m", "type": "t", "priority": 5}
        told = {
            "exchange": "filtered.seen", "routing_key": "k", "size": 5, "body": "hello", "vhost": "/",
            "user": "guest", "queue": "-", "content_type": "text/plain", "message_id": "m", "type": "t",
            "priority": 5, "redelivered": False, "delayed": "-",
        }  # fmt: skip
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                self.send(channel, "filtered.seen", "hello", "k", properties=properties, **{stage: "seen"})
                queue = "-" if stage == "publish" else "q.seen"
                self.assertEqual(json.loads(self.take(channel, "q.seen").body), {**told, "queue": queue})

    def test_a_changed_routing_key_is_what_is_routed(self):
        channel = self.channel()
        channel.exchange_declare("filtered.key", "direct", auto_delete=True)
        for key in "first", "other":
            self.queue(channel, f"q.{key}")
            channel.queue_bind(f"q.{key}", "filtered.key", key)
        self.send(channel, "filtered.key", key="first", publish="routing_key")
        self.assertEqual(self.take_all(channel, "q.first", "q.other"), {"q.other": ["x"]})

    def test_the_change_of_an_enqueue_is_for_its_queue_only(self):
        channel = self.filtered("filtered.one", "q.one", "unfiltered.one")
        self.send(channel, "filtered.one", "whisper", enqueue="body")
        self.assertEqual(
            self.take_all(channel, "q.one", "unfiltered.one"),
            {"q.one": ["WHISPER"], "unfiltered.one": ["whisper"]},
        )

    def test_the_change_of_a_deliver_is_not_kept_by_the_queue(self):
        channel = self.filtered(
            "filtered.own", "q.own", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "own.dead"}
        )
        self.queue(channel, "own.dead")
        self.send(channel, "filtered.own", "whisper", deliver="body")
        seen = self.consume(channel, "q.own", auto_ack=False)
        self.wait(channel, lambda: seen)
        self.assertEqual(seen[0].body, "WHISPER")
        channel.basic_reject(seen[0].tag, requeue=False)
        self.assertEqual(self.take(channel, "own.dead").body, "whisper")

    def test_drop_is_confirmed_and_the_message_is_gone(self):
        channel = self.filtered("filtered.drop", "q.drop")
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                self.assertEqual(
                    self.send(channel, "filtered.drop", mandatory=True, **{stage: "drop"}), "acked"
                )
                self.assertIsNone(self.look(channel, "q.drop"))
                self.assertEqual(self.count(channel, "q.drop"), 0)

    def test_a_drop_at_enqueue_is_for_its_queue_only(self):
        channel = self.filtered("filtered.drops", "q.drops", "unfiltered.drops")
        self.send(channel, "filtered.drops", enqueue="drop")
        self.assertEqual(self.take_all(channel, "q.drops", "unfiltered.drops"), {"unfiltered.drops": ["x"]})

    def test_deny_is_a_nack_in_confirm_mode(self):
        channel = self.filtered("filtered.deny", "q.deny")
        for stage in "publish", "enqueue":
            with self.subTest(stage):
                self.assertEqual(self.send(channel, "filtered.deny", **{stage: "deny"}), "nacked")
                self.assertEqual(
                    self.send(channel, "filtered.deny", mandatory=True, **{stage: "deny"}), "nacked"
                )
        self.assertEqual(self.take_all(channel, "q.deny"), {})

    def test_deny_is_a_return_without_confirms(self):
        channel = self.filtered("filtered.return", "q.return")
        for stage in "publish", "enqueue":
            with self.subTest(stage):
                plain = self.channel(confirm=False, connection=channel.connection)
                method = self.returned(plain, "k", exchange="filtered.return", headers={stage: "deny"})
                self.assertEqual((method.exchange, method.routing_key), ("filtered.return", "k"))
        self.assertEqual(self.take_all(channel, "q.return"), {})

    def test_what_one_queue_refuses_another_may_have(self):
        channel = self.filtered("filtered.some", "q.some", "unfiltered.some")
        self.assertEqual(self.send(channel, "filtered.some", enqueue="deny"), "nacked")
        self.assertEqual(self.take_all(channel, "q.some", "unfiltered.some"), {"unfiltered.some": ["x"]})

    def test_a_deny_at_deliver_is_a_dead_letter(self):
        channel = self.filtered(
            "filtered.dead", "q.dead", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        )
        self.queue(channel, "dead")
        self.send(channel, "filtered.dead", deliver="deny")
        self.send(channel, "filtered.dead", "good")
        seen = self.consume(channel, "q.dead")
        self.wait(channel, lambda: seen)
        self.assertEqual([one.body for one in seen], ["good"])
        dead = self.take(channel, "dead")
        self.assertEqual(dead.headers["x-death"][0]["reason"], "rejected")
        self.assertEqual(dead.headers["x-death"][0]["queue"], "q.dead")

    def late(self, stage, what):
        """Sends one that is delayed; it must come late, and behind one that is not."""
        name = what.replace(" ", "-")
        channel = self.filtered(f"filtered.{name}.{stage}", f"q.{name}.{stage}", kind="x-tells")
        self.queue(channel, "told")
        seen = self.consume(channel, f"q.{name}.{stage}")
        properties = {"message_id": f"{stage} {what}"}
        began = time.monotonic()
        self.assertEqual(
            self.send(channel, f"filtered.{name}.{stage}", "late", properties=properties, **{stage: what}),
            "acked",
        )
        self.send(channel, f"filtered.{name}.{stage}", "prompt")
        self.wait(channel, lambda: len(seen) == 2, what="both messages")
        took = time.monotonic() - began
        self.assertEqual([one.body for one in seen], ["prompt", "late"])
        self.assertTrue(0.29 <= took < 5, f"it took {took:.3f} s")
        return self.take_all(channel, "told")["told"]

    def test_delay_on_publish_routes_later(self):
        self.assertEqual(self.late("publish", "delay"), ["nil", "300"])

    def test_delay_on_enqueue_enters_the_queue_later(self):
        self.late("enqueue", "delay once")

    def test_delay_on_deliver_puts_it_back_for_later(self):
        self.late("deliver", "delay once")

    def test_throttle_stops_the_reading_of_this_connection_only(self):
        for stage in "publish", "enqueue":
            with self.subTest(stage):
                channel = self.filtered(f"filtered.throttle.{stage}", f"q.throttle.{stage}")
                other = self.channel()
                plain = self.channel(confirm=False, connection=channel.connection)
                began = time.monotonic()
                plain.basic_publish(
                    f"filtered.throttle.{stage}", "", b"x", pika.BasicProperties(headers={stage: "throttle"})
                )
                plain.connection.process_data_events(0)
                self.queue(other, f"quick.{stage}")
                quick = time.monotonic() - began
                self.assertIsNotNone(self.look(plain, f"q.throttle.{stage}"))
                slow = time.monotonic() - began
                self.assertTrue(0.35 <= slow < 5, f"the throttled one waited for {slow:.3f} s")
                self.assertLess(quick, slow)

    def test_throttle_on_deliver_is_an_error(self):
        channel = self.filtered("filtered.error", "q.error")
        start = self.broker.log_length()
        self.send(channel, "filtered.error", deliver="throttle")
        self.consume(channel, "q.error")
        self.wait(channel, lambda: self.count(channel, "q.error") == 0, what="its death")
        self.broker.wait_for_log("throttle", start=start)

    # What fails

    def test_a_failing_filter_refuses_the_message(self):
        channel = self.filtered("filtered.fail", "q.fail")
        for stage in "publish", "enqueue":
            for what in "fail", "assign", "misspell", "nonsense", "wait":
                with self.subTest(stage=stage, what=what):
                    self.assertEqual(self.send(channel, "filtered.fail", **{stage: what}), "nacked")
        self.assertEqual(self.take_all(channel, "q.fail"), {})

    def test_the_log_says_file_line_and_headers_but_no_body(self):
        channel = self.filtered("filtered.log", "q.log")
        start = self.broker.log_length()
        self.send(channel, "filtered.log", "a secret body", headers={"order": 4711}, publish="fail")
        line = self.broker.wait_for_log(r"verdicts.*on purpose", start=start).string
        self.assertRegex(line, r"verdicts\.lua:\d+")
        self.assertIn("4711", line)
        self.assertNotIn("a secret body", line)

    def test_a_failing_deliver_filter_puts_it_back_once_and_then_it_is_dead(self):
        channel = self.filtered(
            "filtered.twice",
            "q.twice",
            **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "twice.dead"},
        )
        self.queue(channel, "twice.dead")
        errors = self.usage("verdicts", "filters.deliver")["errors"]
        self.send(channel, "filtered.twice", deliver="fail")
        seen = self.consume(channel, "q.twice")
        self.assertEqual(self.take(channel, "twice.dead").headers["x-death"][0]["queue"], "q.twice")
        self.assertEqual(seen, [])
        self.assertEqual(self.usage("verdicts", "filters.deliver")["errors"] - errors, 2)

    def test_a_failing_deliver_filter_does_not_stop_its_queue(self):
        channel = self.filtered("filtered.on", "q.on")
        seen = self.consume(channel, "q.on")
        for _ in range(3):
            self.send(channel, "filtered.on", "bad", deliver="fail")
            self.send(channel, "filtered.on", "good")
        self.wait(channel, lambda: len(seen) == 3, seconds=5, what="the three good ones")
        self.assertEqual([one.body for one in seen], ["good"] * 3)
        self.assertEqual(self.count(channel, "q.on"), 0)

    def usage(self, plugin, hook):
        return next(row for row in self.broker.plugin(plugin)["usage"] if row["hook"] == hook)

    def test_a_failing_filter_that_may_pass_lets_it_go_on(self):
        channel = self.channel()
        channel.exchange_declare("lenient", "fanout", auto_delete=True)
        self.queue(channel, "lenient")
        channel.queue_bind("lenient", "lenient")
        self.assertEqual(self.publish(channel, exchange="lenient", body="x"), "acked")
        self.assertEqual(self.take(channel, "lenient").body, "x")

    # Copies

    def test_publish_sends_copies_and_messages_of_its_own(self):
        channel = self.filtered("filtered.copy", "q.copy")
        channel.exchange_declare("copies", "fanout", auto_delete=True)
        self.queue(channel, "copied")
        channel.queue_bind("copied", "copies")
        self.queue(channel, "straight")
        for stage in "publish", "enqueue", "deliver":
            with self.subTest(stage):
                self.send(
                    channel,
                    "filtered.copy",
                    "x",
                    "k",
                    headers={"a": 1},
                    properties={"app_id": "me"},
                    **{stage: "copy"},
                )
                self.assertEqual(self.take(channel, "q.copy").headers, {stage: "copy", "a": 1})
                copy = self.take(channel, "copied")
                self.assertEqual((copy.body, copy.key, copy.exchange), ("x", "k", "copies"))
                self.assertEqual(copy.properties.app_id, "me")
                self.assertEqual(copy.headers, {stage: "copy", "a": 1, "copied": True})
                own = self.take(channel, "straight")
                self.assertEqual((own.body, own.properties.content_type), ("of its own", "text/plain"))

    def test_a_call_may_publish_100_messages_only(self):
        channel = self.filtered("filtered.flood", "q.flood")
        self.assertEqual(self.send(channel, "filtered.flood", publish="flood"), "nacked")

    # What they are for

    def test_match_leaves_out_other_exchanges_and_queues(self):
        channel = self.filtered("filtered.x", "q.x", "p.x")
        channel.exchange_declare("filteredx", "fanout", auto_delete=True)
        for queue in "q.x", "p.x":
            channel.queue_bind(queue, "filteredx")
        self.queue(channel, "calls")
        self.send(channel, "filteredx", publish="count", enqueue="count")
        self.assertEqual(
            self.take_all(channel, "calls", "q.x", "p.x"), {"calls": ["q.x"], "q.x": ["x"], "p.x": ["x"]}
        )
        self.send(channel, "filtered.x", publish="count")
        self.assertEqual(self.take(channel, "calls").body, "filtered.x")


def trail(name, order, match="{}"):
    """A filter that adds its name to what those before it wrote."""
    return f"""
        return {{
          api = 1,
          filters = {{ publish = {{
            order = {order},
            match = {match},
            run = function(message)
              return change{{ headers = {{ trail = (message.headers.trail or "") .. "{name} " }} }}
            end,
          }} }},
        }}
    """


class FilterOrder(Play):
    plugins = {
        "zz": trail("zz", -1, '{ exchange = "amq.*" }'),
        "aa": trail("aa", 10, '{ exchange = "amq.*" }'),
        "nn": trail("nn", 0, '{ exchange = "amq.*" }'),
        "mm": trail("mm", 0, '{ exchange = "amq.*" }'),
        "half": trail("half", 0.5, '{ exchange = "amq.*" }'),
        "list": trail("list", 1, '{ exchange = { "no", "amq.f?n*" } }'),
        "other-vhost": trail("other-vhost", 2, '{ vhost = "oth*" }'),
        "this-vhost": trail("this-vhost", 3, '{ vhost = { "/", "oth*" } }'),
        "no-match": trail("no-match", 4, '{ exchange = "amq.direct" }'),
    }

    def test_filters_run_by_order_then_name_and_only_where_they_match(self):
        channel = self.channel()
        self.queue(channel, "trail")
        channel.queue_bind("trail", "amq.fanout")
        self.publish(channel, exchange="amq.fanout")
        self.assertEqual(self.take(channel, "trail").headers["trail"], "zz mm nn half list this-vhost aa ")

    def test_the_default_exchange_is_filtered_by_those_that_name_none(self):
        channel = self.channel()
        self.queue(channel, "default")
        self.publish(channel, "default")
        self.assertEqual(self.take(channel, "default").headers["trail"], "this-vhost ")
