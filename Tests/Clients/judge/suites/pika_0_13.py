"""The tutorial's programs as people wrote them for pika 0.13.1; they run unchanged, from pika-0.13/."""

from .. import places, workshop
from ..stage import Stage, perform_all, sweep
from .suite import Suite

LAUNCHER = places.CLIENTS / "judge" / "old_pika.py"

LEFT_BEHIND = ["queue=hello", "queue=task_queue", "queue=rpc_queue"]
LEFT_BEHIND += ["exchange=logs", "exchange=direct_logs", "exchange=topic_logs", "exchange=header_logs"]


class Pika013(Suite):
    name = "pika-0.13"

    def prepare(self):
        self.python = workshop.client_environment(self.name)

    def run(self, broker):
        sweep(broker, *LEFT_BEHIND)

        def make_stage():
            # -W: its docstrings hold escapes that newer Pythons warn about.
            command = [self.python, "-W", "ignore", LAUNCHER, str(broker.port)]
            return Stage(broker, command, places.CLIENTS / "pika-0.13")

        def why_not(scene):
            return (
                None if broker.host in ("127.0.0.1", "localhost") else "these programs say host='localhost'"
            )

        verdict = perform_all(self.name, broker, SCENES, make_stage, why_not)
        sweep(broker, *LEFT_BEHIND)
        return verdict


# The scenes. The receivers never end by themselves: Ctrl-C ends them, as it did then.


def hello_world(stage):
    stage.play("send.py")
    receiver = stage.start("receive.py", until="Received")
    receiver.interrupt()


def work_queue_with_a_killed_worker(stage):
    busy = stage.start("worker.py", until="Waiting")
    stage.play("new_task.py", "First task..")
    busy.wait_for("Received")
    free = stage.start("worker.py", until="Waiting")
    stage.play("new_task.py", "Second task")
    free.wait_for("Done")
    busy.kill()
    free.wait_for("First task")
    free.wait_for("Done", start=3)
    free.interrupt()


def publish_subscribe(stage):
    stage.play("emit_log.py", "nobody listens yet")
    receivers = [stage.start("receive_logs.py", until="Waiting") for _ in range(2)]
    stage.play("emit_log.py", "info: Hello subscribers!")
    for receiver in receivers:
        receiver.wait_for("subscribers")
        receiver.interrupt()


def routing(stage):
    errors = stage.start("receive_logs_direct.py", "error", until="Waiting")
    everything = stage.start("receive_logs_direct.py", "info", "warning", "error", until="Waiting")
    stage.play("emit_log_direct.py", "info", "All is well.")
    stage.play("emit_log_direct.py", "error", "Run. Run. Or it will explode.")
    for receiver in errors, everything:
        receiver.wait_for("explode")
        receiver.interrupt()


def topics(stage):
    kern = stage.start("receive_logs_topic.py", "kern.*", until="Waiting")
    critical = stage.start("receive_logs_topic.py", "*.critical", "kern.critical", until="Waiting")
    everything = stage.start("receive_logs_topic.py", "#", until="Waiting")
    stage.play("emit_log_topic.py", "cron.info", "A cron job ran.")
    stage.play("emit_log_topic.py", "kern.info", "A kernel note.")
    stage.play("emit_log_topic.py", "kern.critical", "A critical kernel error.")
    for receiver in kern, critical, everything:
        receiver.wait_for("critical kernel")
        receiver.interrupt()


def headers(stage):
    both = stage.start("receive_headers.py", "all", "test=test", "kind=log", until="Waiting")
    either = stage.start("receive_headers.py", "any", "test=test", "kind=log", until="Waiting")
    stage.play("emit_headers.py", "test=no", "kind=letter")
    stage.play("emit_headers.py", "test=test", "kind=letter")
    stage.play("emit_headers.py", "test=test", "kind=log")
    for receiver in both, either:
        receiver.wait_for("test=test kind=log")
        receiver.interrupt()


def rpc(stage):
    server = stage.start("rpc_server.py", until="Awaiting")
    stage.play("rpc_client.py")
    server.interrupt()


SCENES = [hello_world, work_queue_with_a_killed_worker, publish_subscribe, routing, topics, headers, rpc]
