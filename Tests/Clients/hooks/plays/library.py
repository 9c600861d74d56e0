"""What scripts find at hand, called in a running broker: each answer is compared with Python's."""

import base64
import hashlib
import hmac
import json
import time
import uuid
import zlib

from case import Play
from scripted import eventually

# The body names what is called; the answer, or the error, is the body that is routed.
CALLS = """
    local things = shared("things", 3)
    local calls = {
      base64 = function()
        return { base64.encode("a\\0b"), base64.decode("YQBi") == "a\\0b", base64.decode("!") == nil }
      end,
      hash = function()
        return { hash.crc32("text"), hash.sha256("text"), hash.sha1("text"), hash.md5("text"),
          math.type(hash.xxhash("text", 1)), hash.xxhash("text", 1) == hash.xxhash("text", 1) }
      end,
      hmac = function() return { hmac.sha256("key", "text"), hmac.sha1("key", "text") } end,
      password = function()
        local made = password.hash("secret")
        return { password.check(made, "secret"), password.check(made, "wrong"), made }
      end,
      uuid = function() return { uuid(), uuid() } end,
      time = function()
        return { time.now(), time.monotonic(), os.time(), type(os.clock()), os.date("!%Y", 0) }
      end,
      json = function()
        return { json.encode(json.decode('{"a":[1,2.5,"x",true,null]}').a), json.decode("null") == null,
          json.encode({ a = null }), (pcall(json.decode, "{")) }
      end,
      net = function()
        return { net.in_cidr("10.1.2.3", "10.0.0.0/8"), net.in_cidr("11.1.2.3", "10.0.0.0/8"),
          net.in_cidr("2001:db8::1", "2001:db8::/32"), net.in_cidr("::1", "2001:db8::/32") }
      end,
      regex = function()
        return { regex.match("^[a-z]+[0-9]{2}$", "ab12"), regex.match("^[a-z]+$", "AB"),
          regex.match("(a*)*b", ("a"):rep(5000)) }
      end,
      shared = function()
        local s = shared("plain")
        return { s:get("none") == nil, s:set("k", "v") == nil or true, s:get("k"), s:add("k", 2), s:get("k"),
          s:incr("n", 5, 10), s:incr("n", -1), s:delete("k"), s:delete("k"), s:get("k") == nil }
      end,
      expiry = function() shared("plain"):set("brief", true, 0.3) return { shared("plain"):get("brief") } end,
      brief = function() return { shared("plain"):get("brief") == nil } end,
      capacity = function()
        for i = 1, 5 do things:set("k" .. i, i) end
        local left = {}
        for i = 1, 5 do left[i] = things:get("k" .. i) or 0 end
        return left
      end,
      bucket = function()
        local taken = {}
        for i = 1, 4 do
          local may, wait = shared("buckets"):take("b", 1, 3)
          taken[i] = may
          if not may then taken[5] = wait > 0 and wait <= 1 end
        end
        return taken
      end,
      forbidden = function()
        return { io == nil, load("\27Lua") == nil, debug == nil, os.execute == nil, dofile == nil }
      end,
    }

    return {
      api = 1,
      filters = { publish = {
        match = { exchange = "amq.fanout" },
        run = function(message) return change{ body = json.encode(calls[message.body]()) } end,
      } },
    }
"""

# A plugin that is a folder, with a module beside it.
FOLDER_INIT = """
    local words = require("words")
    return {
      api = 1,
      filters = { publish = {
        match = { exchange = "amq.direct" }, run = function() return change{ body = words.greeting } end,
      } },
    }
"""


class Library(Play):
    plugins = {"calls": CALLS, "folder/init": FOLDER_INIT, "folder/words": 'return { greeting = "hello" }'}

    def call(self, name):
        channel = self.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "amq.fanout")
        self.assertEqual(
            self.publish(channel, exchange="amq.fanout", body=name), "acked", "the script failed"
        )
        return json.loads(self.take(channel, queue).body)

    def test_base64(self):
        self.assertEqual(self.call("base64"), ["YQBi", True, True])

    def test_hashes(self):
        sums = [hashlib.new(kind, b"text").hexdigest() for kind in ("sha256", "sha1", "md5")]
        self.assertEqual(self.call("hash"), [zlib.crc32(b"text"), *sums, "integer", True])

    def test_hmac(self):
        sums = [hmac.new(b"key", b"text", kind).hexdigest() for kind in ("sha256", "sha1")]
        self.assertEqual(self.call("hmac"), sums)

    def test_passwords_are_hashed_as_rabbitmq_does(self):
        right, wrong, made = self.call("password")
        self.assertEqual((right, wrong), (True, False))
        octets = base64.b64decode(made)
        self.assertEqual(octets[4:], hashlib.sha256(octets[:4] + b"secret").digest())

    def test_uuids_are_random_of_version_4(self):
        one, other = (uuid.UUID(text) for text in self.call("uuid"))
        self.assertEqual((one.version, other.version), (4, 4))
        self.assertNotEqual(one, other)

    def test_time(self):
        now, monotonic, seconds, clock, year = self.call("time")
        self.assertAlmostEqual(now, time.time(), delta=10)
        self.assertAlmostEqual(seconds, time.time(), delta=10)
        self.assertGreater(self.call("time")[1], monotonic)
        self.assertEqual((clock, year), ("number", "1970"))

    def test_json(self):
        text, is_null, with_null, is_right = self.call("json")
        self.assertEqual(json.loads(text), [1, 2.5, "x", True, None])
        self.assertEqual((is_null, json.loads(with_null), is_right), (True, {"a": None}, False))

    def test_networks(self):
        self.assertEqual(self.call("net"), [True, False, True, False])

    def test_regular_expressions_take_linear_time(self):
        self.assertEqual(self.call("regex"), [True, False, False])

    def test_shared_values(self):
        self.assertEqual(self.call("shared"), [True, True, "v", False, "v", 15, 14, True, False, True])

    def test_shared_values_expire(self):
        self.assertEqual(self.call("expiry"), [True])
        eventually(lambda: self.call("brief") == [True], seconds=5)

    def test_of_too_many_shared_values_the_oldest_go(self):
        self.assertEqual(self.call("capacity"), [0, 0, 3, 4, 5])

    def test_a_token_bucket(self):
        self.assertEqual(self.call("bucket"), [True, True, True, False, True])

    def test_what_is_not_there(self):
        self.assertEqual(self.call("forbidden"), [True] * 5)

    def test_a_plugin_may_be_a_folder_with_modules(self):
        channel = self.channel()
        self.queue(channel, "greeted")
        channel.queue_bind("greeted", "amq.direct", "")
        self.publish(channel, exchange="amq.direct")
        self.assertEqual(self.take(channel, "greeted").body, "hello")
