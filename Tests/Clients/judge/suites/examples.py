"""Every program of examples/, as its header says to run it; the Lua file is changed while the broker runs."""

import os
import shutil
import tempfile
from pathlib import Path

from .. import places, workshop
from ..stage import Stage, perform_all, sweep
from .suite import Suite

RELOAD_SECONDS = 15  # the broker looks at the folder each second
PLUGIN = Path("exchanges") / "x-price-range.lua"

LEFT_BEHIND = ["queue=hello", "queue=tasks", "queue=durable_tasks", "queue=fibonacci", "queue=readings"]
LEFT_BEHIND += ["exchange=news", "exchange=log", "exchange=topics", "exchange=documents"]


class Examples(Suite):
    name = "examples"
    folder = None

    def prepare(self):
        self.python = workshop.examples_environment()

    def plugins(self):
        """Our plugins and those of examples/ together, in a folder that may be changed."""
        self.folder = Path(tempfile.mkdtemp(prefix="plugins-", dir=places.WORK))
        for source in (places.ROOT / "plugins", places.EXAMPLES / "plugins"):
            if source.exists():
                shutil.copytree(source, self.folder, dirs_exist_ok=True)
        return self.folder

    def run(self, broker):
        sweep(broker, *LEFT_BEHIND)

        def make_stage():
            stage = Stage(broker, [self.python], places.EXAMPLES)
            stage.plugin = self.folder / PLUGIN if self.folder else None
            return stage

        def why_not(scene):
            return "needs a broker that we start" if scene in LUA_SCENES and not broker.is_ours else None

        verdict = perform_all(self.name, broker, SCENES + LUA_SCENES, make_stage, why_not)
        sweep(broker, *LEFT_BEHIND)
        return verdict

    def tidy(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


# The scenes. A scene's name is that of its transcript in expected/examples/.


def hello_world(stage):
    once = stage.start("01_hello_world/receive.py", "--count", "1", until="waiting")
    stage.play("01_hello_world/send.py")
    once.finish()
    forever = stage.start("01_hello_world/receive.py", until="waiting")
    stage.play("01_hello_world/send.py", "Hello, moon!")
    forever.wait_for("moon")
    forever.interrupt()


def work_queue_with_a_killed_worker(stage):
    """The first worker is busy: others' tasks go to the second, and so does its own, once it is killed."""
    busy = stage.start("02_work_queue/worker.py", "--seconds", "600", until="waiting")
    stage.play("02_work_queue/new_task.py", "dig a burrow...")
    busy.wait_for("began")
    free = stage.start("02_work_queue/worker.py", "--seconds", "0", "--count", "4", until="waiting")
    for task in "feed the rabbit.", "comb the rabbit..", "praise the rabbit...":
        stage.play("02_work_queue/new_task.py", task)
    free.wait_for("done .*praise")
    busy.kill()
    free.finish()


def durable_queue(stage):
    stage.play("03_durable_queue/send.py", "one", "two", "three")
    stage.play("03_durable_queue/receive.py")
    stage.play("03_durable_queue/receive.py")


def publish_subscribe(stage):
    stage.play("04_publish_subscribe/publish.py", "Nobody hears this.")
    subscribers = [
        stage.start("04_publish_subscribe/subscribe.py", "--count", "2", until="listening") for _ in range(2)
    ]
    stage.play("04_publish_subscribe/publish.py", "The moon is up.")
    stage.play("04_publish_subscribe/publish.py", "The moon is full.")
    for subscriber in subscribers:
        subscriber.finish()


def routing(stage):
    errors = stage.start("05_routing/receive.py", "error", "--count", "1", until="waiting")
    everything = stage.start(
        "05_routing/receive.py", "info", "warning", "error", "--count", "3", until="waiting"
    )
    stage.play("05_routing/emit.py", "info", "All is well.")
    stage.play("05_routing/emit.py", "debug", "Nobody asked for this.")
    stage.play("05_routing/emit.py", "warning", "The disk is nearly full.")
    stage.play("05_routing/emit.py", "error", "The disk is full.")
    errors.finish()
    everything.finish()


def topics(stage):
    white = stage.start("06_topics/receive.py", "animal.*.white", "--count", "1", until="waiting")
    animals = stage.start("06_topics/receive.py", "animal.#", "*.rabbit.*", "--count", "3", until="waiting")
    everything = stage.start("06_topics/receive.py", "#", "--count", "5", until="waiting")
    stage.play("06_topics/emit.py", "plant.carrot.orange", "Crunchy.")
    stage.play("06_topics/emit.py", "animal", "Any.")
    stage.play("06_topics/emit.py", "animal.hare.white.small", "Shy.")
    stage.play("06_topics/emit.py", "animal.rabbit.white", "I am late!")
    stage.play("06_topics/emit.py", "mineral.moon", "Round.")
    for receiver in white, animals, everything:
        receiver.finish()


def headers(stage):
    both = stage.start(
        "07_headers/receive.py", "all", "format=pdf", "kind=report", "--count", "1", until="waiting"
    )
    either = stage.start(
        "07_headers/receive.py", "any", "format=pdf", "kind=report", "--count", "3", until="waiting"
    )
    stage.play("07_headers/emit.py", "format=zip", "kind=letter")
    stage.play("07_headers/emit.py", "format=zip", "kind=report")
    stage.play("07_headers/emit.py", "format=pdf", "kind=letter", "language=en")
    stage.play("07_headers/emit.py", "format=pdf", "kind=report", "language=en")
    both.finish()
    either.finish()


def rpc(stage):
    server = stage.start("08_rpc/server.py", "--count", "3", until="waiting")
    stage.play("08_rpc/client.py", "10", "30", "90")
    server.finish()


def consistent_hash(stage):
    stage.play("10_consistent_hash/share.py")


def stream(stage):
    stage.play("11_stream/publish.py", "17.5", "18.0", "18.5")
    stage.play("11_stream/read.py", "first", "--count", "3")
    stage.play("11_stream/read.py", "1", "--count", "2")


def lua_exchange(stage):
    stage.play("09_lua_exchange/orders.py")


def lua_exchange_changed_while_running(stage):
    """One connection sees the routing change, outlives a broken version, and sees it change back."""
    original = stage.plugin.read_text()
    orders = stage.start("09_lua_exchange/orders.py", "--changes", "2", until="USD")

    def next_routing(text):
        seen = len(orders.lines)
        save(stage.plugin, text)
        orders.wait_for("USD", seconds=RELOAD_SECONDS, start=seen)

    next_routing(capped(original))
    save_broken(stage)
    next_routing(original)
    orders.finish()


def lua_exchange_with_a_broken_file(stage):
    """What was right before stays in force, for new connections and new exchanges too."""
    original = stage.plugin.read_text()
    save_broken(stage)
    stage.play("09_lua_exchange/orders.py")
    save(stage.plugin, original)


def capped(text):
    """The plugin, changed so that an order above all ranges goes to the highest; its own tests still pass."""
    changed = text.replace("message.headers.price or 0", "math.min(message.headers.price or 0, 999)")
    assert changed != text, "x-price-range.lua has no such line any more"
    return changed


def save_broken(stage):
    """Saves a syntax error, and waits until the log names the file and the line."""
    lines = stage.plugin.read_text().splitlines()
    number = next(index for index, line in enumerate(lines, 1) if "for binding, range" in line)
    lines[number - 1] = "    for for for"
    start = stage.broker.log_length()
    save(stage.plugin, "\n".join(lines) + "\n")
    stage.broker.wait_for_log(rf"{PLUGIN.stem}\.lua\D+{number}\b", seconds=RELOAD_SECONDS, start=start)


def save(path, text):
    """As editors do it: the file is never seen half written."""
    new = path.with_name("." + path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


SCENES = [
    hello_world,
    work_queue_with_a_killed_worker,
    durable_queue,
    publish_subscribe,
    routing,
    topics,
    headers,
    rpc,
    consistent_hash,
    stream,
]
LUA_SCENES = [lua_exchange, lua_exchange_changed_while_running, lua_exchange_with_a_broken_file]
