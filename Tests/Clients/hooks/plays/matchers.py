"""Bindings of a headers exchange whose match is a script: a plugin's, or the binding's own expression."""

from case import Play

AT_LEAST = """
    return {
      api = 1,
      matcher = {
        bind = function(arguments)
          if math.type(arguments.price) ~= "integer" then return deny("price must be an integer") end
          return { price = arguments.price }
        end,
        match = function(headers, kept) return (headers.price or 0) >= kept.price end,
      },
    }
"""

KEEPS_ALL = """
    return {
      api = 1,
      matcher = { match = function(headers, kept) return headers.colour == kept.colour end },
    }
"""


class Matchers(Play):
    plugins = {"at-least": AT_LEAST, "same-colour": KEEPS_ALL}
    config = """
        [scripting]
        client_expressions = true
    """

    def bound(self, *queues):
        """A channel with queues that are bound to amq.headers, each with its arguments."""
        channel = self.channel()
        for queue, arguments in queues:
            self.queue(channel, queue)
            channel.queue_bind(queue, "amq.headers", "", arguments)
        return channel

    def heard(self, channel, queues, **headers):
        """Which of the queues get a message with these headers."""
        self.assertEqual(self.publish(channel, exchange="amq.headers", headers=headers), "acked")
        return set(self.take_all(channel, *queues))

    def bind_expression(self, expression):
        """A function that binds it."""
        channel = self.channel()
        self.queue(channel, "expressive")
        arguments = {"x-match": "lua", "x-lua": expression}
        return lambda: channel.queue_bind("expressive", "amq.headers", "", arguments)

    def test_a_plugin_matches_by_what_its_bind_kept(self):
        channel = self.bound(
            ("cheap", {"x-match": "at-least", "price": 1}), ("dear", {"x-match": "at-least", "price": 100})
        )
        queues = ["cheap", "dear"]
        self.assertEqual(self.heard(channel, queues, price=5), {"cheap"})
        self.assertEqual(self.heard(channel, queues, price=500), {"cheap", "dear"})
        self.assertEqual(self.heard(channel, queues), set())

    def test_without_bind_the_arguments_are_kept(self):
        channel = self.bound(("red", {"x-match": "same-colour", "colour": "red"}))
        self.assertEqual(self.heard(channel, ["red"], colour="red"), {"red"})
        self.assertEqual(self.heard(channel, ["red"], colour="blue"), set())

    def test_a_plugins_refusal_is_406_with_its_text(self):
        channel = self.channel()
        self.queue(channel, "wrong")
        arguments = {"x-match": "at-least", "price": "much"}
        self.assert_closed(
            406,
            "price must be an integer",
            by=lambda: channel.queue_bind("wrong", "amq.headers", "", arguments),
        )

    def test_a_matcher_that_nobody_has_is_406(self):
        channel = self.channel()
        self.queue(channel, "wrong")
        self.assert_closed(
            406, by=lambda: channel.queue_bind("wrong", "amq.headers", "", {"x-match": "no such"})
        )

    def test_an_expression_in_the_binding_matches(self):
        expression = "headers.price > 100 and headers.region == 'eu'"
        channel = self.bound(("both", {"x-match": "lua", "x-lua": expression}))
        self.assertEqual(self.heard(channel, ["both"], price=101, region="eu"), {"both"})
        self.assertEqual(self.heard(channel, ["both"], price=100, region="eu"), set())
        self.assertEqual(self.heard(channel, ["both"], price=101, region="us"), set())

    def test_an_expression_has_the_libraries_that_are_promised(self):
        expression = (
            "string.upper(headers.a) == 'X' and math.max(1, 2) == 2 and utf8.len('ä') == 1 "
            "and type(tonumber('1')) == 'number' and tostring(1) == '1'"
        )
        channel = self.bound(("libraries", {"x-match": "lua", "x-lua": expression}))
        self.assertEqual(self.heard(channel, ["libraries"], a="x"), {"libraries"})

    def test_an_expression_that_fails_does_not_match(self):
        channel = self.bound(
            ("failing", {"x-match": "lua", "x-lua": "headers.price > 100"}),
            ("forbidden", {"x-match": "lua", "x-lua": "os.time() > 0"}),
            ("endless", {"x-match": "lua", "x-lua": "(function() while true do end end)()"}),
        )
        self.assertEqual(self.heard(channel, ["failing", "forbidden", "endless"], other=1), set())
        self.assertEqual(self.heard(channel, ["failing"], price=101), {"failing"})

    def test_a_syntax_error_is_406_with_line_and_reason(self):
        text = self.assert_closed(406, by=self.bind_expression("headers.price >\n> 100"))
        self.assertRegex(text, r"\b2\b")
        self.assertIn("near", text)

    def test_a_missing_expression_is_406(self):
        channel = self.channel()
        self.queue(channel, "expressive")
        self.assert_closed(
            406, by=lambda: channel.queue_bind("expressive", "amq.headers", "", {"x-match": "lua"})
        )


class MatchersByDefault(Play):
    def test_clients_may_not_bind_expressions(self):
        channel = self.channel()
        self.queue(channel, "hopeful")
        arguments = {"x-match": "lua", "x-lua": "true"}
        self.assert_closed(406, by=lambda: channel.queue_bind("hopeful", "amq.headers", "", arguments))
