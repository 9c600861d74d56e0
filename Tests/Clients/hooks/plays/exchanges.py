"""Exchange types that are scripts: what each function is given, and what the client sees of its answer."""

import time

from case import Play

PROBE = """
    local plugin = { api = 1, about = "all that an exchange type can do" }
    local prepared = 0

    plugin.exchange = {
      validate = function(exchange)
        if exchange.arguments.refuse then
          return deny("refused: " .. exchange.type .. " " .. exchange.name .. " in " .. exchange.vhost
            .. " durable " .. tostring(exchange.durable)
            .. " auto_delete " .. tostring(exchange.auto_delete))
        end
      end,
      bind = function(binding)
        if binding.arguments.refuse then
          return deny("refused: " .. binding.key .. " to " .. binding.destination_kind .. " "
            .. binding.destination .. " from " .. binding.exchange.name
            .. " new " .. tostring(binding.is_new))
        end
        return { least = binding.arguments.least, weight = binding.arguments.weight }
      end,
      prepare = function(bindings)
        prepared = prepared + 1
        return { count = #bindings, prepared = prepared }
      end,
      route = function(message, bindings, index)
        local how = message.headers.how
        if how == "all" then return bindings:all() end
        if how == "key" then return bindings:key(message.routing_key) end
        if how == "topic" then return bindings:topic(message.routing_key) end
        if how == "headers" then return bindings:headers(message.headers) end
        if how == "hash" then return bindings:hash(message.body) end
        if how == "queue" then return queue(message.routing_key) end
        if how == "mix" then return { queue("named"), bindings:key("first") } end
        if how == "kept" then
          local to = {}
          for binding, kept in bindings:each() do
            if kept.least and tonumber(message.body) >= kept.least then to[#to + 1] = binding end
          end
          return to
        end
        if how == "one" then for binding in bindings:each() do return binding end end
        if how == "index" then
          publish({ queue = "index", body = index.count .. " " .. index.prepared })
          return bindings:all()
        end
        if how == "deny" then return deny("not today") end
        if how == "drop" then return drop("not wanted") end
        if how == "delay" then
          if not message.delayed then return delay(300) end
          publish({ queue = "late", body = tostring(message.delayed) })
          return bindings:all()
        end
        if how == "fail" then error("on purpose") end
        if how == "wait" then sleep(1) end
      end,
    }

    return plugin
"""

PURE = """
    return {
      api = 1,
      exchange = {
        pure = { "routing_key" },
        route = function(message, bindings)
          publish({ queue = "asked", body = message.routing_key })
          return bindings:key(message.routing_key)
        end,
      },
    }
"""

LENIENT = """
    return {
      api = 1,
      on_error = { route = "pass" },
      exchange = { route = function() error("on purpose") end },
    }
"""


class Exchanges(Play):
    plugins = {"x-probe": PROBE, "x-pure": PURE, "x-lenient": LENIENT}

    def probe(self, name, kind="x-probe"):
        """An exchange, and the channel that it is declared on."""
        channel = self.channel()
        channel.exchange_declare(name, kind, auto_delete=True)
        return channel

    def bound(self, channel, exchange, queues):
        """Queues by name: each with the key and arguments of its binding."""
        for queue, (key, arguments) in queues.items():
            self.queue(channel, queue)
            channel.queue_bind(queue, exchange, key, arguments)

    def send(self, channel, exchange, how, key="", body="x", **options):
        return self.publish(channel, key, body, exchange=exchange, headers={"how": how}, **options)

    def test_validate_refuses_a_declaration_with_its_text(self):
        self.assert_closed(
            406,
            "refused: x-probe strange in / durable true auto_delete false",
            by=lambda: self.channel().exchange_declare(
                "strange", "x-probe", durable=True, arguments={"refuse": True}
            ),
        )
        self.assert_closed(404, by=lambda: self.channel().exchange_declare("strange", passive=True))

    def test_bind_refuses_a_binding_with_its_text(self):
        channel = self.probe("binding")
        self.queue(channel, "unbound")
        self.assert_closed(
            406,
            "refused: k to queue unbound from binding new true",
            by=lambda: channel.queue_bind("unbound", "binding", "k", {"refuse": True}),
        )

    def test_bind_sees_that_a_destination_is_an_exchange(self):
        channel = self.probe("source")
        self.assert_closed(
            406,
            "to exchange amq.fanout",
            by=lambda: channel.exchange_bind("amq.fanout", "source", "k", {"refuse": True}),
        )

    def test_route_is_given_what_bind_kept(self):
        channel = self.probe("kept")
        self.bound(channel, "kept", {"low": ("", {"least": 1}), "high": ("", {"least": 10})})
        self.assertEqual(self.send(channel, "kept", "kept", body="5"), "acked")
        self.assertEqual(self.send(channel, "kept", "kept", body="50"), "acked")
        self.assertEqual(self.take_all(channel, "low", "high"), {"low": ["5", "50"], "high": ["50"]})

    def test_prepare_runs_again_after_the_bindings_changed_only(self):
        channel = self.probe("prepared")
        self.queue(channel, "index")
        self.bound(channel, "prepared", {"one": ("", None)})
        for _ in range(3):
            self.send(channel, "prepared", "index")
        self.bound(channel, "prepared", {"two": ("", None)})
        self.send(channel, "prepared", "index")
        said = [self.take(channel, "index").body.split() for _ in range(4)]
        self.assertEqual([count for count, _ in said], ["1", "1", "1", "2"])
        first = int(said[0][1])
        self.assertEqual([int(number) - first for _, number in said], [0, 0, 0, 1])

    def test_route_selects_by_key_topic_headers_hash_or_all(self):
        channel = self.probe("selections")
        self.bound(
            channel,
            "selections",
            {
                "plain": ("a.b", None),
                "wild": ("a.*", None),
                "picky": ("picky", {"x-match": "all", "how": "headers"}),
            },
        )
        cases = {
            "key": {"plain"},
            "topic": {"plain", "wild"},
            "all": {"plain", "wild", "picky"},
        }
        for how, queues in cases.items():
            with self.subTest(how):
                self.assertEqual(self.send(channel, "selections", how, "a.b", mandatory=True), "acked")
                self.assertEqual(set(self.take_all(channel, "plain", "wild", "picky")), queues)
        with self.subTest("headers"):
            self.send(channel, "selections", "headers")
            self.assertIn("picky", self.take_all(channel, "plain", "wild", "picky"))
        for how in "hash", "one":
            with self.subTest(how):
                self.send(channel, "selections", how, body="the same")
                first = self.take_all(channel, "plain", "wild", "picky")
                self.assertEqual(len(first), 1, first)
                self.send(channel, "selections", how, body="the same")
                self.assertEqual(self.take_all(channel, "plain", "wild", "picky"), first)

    def test_hash_is_weighted_by_what_bind_kept(self):
        channel = self.probe("weighted")
        self.bound(channel, "weighted", {"light": ("", {"weight": 1}), "heavy": ("", {"weight": 9})})
        for number in range(200):
            self.send(channel, "weighted", "hash", body=str(number))
        found = self.take_all(channel, "light", "heavy")
        self.assertGreater(len(found["heavy"]), 2 * len(found.get("light", [])))

    def test_route_names_queues_and_mixes_them_with_bindings(self):
        channel = self.probe("naming")
        self.queue(channel, "named")
        self.bound(channel, "naming", {"first": ("first", None)})
        self.assertEqual(self.send(channel, "naming", "queue", "named", mandatory=True), "acked")
        self.assertEqual(self.take_all(channel, "named", "first"), {"named": ["x"]})
        self.send(channel, "naming", "mix")
        self.assertEqual(self.take_all(channel, "named", "first"), {"named": ["x"], "first": ["x"]})

    def test_a_queue_that_is_not_there_is_unroutable(self):
        channel = self.probe("nowhere")
        self.assertEqual(self.send(channel, "nowhere", "queue", "no such", mandatory=True), "returned")

    def test_nothing_is_unroutable(self):
        channel = self.probe("nothing")
        self.bound(channel, "nothing", {"deaf": ("", None)})
        self.assertEqual(self.send(channel, "nothing", "nothing"), "acked")
        self.assertEqual(self.send(channel, "nothing", "nothing", mandatory=True), "returned")
        self.assertEqual(self.take_all(channel, "deaf"), {})

    def test_deny_is_a_nack_in_confirm_mode_and_a_return_without(self):
        channel = self.probe("denying")
        self.bound(channel, "denying", {"denied": ("", None)})
        self.assertEqual(self.send(channel, "denying", "deny"), "nacked")
        plain = self.channel(confirm=False, connection=channel.connection)
        method = self.returned(plain, exchange="denying", headers={"how": "deny"})
        self.assertEqual(method.exchange, "denying")
        self.assertEqual(self.take_all(channel, "denied"), {})

    def test_drop_is_confirmed_and_goes_nowhere(self):
        channel = self.probe("dropping")
        self.bound(channel, "dropping", {"dropped": ("", None)})
        self.assertEqual(self.send(channel, "dropping", "drop"), "acked")
        self.assertEqual(self.send(channel, "dropping", "drop", mandatory=True), "acked")
        self.assertEqual(self.take_all(channel, "dropped"), {})

    def test_delay_asks_route_again_later(self):
        channel = self.probe("delaying")
        self.queue(channel, "late")
        self.bound(channel, "delaying", {"delayed": ("", None)})
        began = time.monotonic()
        self.assertEqual(self.send(channel, "delaying", "delay"), "acked")
        self.assertEqual(self.take(channel, "delayed").body, "x")
        took = time.monotonic() - began
        self.assertTrue(0.29 <= took < 5, f"it took {took:.3f} s")
        self.assertEqual(self.take(channel, "late").body, "300")

    def test_a_route_that_fails_refuses_the_message(self):
        channel = self.probe("failing")
        self.assertEqual(self.send(channel, "failing", "fail"), "nacked")

    def test_a_route_may_not_wait(self):
        channel = self.probe("waiting")
        start = self.broker.log_length()
        self.assertEqual(self.send(channel, "waiting", "wait"), "nacked")
        self.broker.wait_for_log(r"x-probe.*(wait|sleep)", start=start)

    def test_a_failing_route_that_may_pass_leaves_the_message_unroutable(self):
        channel = self.probe("lenient", "x-lenient")
        self.assertEqual(self.publish(channel, exchange="lenient"), "acked")
        self.assertEqual(self.publish(channel, exchange="lenient", mandatory=True), "returned")

    def test_a_pure_type_is_asked_once_for_each_key_until_bindings_change(self):
        channel = self.probe("pure", "x-pure")
        self.queue(channel, "asked")
        self.bound(channel, "pure", {"alpha": ("a", None), "beta": ("b", None)})
        for key in "aababa":
            self.publish(channel, key, key, exchange="pure")
        self.assertEqual(
            self.take_all(channel, "asked", "alpha", "beta"),
            {"asked": ["a", "b"], "alpha": list("aaaa"), "beta": list("bb")},
        )
        self.bound(channel, "pure", {"gamma": ("a", None)})
        self.publish(channel, "a", "a", exchange="pure")
        self.assertEqual(
            self.take_all(channel, "asked", "alpha", "gamma"),
            {"asked": ["a"], "alpha": ["a"], "gamma": ["a"]},
        )

    def test_an_exchange_may_feed_another(self):
        channel = self.probe("upstream")
        channel.exchange_declare("downstream", "fanout", auto_delete=True)
        self.bound(channel, "downstream", {"sea": ("", None)})
        channel.exchange_bind("downstream", "upstream", "k")
        self.assertEqual(self.send(channel, "upstream", "key", "k", mandatory=True), "acked")
        self.assertEqual(self.take_all(channel, "sea"), {"sea": ["x"]})
