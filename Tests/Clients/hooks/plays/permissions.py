"""Who may do what: scripts are asked before a user's own permissions, and their answers are kept."""

from case import Play
from scripted import eventually

# Refuses names that begin with "no"; a refusal's operation may be named behind it: "no-write".
WARDEN = """
    local asked = shared("asked")
    return {
      api = 1,
      authorize = function(request)
        local name = request.resource == "topic" and request.routing_key or request.name
        asked:incr(table.concat({ request.operation, request.resource, request.name }, " "), 1, 0)
        publish({
          queue = "requests",
          body = table.concat({
            request.user, request.operation, request.resource, request.vhost, request.name,
            request.routing_key or "-", request.peer.address, table.concat(request.tags, "+"),
            request.identity and request.identity.tenant or "-",
          }, " "),
        })
        if name:match("^broken") then error("on purpose") end
        if name == "no" or name == "no-" .. request.operation then return deny("the warden says no") end
        if name:match("^yes") then return allow{} end
        if name:match("^asks") then
          sleep(0.1)
          if name == "asks no" then return deny("after a while") end
        end
      end,
    }
"""

# Everybody but guest may do nothing of their own; "banned" may not even connect.
DOOR = """
    return {
      api = 1,
      authenticate = function(login)
        if login.user == "loose" then return allow{ tags = { "a", "b" }, as = { tenant = "acme" } } end
        return allow{ permissions = { ["/"] = { configure = "^$", write = "^$", read = "^$" } } }
      end,
      authorize = function(request)
        if request.operation == "connect" and request.user == "banned" then return deny("banned") end
      end,
    }
"""

LENIENT = """
    return {
      api = 1,
      on_error = { authorize = "allow" },
      authorize = function(request)
        if request.name:match("^lenient") then error("on purpose") end
      end,
    }
"""

# Says how often it was asked about a name: `x-counted` exists only to have a hook that shared is read in.
COUNTS = """
    return {
      api = 1,
      filters = { publish = {
        match = { exchange = "counts" },
        run = function(message)
          return change{ body = tostring(shared("asked"):get(message.body) or 0) }
        end,
      } },
    }
"""


class Permissions(Play):
    plugins = {"warden": WARDEN, "door": DOOR, "lenient": LENIENT, "counts": COUNTS}
    config = """
        [auth]
        cache_seconds = 600
    """

    def asked(self, request):
        """How often the warden was asked this, "operation resource name"."""
        if not hasattr(self, "counter"):
            self.counter = self.channel()
            self.counter.exchange_declare("counts", "fanout", auto_delete=True)
            self.answers = self.counter.queue_declare("", exclusive=True).method.queue
            self.counter.queue_bind(self.answers, "counts")
        self.publish(self.counter, exchange="counts", body=request)
        return int(self.take(self.counter, self.answers).body)

    def test_configure_is_refused(self):
        for name in "no", "no-configure":
            said = f"configure access to queue '{name}' in vhost '/' refused for user 'guest'"
            with self.subTest(name):
                text = self.assert_closed(
                    403, "ACCESS_REFUSED", said, by=lambda: self.channel().queue_declare(name)
                )
                self.assertNotIn("the warden", text)
        self.assert_closed(
            403,
            "configure access to exchange 'no' in vhost '/' refused for user 'guest'",
            by=lambda: self.channel().exchange_declare("no", "direct"),
        )
        self.queue(self.channel(), "no-write")

    def test_write_is_refused(self):
        owner = self.channel()
        owner.exchange_declare("no-write", "direct", auto_delete=True)
        channel = self.channel(confirm=False)
        channel.basic_publish("no-write", "", b"")
        said = "write access to exchange 'no-write' in vhost '/' refused for user 'guest'"
        self.assert_closed(403, said, by=lambda: self.queue(channel, "after it"))
        owner.exchange_delete("no-write")

    def test_write_to_a_queue_is_asked_at_bind(self):
        channel = self.channel()
        self.queue(channel, "no-write")
        said = "write access to queue 'no-write' in vhost '/' refused for user 'guest'"
        self.assert_closed(403, said, by=lambda: channel.queue_bind("no-write", "amq.fanout"))

    def test_read_is_refused(self):
        owner = self.channel()
        self.queue(owner, "no-read")
        said = "read access to queue 'no-read' in vhost '/' refused for user 'guest'"
        connection = owner.connection
        for read in (
            lambda: connection.channel().basic_get("no-read"),
            lambda: connection.channel().basic_consume("no-read", lambda *_: None),
            lambda: connection.channel().queue_purge("no-read"),
        ):
            self.assert_closed(403, said, by=read)

    def test_a_topic_is_refused_by_its_routing_key(self):
        channel = self.channel()
        self.queue(channel, "subscriber")
        channel.queue_bind("subscriber", "amq.topic", "#")
        self.assertEqual(self.publish(channel, "free", exchange="amq.topic"), "acked")
        plain = self.channel(confirm=False)
        plain.basic_publish("amq.topic", "no-write", b"")
        said = (
            "write access to topic 'no-write' in exchange 'amq.topic' in vhost '/' refused for user 'guest'"
        )
        self.assert_closed(403, said, by=lambda: self.queue(plain, "after it"))
        said = "read access to topic 'no-read' in exchange 'amq.topic' in vhost '/' refused for user 'guest'"
        self.assert_closed(403, said, by=lambda: channel.queue_bind("subscriber", "amq.topic", "no-read"))

    def test_a_connection_is_refused(self):
        self.assert_closed(530, "vhost '/'", "user 'banned'", by=lambda: self.connect("banned", "any"))

    def test_allow_goes_before_the_users_own_permissions(self):
        channel = self.channel(user="confined")
        self.queue(channel, "yes, this one")
        said = "configure access to queue 'another' in vhost '/' refused for user 'confined'"
        self.assert_closed(403, said, by=lambda: self.queue(channel, "another"))

    def test_a_hook_that_waits_is_waited_for(self):
        channel = self.channel()
        self.queue(channel, "asks")
        self.assertEqual(self.publish(channel, "asks", "x"), "acked")
        self.assertEqual(self.take(channel, "asks").body, "x")
        self.assert_closed(403, "queue 'asks no'", by=lambda: self.queue(channel, "asks no"))

    def test_publishes_are_in_order_behind_one_that_waits(self):
        channel = self.channel()
        self.queue(channel, "ordered")
        channel.exchange_declare("asks slowly", "fanout", auto_delete=True)
        channel.queue_bind("ordered", "asks slowly")
        quick = self.channel(confirm=False)
        for number in range(20):
            quick.basic_publish("asks slowly" if number % 2 == 0 else "", "ordered", str(number).encode())
        heard = [self.take(channel, "ordered").body for _ in range(20)]
        self.assertEqual(heard, [str(number) for number in range(20)])

    def test_a_hook_that_fails_denies(self):
        said = "queue 'broken' in vhost '/' refused for user 'guest'"
        self.assert_closed(403, said, by=lambda: self.queue(self.channel(), "broken"))

    def test_a_hook_that_fails_and_may_is_passed_over(self):
        self.queue(self.channel(), "lenient")

    def test_the_request_says_who_and_what(self):
        channel = self.channel()
        self.queue(channel, "requests")
        user = self.channel(user="loose")
        self.queue(user, "curious")
        self.publish(user, "key", exchange="amq.topic")
        heard = []

        def all_heard():
            heard.extend(self.take_all(channel, "requests").get("requests", []))
            return {
                "loose connect vhost / / - 127.0.0.1 a+b acme",
                "loose configure queue / curious - 127.0.0.1 a+b acme",
                "loose write exchange / amq.topic - 127.0.0.1 a+b acme",
                "loose write topic / amq.topic key 127.0.0.1 a+b acme",
            } <= set(heard)

        eventually(all_heard, what="the requests of 'loose' in the queue")

    def test_answers_are_kept_for_the_connection_until_a_reload(self):
        channel = self.channel()
        for _ in range(5):
            self.queue(channel, "kept")
        self.assertEqual(self.asked("configure queue kept"), 1)
        self.broker.put_in_force("warden", WARDEN + "\n-- changed\n")
        eventually(lambda: self.broker.reload()["changed"] == [], what="the end of the reload")
        for _ in range(5):
            self.queue(channel, "kept")
        self.assertEqual(self.asked("configure queue kept"), 2)

    def test_answers_are_not_kept_for_another_connection(self):
        for _ in range(2):
            connection = self.connect()
            self.queue(self.channel(connection=connection), "fresh")
            connection.close()
        self.assertEqual(self.asked("configure queue fresh"), 2)

    def test_a_refusal_closes_the_channel_only(self):
        connection = self.connect()
        self.assert_closed(403, by=lambda: connection.channel().queue_declare("no"))
        self.queue(connection.channel(), "well")


class PermissionsKeptBriefly(Play):
    plugins = {"warden": WARDEN, "counts": COUNTS}
    config = """
        [auth]
        cache_seconds = 1
    """
    asked = Permissions.asked

    def test_answers_are_forgotten_after_cache_seconds(self):
        channel = self.channel()
        self.queue(channel, "kept")
        self.queue(channel, "kept")
        self.assertEqual(self.asked("configure queue kept"), 1)

        def asked_again():
            self.queue(channel, "kept")
            return self.asked("configure queue kept") == 2

        eventually(asked_again, seconds=5)
