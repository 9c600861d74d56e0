"""Celery, kombu, dramatiq, FastStream and Debian's amqp-tools, each as its users run it, from frameworks/."""

import shutil

from .. import places, workshop
from ..stage import Stage, perform_all, sweep
from .suite import Suite

SCENES = [
    "celery_workflows",
    "celery_eta",
    "celery_killed_worker",
    "celery_priorities",
    "celery_watched",
    "celery_rpc_results",
    "kombu_simple_queue",
    "kombu_mixins",
    "dramatiq_actors",
    "faststream_rpc",
    "amqp_tools",
]
SECONDS = 120  # for a scene; each takes less than twenty

QUEUES = "workflows eta killed priorities watched watched.extra rpc simple tools"
QUEUES += " dramatiq dramatiq.DQ dramatiq.XQ faststream.square faststream.picky faststream.dead"
LEFT_BEHIND = [f"queue=frameworks.{name}" for name in QUEUES.split()]


class Frameworks(Suite):
    name = "frameworks"
    in_memory = False

    def prepare(self):
        self.python = workshop.client_environment(self.name)
        if not shutil.which("amqp-get"):
            workshop.apt("amqp-tools")

    def run(self, broker):
        sweep(broker, *LEFT_BEHIND)

        def make_stage():
            # -W: Celery warns those who run it as root.
            return Stage(broker, [self.python, "-W", "ignore"], places.CLIENTS / "frameworks")

        verdict = perform_all(self.name, broker, [play(name) for name in SCENES], make_stage, lambda _: None)
        sweep(broker, *LEFT_BEHIND)
        return verdict


def play(name):
    """The scene in which one program does all."""

    def scene(stage):
        stage.start(f"{name}.py").finish(seconds=SECONDS)

    scene.__name__ = name
    return scene
