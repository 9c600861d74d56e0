"""Two hundred reloads under traffic: nothing is lost, and memory stays as it was."""

import threading
import time

import pika
from case import Play, letter

WARM_UP, RELOADS = 20, 200
STREAMS = ["pipelined", "one at a time"]
WINDOW = 20  # messages that a pipelined publisher leaves unconfirmed
# Publishers pause, so that a debug build on a small machine has time for the reloads too.
PAUSE_SECONDS = 0.01
TICKS_A_SECOND = 10
# An interpreter has some 100 KiB: were one kept of each reload, it would be far more than this.
MARGIN_KILOBYTES = 12 * 1024

# All hooks that a message meets say which version they are of. Each route is asked of what `bind` kept.
LOADED = """
    local version = VERSION
    local saves = 0

    return {
      api = 1,
      about = "version VERSION",
      exchange = {
        bind = function(binding) return { key = binding.key, version = version } end,
        prepare = function(bindings)
          local index = {}
          for binding, kept in bindings:each() do
            assert(kept.version == version, "a binding of another version")
            index[kept.key] = binding
          end
          return index
        end,
        route = function(message, bindings, index) return index[message.routing_key] end,
      },
      filters = {
        publish = {
          match = { exchange = "loaded" },
          run = function(message)
            local count = shared("load"):incr(message.routing_key, 1, 0)
            return change{ headers = { published = version, count = count } }
          end,
        },
        enqueue = {
          match = { queue = "loaded.*" },
          run = function(message)
            if message.headers.published ~= version then return deny("two versions in one publish") end
            return change{ headers = { enqueued = version } }
          end,
        },
        deliver = {
          match = { queue = "loaded.*" },
          run = function() return change{ headers = { delivered = version } } end,
        },
      },
      timers = {
        { every = 1 / TICKS, run = function()
          local count = shared("load"):incr("ticks", 1, 0)
          publish({ queue = "ticks", body = version .. " " .. count .. " " .. saves })
        end },
      },
      save = function() return { saves = saves } end,
      restore = function(state) saves = state.saves + 1 end,
    }
"""


def loaded(version):
    return LOADED.replace("VERSION", str(version)).replace("TICKS", str(TICKS_A_SECOND))


class Worker:
    """A client in a thread of its own. What goes wrong there is kept for the test."""

    def __init__(self, connect, work):
        self.error = None
        self.is_stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(connect, work), daemon=True)
        self.thread.start()

    def run(self, connect, work):
        try:
            connection = connect()
            work(connection, self.is_stopping)
            connection.close()
        except Exception as error:
            self.error = error

    def finish(self, what, seconds=30):
        self.is_stopping.set()
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"{what} does not end"
        assert self.error is None, f"{what}: {self.error!r}"


class Publisher:
    """A numbered stream into one queue; `unconfirmed` must be empty at its end."""

    def __init__(self, stream):
        self.stream = stream
        self.sent = 0
        self.unconfirmed = set()
        self.nacked = []

    def one_at_a_time(self, connection, is_stopping):
        channel = connection.channel()
        channel.confirm_delivery()
        while not is_stopping.wait(PAUSE_SECONDS / 5):
            self.publish(channel)

    def pipelined(self, connection, is_stopping):
        channel = connection.channel()
        channel._impl.confirm_delivery(self.confirmed, callback=lambda _: None)
        connection.process_data_events(0.05)
        while not is_stopping.wait(PAUSE_SECONDS):
            while len(self.unconfirmed) < WINDOW:
                self.unconfirmed.add(self.sent + 1)
                self.publish(channel)
            connection.process_data_events(0)
        deadline = time.monotonic() + 10
        while self.unconfirmed and time.monotonic() < deadline:
            connection.process_data_events(0.01)

    def publish(self, channel):
        number = self.sent
        self.sent += 1
        properties = pika.BasicProperties(headers={"number": number})
        channel.basic_publish("loaded", self.stream, b"x" * 100, properties, mandatory=True)

    def confirmed(self, frame):
        method = frame.method
        tags = (
            {tag for tag in self.unconfirmed if tag <= method.delivery_tag}
            if method.multiple
            else {method.delivery_tag}
        )
        self.unconfirmed -= tags
        if isinstance(method, pika.spec.Basic.Nack):
            self.nacked += sorted(tags)


class Consumer:
    """Hears a stream to its end; all it remembers are numbers."""

    def __init__(self, queue):
        self.queue = queue
        self.heard = []

    def consume(self, connection, is_stopping):
        channel = connection.channel()
        channel.basic_qos(prefetch_count=WINDOW)

        def on_message(_, method, properties, body):
            one = letter(method, properties, body)
            self.heard.append(self.read(one))
            channel.basic_ack(method.delivery_tag)

        channel.basic_consume(self.queue, on_message)
        while not is_stopping.is_set():
            connection.process_data_events(0.02)

    def read(self, one):
        h = one.headers
        return h["number"], h["published"], h["enqueued"], h["delivered"], h["count"], one.redelivered


class Ticks(Consumer):
    def read(self, one):
        return tuple(int(word) for word in one.body.split())


class ReloadsUnderLoad(Play):
    plugins = {"x-loaded": loaded(0)}
    patience = 120

    def new_connection(self):
        parameters = pika.ConnectionParameters(self.broker.host, self.broker.port, heartbeat=0)
        return pika.BlockingConnection(parameters)

    def put_version(self, version):
        """Writes it, and waits until it is in force; the folder's watcher may come first."""
        self.broker.put_in_force("x-loaded", loaded(version))
        deadline = time.monotonic() + 10
        while (report := self.broker.plugin("x-loaded"))["about"] != f"version {version}":
            self.assertLess(
                time.monotonic(), deadline, f"version {version} is not in force: {report['problem']}"
            )
            self.broker.reload()

    def test_nothing_is_lost_and_memory_stays(self):
        channel = self.channel()
        channel.exchange_declare("loaded", "x-loaded")
        for stream in STREAMS:
            channel.queue_declare(f"loaded.{stream}")
            channel.queue_bind(f"loaded.{stream}", "loaded", stream)
        channel.queue_declare("ticks")
        publishers = {stream: Publisher(stream) for stream in STREAMS}
        consumers = {stream: Consumer(f"loaded.{stream}") for stream in STREAMS}
        ticks = Ticks("ticks")
        hearing = [Worker(self.new_connection, one.consume) for one in [*consumers.values(), ticks]]
        sending = [
            Worker(self.new_connection, publishers["pipelined"].pipelined),
            Worker(self.new_connection, publishers["one at a time"].one_at_a_time),
        ]
        for version in range(1, WARM_UP + 1):
            self.put_version(version)
        before = self.broker.resident_kilobytes()
        ticks_before, began = len(ticks.heard), time.monotonic()
        for version in range(WARM_UP + 1, WARM_UP + RELOADS + 1):
            sent = {stream: publisher.sent for stream, publisher in publishers.items()}
            self.put_version(version)
            # A reload may be quicker than a publisher's pause: each version is to meet messages of each.
            self.wait(
                channel,
                lambda: all(publishers[stream].sent > sent[stream] for stream in STREAMS),
                what="messages between the reloads",
            )
        took = time.monotonic() - began
        after = self.broker.resident_kilobytes()
        ticked = len(ticks.heard) - ticks_before
        for worker in sending:
            worker.finish("a publisher")
        for stream in STREAMS:
            self.wait(
                channel, lambda: len(consumers[stream].heard) >= publishers[stream].sent, what="the rest"
            )
        with self.subTest("the last tick"):
            last = WARM_UP + RELOADS
            self.wait(channel, lambda: ticks.heard[-1][0] == last, what="a tick of the last version")
        for worker in hearing:
            worker.finish("a consumer")

        sent = sum(publisher.sent for publisher in publishers.values())
        self.note(
            f"{RELOADS} reloads in {took:.1f} s, {sent} messages meanwhile, {ticked} ticks, "
            f"resident {before // 1024} MiB before, {after // 1024} MiB after"
        )
        for stream in STREAMS:
            with self.subTest(stream):
                self.check_stream(publishers[stream], consumers[stream].heard)
        with self.subTest("timers and shared values"):
            self.check_ticks(ticks.heard)
            self.assertGreater(
                ticked, took * TICKS_A_SECOND / 2, "timers hardly run while plugins are reloaded"
            )
        with self.subTest("memory"):
            self.assertLess(after - before, MARGIN_KILOBYTES)

    def check_stream(self, publisher, heard):
        self.assertEqual(publisher.nacked, [])
        self.assertEqual(publisher.unconfirmed, set())
        numbers, published, enqueued, delivered, counts, redelivered = zip(*heard)
        self.assertEqual(list(numbers), list(range(publisher.sent)), "lost, doubled or out of order")
        self.assertEqual(list(published), sorted(published), "an old version after a newer one")
        self.assertEqual(enqueued, published, "two versions in one publish")
        self.assertEqual(list(delivered), sorted(delivered), "an old version after a newer one")
        self.assertEqual(
            list(counts), list(range(1, publisher.sent + 1)), "a shared count was lost or doubled"
        )
        self.assertFalse(any(redelivered))
        self.assertGreater(len(set(published)), RELOADS / 2, "too few messages between the reloads to tell")

    def check_ticks(self, heard):
        versions, counts, saves = zip(*heard)
        self.assertEqual(list(versions), sorted(versions), "a timer of an old version after a newer one")
        self.assertEqual(list(counts), list(range(counts[0], counts[0] + len(counts))))
        self.assertEqual(list(saves), sorted(saves), "what save gave was lost")
        self.assertEqual(saves[-1], WARM_UP + RELOADS, "each version is handed what the one before it saved")
