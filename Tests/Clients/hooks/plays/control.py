"""What an operator sees and does: settings, generations, reloads, roll backs, explanations and metrics."""

import re
import signal
import time

from case import Play
from scripted import Refused, eventually


def stamp(version, more=""):
    """A publish filter that stamps what it is."""
    return f"""
        return {{
          api = 1,
          about = "version {version}",
          filters = {{ publish = {{
            match = {{ exchange = "amq.fanout" }},
            run = function(message) return change{{ headers = {{ version = "{version}" }} }} end,
          }} }},
          {more}
        }}
    """


class Stamped(Play):
    """Plays that look at what messages through amq.fanout are stamped with."""

    def stamp(self):
        if not hasattr(self, "reader"):
            self.reader = self.channel()
            self.stamped = self.reader.queue_declare("", exclusive=True).method.queue
            self.reader.queue_bind(self.stamped, "amq.fanout")
        self.assertEqual(self.publish(self.reader, exchange="amq.fanout"), "acked")
        return self.take(self.reader, self.stamped).headers

    def version(self):
        return self.stamp().get("version")

    def until_version(self, version):
        eventually(lambda: self.version() == version, what=f"version {version!r}")


COUNTER = """
    local count = 0
    return {
      api = 1,
      about = "LABEL",
      filters = { publish = {
        match = { exchange = "amq.fanout" },
        run = function()
          count = count + 1
          return change{ headers = {
            LABEL = count, both = shared("both"):incr("n", 1, 0), hits = shared("LABEL"):incr("n", 1, 100),
          } }
        end,
      } },
      STATE
    }
"""
KEEPS = """
      save = function() return { count = count, deep = { list = { 1, 2 } } } end,
      restore = function(state)
        assert(state.deep.list[2] == 2)
        count = state.count
      end,
"""


def counter(label, state=""):
    return COUNTER.replace("LABEL", label).replace("STATE", state)


class Reloads(Stamped):
    plugins = {
        "keeps": counter("keeps", KEEPS),
        "forgets": counter("forgets"),
        "untouched": counter("untouched"),
        "x-typed": """
            return { api = 1, exchange = {
              bind = function(binding) return binding.arguments.n end,
              route = function(_, bindings) return bindings:all() end,
            } }
        """,
    }

    def test_save_and_restore_hand_over_what_a_new_version_needs(self):
        before = [self.stamp() for _ in range(3)][-1]
        self.broker.put_in_force("keeps", counter("keeps", KEEPS) + "-- changed\n")
        self.broker.put_in_force("forgets", counter("forgets") + "-- changed\n")
        for name in "keeps", "forgets":
            eventually(lambda: self.broker.plugin(name)["in_force"])
        eventually(lambda: self.broker.reload()["changed"] == [])
        after = self.stamp()
        self.assertEqual(after["keeps"], before["keeps"] + 1)
        self.assertEqual(after["untouched"], before["untouched"] + 1)
        self.assertEqual(after["forgets"], 1)
        self.assertEqual(after["both"], before["both"] + 3, "shared is one for all plugins, and stays")
        self.assertEqual(after["hits"], before["hits"] + 1)

    def test_a_broken_version_leaves_the_old_one_and_says_file_line_and_reason(self):
        for text, reason in (
            ("return {\n  api = 1,\n  for for\n}\n", r":3:"),
            ("error('while loading')", r":1:.*while loading"),
            ("return { api = 1, fliters = {} }", r"fliters"),
            ("return { api = 2 }", r"api"),
            ("return 42", r"table"),
        ):
            with self.subTest(text):
                start = self.broker.log_length()
                before = self.stamp()["untouched"]
                report = self.broker.put_in_force("untouched", text)
                self.assertNotIn("untouched", report["changed"])
                self.assertRegex(self.broker.plugin("untouched")["problem"], reason)
                self.assertTrue(self.broker.plugin("untouched")["in_force"])
                self.broker.wait_for_log(rf"untouched.*{reason}", start=start)
                self.assertIn('yutu_plugin_problem{plugin="untouched"', self.broker.ask("GET", "/metrics"))
                self.assertEqual(self.stamp()["untouched"], before + 1)
        self.broker.put_in_force("untouched", counter("untouched"))
        self.assertIsNone(self.broker.plugin("untouched")["problem"])
        self.assertNotIn("yutu_plugin_problem{", self.broker.ask("GET", "/metrics"))

    def test_all_but_the_broken_switch_together(self):
        self.broker.save("untouched", "return {")
        self.broker.put_in_force("forgets", counter("forgets") + "-- once more\n")
        eventually(lambda: self.stamp()["forgets"] <= 2)
        self.assertTrue(self.broker.plugin("untouched")["problem"])
        self.broker.put_in_force("untouched", counter("untouched"))

    def test_a_version_that_refuses_a_binding_does_not_come_into_force(self):
        channel = self.channel()
        channel.exchange_declare("typed", "x-typed", auto_delete=True)
        self.queue(channel, "typed")
        channel.queue_bind("typed", "typed", "", {"n": 1})
        text = self.broker.path("x-typed").read_text()
        refuses = text.replace("return binding.arguments.n", 'return deny("no more bindings")')
        self.broker.put_in_force("x-typed", refuses)
        self.assertIn("no more bindings", self.broker.plugin("x-typed")["problem"])
        self.assertEqual(self.publish(channel, exchange="typed", body="x"), "acked")
        self.assertEqual(self.take(channel, "typed").body, "x")
        self.broker.put_in_force("x-typed", text)

    def test_a_plugin_whose_tests_fail_does_not_come_into_force(self):
        tests = self.broker.path("tested_test")
        tests.write_text('local t = require("yutu.test")\nt.test("it is so", function() t.equal(1, 2) end)\n')
        report = self.broker.put_in_force("tested", stamp("tested"))
        eventually(lambda: "tested" in [row["name"] for row in self.broker.get("/api/plugins")])
        self.assertNotIn("tested", report["changed"])
        self.assertIn("it is so", self.broker.plugin("tested")["problem"])
        self.assertFalse(self.broker.plugin("tested")["in_force"])
        tests.write_text('local t = require("yutu.test")\nt.test("it is so", function() t.equal(1, 1) end)\n')
        self.broker.reload()
        eventually(lambda: self.broker.plugin("tested")["in_force"])
        self.assertEqual(self.version(), "tested")
        tests.unlink()
        self.broker.path("tested").unlink()
        self.broker.reload()

    def test_saving_alone_puts_in_force_within_a_second(self):
        self.broker.save("saved", stamp("saved"))
        began = time.monotonic()
        self.until_version("saved")
        self.assertLess(time.monotonic() - began, 5, "a second is promised; this machine may be busy")
        self.broker.path("saved").unlink()
        self.until_version(None)

    def test_sighup_reloads(self):
        self.broker.save("hung", stamp("up"))
        self.broker.process.child.send_signal(signal.SIGHUP)
        self.until_version("up")
        self.broker.path("hung").unlink()
        self.broker.reload()

    def test_a_module_of_lib_is_required_and_watched(self):
        library = self.broker.plugins / "_lib" / "words.lua"
        library.parent.mkdir(exist_ok=True)
        library.write_text('return { word = "first" }')
        text = stamp("said").replace('"said" }', 'require("words").word }')
        self.broker.put_in_force("required", text)
        self.until_version("first")
        library.write_text('return { word = "second" }')
        self.broker.reload()
        self.until_version("second")
        self.broker.path("required").unlink()
        self.broker.reload()


class Generations(Stamped):
    plugins = {"stamp": stamp("one")}

    def generations(self):
        return self.broker.get("/api/plugins/generations")

    def numbers(self):
        return [row["number"] for row in self.generations()]

    def put(self, version):
        """Puts the version in force; returns the number of its generation."""
        self.broker.put_in_force("stamp", stamp(version))
        self.until_version(version)
        return self.broker.current_generation()

    def test_a_generation_can_be_gone_back_to(self):
        first = self.put("first")
        second = self.put("second")
        third = self.put("third")
        self.assertLess(first, second)
        self.assertLess(second, third)
        report = self.broker.post("/api/plugins/rollback", {"generation": first})
        self.assertEqual(report["problems"], {})
        self.assertEqual(self.version(), "first")
        self.assertEqual(self.broker.plugin("stamp")["about"], "version first")
        fourth = self.broker.current_generation()
        self.assertGreater(fourth, third)
        cause = next(row["cause"] for row in self.generations() if row["current"])
        self.assertIn(str(first), cause)
        # The folder still holds the third version, and is looked at each second: that is no change.
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            self.assertEqual(self.version(), "first")
            time.sleep(0.05)
        self.put("fifth")

    def test_the_last_ten_are_kept(self):
        for number in range(12):
            self.put(f"number {number}")
        numbers = self.numbers()
        self.assertLessEqual(10, len(numbers))
        self.assertLessEqual(len(numbers), 11)
        self.assertEqual(len([row for row in self.generations() if row["current"]]), 1)
        oldest = min(numbers)
        self.broker.post("/api/plugins/rollback", {"generation": oldest})
        self.assertIn(self.version(), [f"number {number}" for number in range(12)])
        with self.assertRaises(Refused) as caught:
            self.broker.post("/api/plugins/rollback", {"generation": oldest - 1})
        self.assertEqual(caught.exception.status, 404)

    def test_going_back_brings_back_what_was_removed_and_removes_what_was_added(self):
        self.put("with")
        before = self.broker.current_generation()
        self.broker.path("stamp").unlink()
        self.broker.put_in_force(
            "added", "return { api = 1, filters = { publish = { run = function() end } } }"
        )
        self.until_version(None)
        self.broker.post("/api/plugins/rollback", {"generation": before})
        self.assertEqual(self.version(), "with")
        in_force = [row["name"] for row in self.broker.get("/api/plugins") if row["in_force"]]
        self.assertEqual(in_force, ["stamp"])
        self.broker.path("added").unlink()
        self.put("again")

    def test_a_reload_that_changes_nothing_is_no_generation(self):
        self.put("still")
        before = self.numbers()
        report = self.broker.reload()
        self.assertEqual((report["changed"], report["removed"], report["problems"]), ([], [], {}))
        self.assertEqual(self.numbers(), before)

    def test_the_api_wants_a_login(self):
        for login, status in ((None, 401), ("guest:wrong", 401)):
            with self.subTest(login), self.assertRaises(Refused) as caught:
                self.broker.ask("GET", "/api/plugins", login=login)
            self.assertEqual(caught.exception.status, status)


SETTINGS = """
    settings = {
      number = { default = 1.5, min = 0, max = 10, about = "a number" },
      integer = { default = 3, type = "integer", min = 1 },
      text = { default = "none", one_of = { "none", "some" } },
      flag = { default = false },
      list = { default = {}, type = "list" },
      words = { default = {}, type = "table" },
      needless = { default = "the default" },
    },
"""
# What each setting may not be, and what the reason must name.
WRONG = {
    "wrong-type": ('number = "many"', "number"),
    "wrong-range": ("number = 11", "10"),
    "wrong-least": ("integer = 0", "1"),
    "wrong-integer": ("integer = 1.5", "integer"),
    "wrong-choice": ('text = "all"', "some"),
    "wrong-flag": ('flag = "yes"', "boolean"),
    "wrong-list": ('list = "a"', "list"),
}


class Settings(Stamped):
    plugins = {
        "right": stamp("right", SETTINGS).replace(
            'version = "right"',
            "version = json.encode({ settings.number, settings.integer, settings.text, settings.flag, "
            "settings.list, settings.words, settings.needless })",
        ),
        "asleep": stamp("asleep", "enabled = false,"),
        "woken": stamp("woken", "enabled = false, ").replace("version =", "woken ="),
        "stopped": stamp("stopped").replace("version =", "stopped ="),
        **{name: stamp(name, SETTINGS).replace("amq.fanout", "none") for name in WRONG},
    }
    config = """
        [plugins.right]
        number = 2.5
        integer = 4
        text = "some"
        flag = true
        list = ["a", "b"]
        words = { a = 1 }

        [plugins.woken]
        enabled = true

        [plugins.stopped]
        enabled = false
    """ + "".join(f"\n        [plugins.{name}]\n        {line}\n" for name, (line, _) in WRONG.items())

    def test_settings_come_from_the_configuration_and_defaults_fill_in(self):
        self.assertEqual(self.version(), '[2.5,4,"some",true,["a","b"],{"a":1},"the default"]')

    def test_the_configuration_enables_and_disables(self):
        stamps = self.stamp()
        self.assertIn("woken", stamps)
        self.assertNotIn("stopped", stamps)
        enabled = {row["name"]: (row["enabled"], row["in_force"]) for row in self.broker.get("/api/plugins")}
        self.assertEqual(enabled["woken"], (True, True))
        self.assertEqual(enabled["asleep"], (False, False))
        self.assertEqual(enabled["stopped"], (False, False))

    def test_a_wrong_setting_keeps_the_plugin_out_and_says_why(self):
        for name, (line, expected) in WRONG.items():
            key = line.split()[0]
            with self.subTest(line):
                report = self.broker.plugin(name)
                self.assertFalse(report["in_force"])
                self.assertIn(key, report["problem"])
                self.assertIn(expected, report["problem"])
                self.broker.wait_for_log(rf"{name}.*{key}.*{re.escape(expected)}", seconds=1)

    def test_the_api_shows_the_settings(self):
        settings = self.broker.plugin("right")["settings"]
        self.assertEqual(
            (settings["number"], settings["list"], settings["needless"]), (2.5, ["a", "b"], "the default")
        )


class Explanations(Play):
    plugins = {
        "stamp": """
            return { api = 1, filters = {
              publish = { match = { exchange = "explained" }, run = function(message)
                local calls = shared("calls"):incr("n", 1, 0)
                publish({ queue = "explained.q", body = "a copy" })
                if message.headers.verdict == "deny" then return deny("not you") end
                if message.headers.verdict == "drop" then return drop("unwanted") end
                if message.headers.verdict == "delay" then return delay(5000) end
                if message.headers.verdict == "fail" then error("on purpose") end
                return change{ routing_key = message.routing_key .. ".changed", headers = { calls = calls } }
              end },
              enqueue = {
                match = { queue = "explained.no" }, run = function() return drop("not in here") end,
              },
            } }
        """,
    }

    def setUp(self):
        super().setUp()
        self.ear = self.channel()
        self.ear.exchange_declare("explained", "topic", auto_delete=True)
        for queue, key in (("explained.q", "a.#"), ("explained.no", "a.#"), ("explained.other", "b.#")):
            self.queue(self.ear, queue)
            self.ear.queue_bind(queue, "explained", key)

    def explain(self, **request):
        return self.broker.post("/api/plugins/explain", {"exchange": "explained", **request})

    def test_the_way_of_a_message_is_told_step_by_step(self):
        told = self.explain(
            routing_key="a.b", headers={"x": 1}, properties={"content_type": "text/plain"}, payload="hello"
        )
        self.assertEqual(told["outcome"], "routed")
        self.assertEqual(told["queues"], ["explained.q"])
        steps = [(step["kind"], step["name"]) for step in told["steps"]]
        for step in ("filter", "stamp"), ("exchange", "explained"), ("queue", "explained.q"):
            self.assertIn(step, steps)
        self.assertEqual(steps[0], ("filter", "stamp"))
        self.assertIn("binding", [kind for kind, _ in steps])
        texts = "\n".join(step["text"] for step in told["steps"])
        for word in "a.b.changed", "a.#", "not in here":
            self.assertIn(word, texts)

    def test_nothing_is_published_and_nothing_is_counted(self):
        for _ in range(3):
            self.explain(routing_key="a.b")
        time.sleep(0.1)
        self.assertEqual(self.take_all(self.ear, "explained.q", "explained.no", "explained.other"), {})
        self.publish(self.ear, "a.b", exchange="explained")
        heard = [self.take(self.ear, "explained.q") for _ in range(2)]
        self.assertEqual([one.headers["calls"] for one in heard if "calls" in one.headers], [1])

    def test_each_outcome_has_its_name(self):
        cases = {"deny": "denied", "drop": "dropped", "delay": "delayed", "fail": "denied"}
        for verdict, outcome in cases.items():
            with self.subTest(verdict):
                told = self.explain(routing_key="a", headers={"verdict": verdict})
                self.assertEqual((told["outcome"], told["queues"]), (outcome, []))
        self.assertEqual(self.explain(routing_key="none")["outcome"], "unroutable")

    def test_an_unknown_exchange_is_404_and_a_missing_one_400(self):
        for request, status in (
            ({"exchange": "no such"}, 404),
            ({}, 400),
            ({"exchange": "x", "kye": "a"}, 400),
        ):
            with self.subTest(request), self.assertRaises(Refused) as caught:
                self.broker.post("/api/plugins/explain", request)
            self.assertEqual(caught.exception.status, status)


SAMPLE = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)$'
)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"')


def samples_of(page):
    """(name, labels) -> value of a page in Prometheus' text format; a wrong line is an AssertionError."""
    samples, types = {}, {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} has two types"
            types[name] = kind
        elif line and not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, f"no sample: {line}"
            name, labels, value = match.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in types or types.get(family) == "histogram", f"{name} has no type before it"
            key = (name, frozenset(LABEL.findall(labels or "")))
            assert key not in samples, f"twice: {line}"
            samples[key] = float(value)
    return samples


class Metrics(Play):
    plugins = {
        "measured": """
            return { api = 1, about = "counts", filters = { publish = {
              match = { exchange = "amq.fanout" },
              run = function(message)
                metrics.counter("seen", 2, { colour = message.headers.colour })
                metrics.gauge("size", message.size)
                metrics.histogram("sizes", message.size)
                if message.headers.colour == "none" then error("on purpose") end
                if message.headers.colour == "loop" then while true do end end
              end,
            } } }
        """,
    }

    def sample(self, name, **labels):
        return samples_of(self.broker.ask("GET", "/metrics", login=None)).get(
            (name, frozenset(labels.items())), 0
        )

    def test_calls_and_errors_grow(self):
        place = {"plugin": "measured", "hook": "filters.publish"}
        channel = self.channel()

        def counts():
            names = ("calls_total", "errors_total", "limit_hits_total", "call_seconds_count")
            return [self.sample(f"yutu_plugin_{name}", **place) for name in names]

        before = counts()
        for colour in ["red"] * 20 + ["none"] * 3 + ["loop"]:
            self.publish(channel, exchange="amq.fanout", headers={"colour": colour})
        calls, errors, limits, timed = (new - old for new, old in zip(counts(), before))
        self.assertEqual((calls, errors, limits), (24, 4, 1))
        self.assertGreater(timed, 0)
        usage = next(
            row for row in self.broker.plugin("measured")["usage"] if row["hook"] == "filters.publish"
        )
        self.assertGreaterEqual(usage["calls"], 24)

    def test_scripts_have_series_of_their_own(self):
        channel = self.channel()
        before = self.sample("yutu_script_seen", plugin="measured", colour="blue")
        for body in "a", "bbb":
            self.publish(channel, body=body, exchange="amq.fanout", headers={"colour": "blue"})
        self.assertEqual(self.sample("yutu_script_seen", plugin="measured", colour="blue") - before, 4)
        self.assertEqual(self.sample("yutu_script_size", plugin="measured"), 3)
        self.assertGreaterEqual(self.sample("yutu_script_sizes_count", plugin="measured"), 2)
        self.assertGreaterEqual(self.sample("yutu_script_sizes_bucket", plugin="measured", le="+Inf"), 2)

    def test_the_plugins_are_listed(self):
        rows = self.broker.get("/api/plugins")
        self.assertEqual([row["name"] for row in rows], ["measured"])
        row = rows[0]
        self.assertEqual(
            (row["about"], row["in_force"], row["enabled"], row["problem"]), ("counts", True, True, None)
        )
        self.assertEqual(row["hooks"], ["filters.publish"])
        self.assertTrue(row["path"].endswith("measured.lua"))
        self.assertGreater(row["memory_bytes"], 1000)
        self.assertEqual(self.broker.plugin("measured")["name"], "measured")
        with self.assertRaises(Refused) as caught:
            self.broker.plugin("nobody")
        self.assertEqual(caught.exception.status, 404)
        self.assertEqual(self.sample("yutu_plugin_in_force", plugin="measured"), 1)
        self.assertEqual(self.sample("yutu_plugin_generation"), self.broker.current_generation())
