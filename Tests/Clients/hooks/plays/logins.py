"""Who may log in: the chain of authenticators, whole mechanisms, and hooks that wait."""

import http.server
import json
import threading
import time

import client as conversations
import pika
from case import Play
from scripted import Refused, eventually

# What a user may be told by its name; "tell" puts what the hook was given into the identity.
DOOR = """
    local answers = {
      tagged = function() return allow{ tags = { "monitoring" }, as = { tenant = "acme" } } end,
      renamed = function() return allow{ user = "somebody" } end,
      confined = function()
        local own = { configure = "^own", write = "^(own|amq\\\\.direct)", read = "^own" }
        return allow{ permissions = { ["/"] = own } }
      end,
      elsewhere = function() return allow{ permissions = { other = { configure = ".*" } } } end,
      nowhere = function() return allow{ permissions = {} } end,
      boss = function() return allow{ tags = { "administrator" } } end,
      banned = function() return deny("the reason is for the log") end,
      broken = function() error("on purpose") end,
      nonsense = function() return drop("no answer to a login") end,
      asking = function(login)
        local answer, reason = http.request{
          url = settings.url .. "/login", method = "POST", body = json.encode({ user = login.user }),
          headers = { ["content-type"] = "application/json" }, timeout = 5,
        }
        if not answer then return deny(reason) end
        if answer.status ~= 200 then return deny("status " .. answer.status) end
        return allow{ as = { said = json.decode(answer.body).said, kind = answer.headers["content-type"] } }
      end,
      impatient = function()
        local answer, reason = http.request{ url = settings.url .. "/slow", timeout = 0.2 }
        return allow{ as = { answer = answer and "something" or "nothing", reason = tostring(reason) } }
      end,
      unreachable = function()
        local answer, reason = http.request{ url = "http://127.0.0.1:1/", timeout = 2 }
        return allow{ as = { answer = answer and "something" or "nothing", reason = tostring(reason) } }
      end,
      sleepy = function() sleep(0.5) return allow{} end,
      resolving = function()
        local addresses, reason = dns.resolve("localhost")
        return allow{ as = { addresses = table.concat(addresses or { reason }, " ") } }
      end,
      telling = function(login)
        return allow{ as = {
          mechanism = login.mechanism, user = login.user, password = login.password,
          address = login.peer.address, port = login.peer.port, loopback = login.peer.loopback,
          tls = tostring(login.tls), product = login.client.product, response = #login.response,
        } }
      end,
      guest = function() return deny("internal is asked before") end,
    }

    return {
      api = 1,
      settings = { url = { default = "", about = "where to ask" } },
      authenticate = function(login)
        local answer = answers[login.user]
        if answer then return answer(login) end
      end,
      sasl = {
        ["X-RIDDLE"] = function(login)
          local first = challenge("who are you, " .. login.response .. "?")
          local second = challenge("and what is 6 times 7, " .. first .. "?")
          if second == "42" then return allow{ user = first, as = { riddle = "solved" } } end
          return deny("wrong: " .. second)
        end,
        ["X-TOKEN"] = function(login)
          if login.response == "open sesame" then return allow{ user = "ali" } end
        end,
      },
    }
"""

# Not named in the chain, so never asked.
NEVER = """
    return { api = 1, authenticate = function() return allow{} end }
"""

SECOND = """
    return {
      api = 1,
      authenticate = function(login)
        if login.user == "second" or login.user == "broken" then return allow{ user = "from second" } end
      end,
    }
"""

LENIENT = """
    return {
      api = 1,
      on_error = { authenticate = "allow" },
      authenticate = function() error("on purpose, for everybody") end,
    }
"""

# Shows what a message knows of its publisher.
STAMP = """
    return {
      api = 1,
      filters = {
        publish = {
          match = { exchange = "amq.fanout" },
          run = function(message)
            return change{ headers = {
              user = message.user, identity = message.identity and json.encode(message.identity) or "none",
            } }
          end,
        },
      },
    }
"""


class Asked(http.server.BaseHTTPRequestHandler):
    """The service that the plugin asks."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer({"said": f"hello {body['user']}"})

    def do_GET(self):
        time.sleep(1)
        self.answer({"said": "late"})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # nobody waits any more

    def log_message(self, *_):
        pass


class AMQPlain:
    """AMQPLAIN, which pika has not: a field table of LOGIN and PASSWORD, without its length."""

    TYPE = "AMQPLAIN"
    erase_on_connect = False

    def __init__(self, user, password):
        self.fields = {"LOGIN": user, "PASSWORD": password}

    def response_for(self, start):
        pieces = []
        pika.data.encode_table(pieces, self.fields)
        return self.TYPE, b"".join(pieces)[4:]

    def erase_credentials(self):
        pass


class Token(AMQPlain):
    """A mechanism of one response."""

    TYPE = "X-TOKEN"

    def __init__(self, token):
        self.token = token

    def response_for(self, start):
        return (self.TYPE, self.token) if self.TYPE.encode() in start.mechanisms.split() else (None, None)


pika.credentials.VALID_TYPES += [
    kind for kind in (AMQPlain, Token) if kind not in pika.credentials.VALID_TYPES
]


class Logins(Play):
    plugins = {"door": DOOR, "never": NEVER, "second": SECOND, "stamp": STAMP, "lenient": LENIENT}

    @classmethod
    def setUpClass(cls):
        cls.service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Asked)
        threading.Thread(target=cls.service.serve_forever, daemon=True).start()
        cls.config = f"""
            [auth]
            chain = ["internal", "lenient", "door", "second"]

            [plugins.door]
            url = "http://127.0.0.1:{cls.service.server_port}"
        """
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.service.shutdown()
        cls.service.server_close()
        super().tearDownClass()

    def stamps(self, user="guest", password="guest", **options):
        """What a message of this user is stamped with: name and identity."""
        channel = self.channel(user=user, password=password, **options)
        name = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(name, "amq.fanout")
        self.assertEqual(self.publish(channel, exchange="amq.fanout"), "acked")
        headers = self.take(channel, name).headers
        identity = headers["identity"]
        return headers["user"], None if identity == "none" else json.loads(identity)

    def assert_no_login(self, user, password="any"):
        return self.assert_closed(403, "ACCESS_REFUSED", by=lambda: self.connect(user, password))

    def test_internal_users_are_asked_first_if_the_chain_says_so(self):
        self.assertEqual(self.stamps("guest", "guest"), ("guest", None))

    def test_a_wrong_password_of_an_internal_user_is_refused(self):
        self.assert_no_login("guest", "wrong")

    def test_allow_gives_an_identity(self):
        self.assertEqual(self.stamps("tagged"), ("tagged", {"tenant": "acme"}))

    def test_allow_gives_another_name(self):
        self.assertEqual(self.stamps("renamed"), ("somebody", None))

    def test_allow_gives_permissions(self):
        channel = self.channel(user="confined")
        self.queue(channel, "own")
        self.assertEqual(self.publish(channel, exchange="amq.direct"), "acked")
        confined = "refused for user 'confined'"
        self.assert_closed(
            403, "ACCESS_REFUSED", "queue 'foreign'", confined, by=lambda: channel.queue_declare("foreign")
        )
        channel = self.channel(user="confined", confirm=False)
        channel.basic_publish("amq.fanout", "", b"")
        self.assert_closed(403, "exchange 'amq.fanout'", confined, by=lambda: channel.queue_declare("own.2"))
        self.queue(self.channel(), "foreign too", exclusive=False)
        channel = self.channel(user="confined")
        self.assert_closed(403, "queue 'foreign too'", confined, by=lambda: channel.basic_get("foreign too"))
        self.channel().queue_delete("foreign too")

    def test_a_vhost_that_permissions_do_not_name_is_refused(self):
        for user in "elsewhere", "nowhere":
            with self.subTest(user):
                self.assert_closed(530, f"refused for user '{user}'", by=lambda: self.connect(user, "any"))

    def test_deny_is_403_and_the_reason_is_in_the_log_only(self):
        start = self.broker.log_length()
        self.assertNotIn("the reason", self.assert_no_login("banned"))
        self.broker.wait_for_log("the reason is for the log", start=start)

    def test_whom_nobody_knows_is_refused(self):
        self.assert_no_login("stranger")

    def test_the_next_in_the_chain_is_asked(self):
        self.assertEqual(self.stamps("second"), ("from second", None))

    def test_an_authenticator_that_fails_denies(self):
        for user in "broken", "nonsense":
            with self.subTest(user):
                self.assert_no_login(user)

    def test_the_login_is_told_to_the_hook(self):
        user, told = self.stamps("telling", "secret", client_properties={"product": "pika's own"})
        self.assertEqual(user, "telling")
        self.assertGreater(told.pop("port"), 0)
        self.assertEqual(
            told,
            {
                "mechanism": "PLAIN",
                "user": "telling",
                "password": "secret",
                "address": "127.0.0.1",
                "loopback": True,
                "tls": "nil",
                "product": "pika's own",
                "response": len("\0telling\0secret"),
            },
        )

    def test_the_login_is_told_for_amqplain(self):
        _, told = self.stamps(credentials=AMQPlain("telling", "secret"))
        self.assertEqual(
            [told[name] for name in ("mechanism", "user", "password")], ["AMQPLAIN", "telling", "secret"]
        )

    def test_a_hook_may_ask_over_http(self):
        _, told = self.stamps("asking")
        self.assertEqual(told, {"said": "hello asking", "kind": "application/json"})

    def test_an_answer_that_is_late_is_nil_and_a_reason(self):
        began = time.monotonic()
        _, told = self.stamps("impatient")
        self.assertEqual(told["answer"], "nothing")
        self.assertNotIn(told["reason"], ("", "nil"))
        self.assertLess(time.monotonic() - began, 8)

    def test_a_host_that_is_not_there_is_nil_and_a_reason(self):
        _, told = self.stamps("unreachable")
        self.assertEqual(told["answer"], "nothing")
        self.assertNotIn(told["reason"], ("", "nil"))

    def test_a_hook_may_sleep_while_others_go_on(self):
        other = self.channel()
        login = threading.Thread(target=self.connect, args=("sleepy", "any"))
        began = time.monotonic()
        login.start()
        trips = 0
        while login.is_alive():
            self.queue(other, "busy")
            trips += 1
        self.assertGreaterEqual(time.monotonic() - began, 0.5)
        self.assertGreater(trips, 10)

    def test_a_client_that_leaves_while_its_hook_waits_harms_nobody(self):
        talk = conversations.Talk((self.broker.host, self.broker.port), "hooks", 0)
        for _ in range(8):
            connection = talk.raw()
            connection.silent = True
            connection.start()
            fields = {
                "client_properties": {},
                "mechanism": "PLAIN",
                "response": "\0sleepy\0any",
                "locale": "en_US",
            }
            connection.send("connection.start-ok", **fields)
            connection.drop()
        self.assertEqual(self.stamps("sleepy")[0], "sleepy")

    def test_the_http_api_asks_the_same_chain(self):
        self.assertIn("door", self.broker.ask("GET", "/api/plugins", login="boss:any"))
        for login in "tagged:any", "banned:any", "stranger:any":
            with self.subTest(login), self.assertRaises(Refused) as caught:
                self.broker.ask("GET", "/api/plugins", login=login)
            self.assertEqual(caught.exception.status, 401)

    def test_a_hook_may_ask_dns(self):
        _, told = self.stamps("resolving")
        self.assertTrue({"127.0.0.1", "::1"} & set(told["addresses"].split()), told)

    def test_a_mechanism_of_one_response(self):
        self.assertEqual(self.stamps(credentials=Token("open sesame"))[0], "ali")
        self.assert_closed(403, by=lambda: self.connect(credentials=Token("open barley")))

    def riddle(self, *responses):
        """What the broker says to each, from connection.start on."""
        talk = conversations.Talk((self.broker.host, self.broker.port), "hooks", 0)
        connection = talk.raw()
        self.addCleanup(connection.drop)
        connection.silent = True
        said = [connection.start()]
        said.append(connection.start_ok(mechanism="X-RIDDLE", response=responses[0]))
        for response in responses[1:]:
            connection.send("connection.secure-ok", response=response)
            said.append(connection.receive())
        return said

    def test_a_mechanism_with_challenges(self):
        start, first, second, tune = self.riddle("stranger", "oedipus", "42")
        mechanisms = start.fields["mechanisms"]
        mechanisms = mechanisms.decode() if isinstance(mechanisms, bytes) else mechanisms
        self.assertLessEqual({"PLAIN", "AMQPLAIN", "X-RIDDLE", "X-TOKEN"}, set(mechanisms.split()))
        self.assertEqual((first.name, text(first)), ("connection.secure", "who are you, stranger?"))
        self.assertEqual(
            (second.name, text(second)), ("connection.secure", "and what is 6 times 7, oedipus?")
        )
        self.assertEqual(tune.name, "connection.tune")

    def test_a_mechanism_refuses_a_wrong_response(self):
        close = self.riddle("stranger", "sphinx", "41")[-1]
        self.assertEqual((close.name, close.fields.get("reply_code")), ("connection.close", 403))


def text(secure):
    challenge = secure.fields["challenge"]
    return challenge.decode() if isinstance(challenge, bytes) else challenge


class LoginsByDefault(Play):
    """Without a chain: internal, then all enabled plugins with `authenticate`, by name."""

    plugins = {
        "b-second": 'return { api = 1, authenticate = function() return allow{ user = "b" } end }',
        "a-first": """
            return { api = 1, authenticate = function(login)
              if login.user == "first" then return allow{ user = "a" } end
            end }
        """,
        "0-asleep": 'return { api = 1, enabled = false, authenticate = function() return deny("no") end }',
        "stamp": STAMP,
    }
    stamps = Logins.stamps

    def test_plugins_are_asked_by_name_after_internal(self):
        self.assertEqual(self.stamps("guest", "guest")[0], "guest")
        self.assertEqual(self.stamps("first", "any")[0], "a")
        self.assertEqual(self.stamps("other", "any")[0], "b")

    def test_a_hook_that_waits_ends_in_the_version_that_began_it(self):
        slow = """
            return { api = 1, authenticate = function(login)
              if login.user ~= "slow" then return end
              sleep(1)
              return allow{ user = "VERSION" }
            end }
        """
        self.broker.put_in_force("a-slow", slow.replace("VERSION", "old"))
        found = []
        login = threading.Thread(target=lambda: found.append(self.stamps("slow", "any")[0]))
        login.start()
        asked = lambda: any(row["calls"] for row in self.broker.plugin("a-slow")["usage"])
        eventually(asked, what="the old version's call")
        self.broker.put_in_force("a-slow", slow.replace("VERSION", "new"))
        self.assertEqual(self.stamps("slow", "any")[0], "new")
        login.join(10)
        self.assertEqual(found, ["old"])

    def test_a_removed_authenticator_is_asked_no_more(self):
        text = self.broker.path("b-second").read_text()
        self.broker.path("b-second").unlink()
        self.broker.reload()
        self.assert_closed(403, by=lambda: self.connect("other", "any"))
        self.broker.put_in_force("b-second", text)
        self.assertEqual(self.stamps("other", "any")[0], "b")
