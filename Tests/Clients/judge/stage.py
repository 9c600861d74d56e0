"""A stage on which programs act out a scene with a broker, and the transcript of what they said.

A transcript holds everything: each program in the order of its start, all lines of its standard
output, those of standard error behind "! ", and how it ended. Only the traceback that Python prints
for Ctrl-C is cut to its last line, since it shows Python's own files. Knows no scene.
"""

import difflib
import os

from . import places, workshop
from .process import Missed, Process
from .verdict import FAIL, PASS, SKIP, Outcome, judge

# Run with today's pika, against a broker that is not ours: what a scene before may have left there.
SWEEP = """
import os, pika, sys
connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
kinds = {"queue": channel.queue_delete, "exchange": channel.exchange_delete}
for kind, name in (argument.split("=") for argument in sys.argv[1:]):
    kinds[kind](name)
connection.close()
"""


class Actor(Process):
    """A program of a scene; remembers how it ended."""

    ending = "never ended"

    def finish(self, **options):
        code = super().finish(**options)
        self.ending = f"exit {code}"
        return code

    def interrupt(self):
        code = super().interrupt()
        self.ending = f"Ctrl-C, exit {code}" if code >= 0 else "Ctrl-C"
        if self.errors and self.errors[0].startswith("Traceback") and self.errors[-1] == "KeyboardInterrupt":
            self.errors[:] = self.errors[-1:]
        return code

    def kill(self):
        super().kill()
        self.ending = "killed"


class Stage:
    def __init__(self, broker, command, folder):
        self.broker = broker
        self.command = command  # what stands before the program's name
        self.folder = folder
        self.actors = []
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment["AMQP_URL"] = f"amqp://guest:guest@{broker.host}:{broker.port}/%2F"

    def start(self, program, *arguments, until=None):
        """Starts a program; with `until`, returns when it has written such a line."""
        actor = Actor([*self.command, self.folder / program, *arguments], env=self.environment)
        actor.title = " ".join(["$", program, *(f'"{word}"' if " " in word else word for word in arguments)])
        self.actors.append(actor)
        if until:
            actor.wait_for(until)
        return actor

    def play(self, program, *arguments):
        """Starts a program and waits for its end."""
        actor = self.start(program, *arguments)
        actor.finish()
        return actor

    def transcript(self):
        parts = []
        for actor in self.actors:
            errors = [f"! {line}" for line in actor.errors]
            parts.append("\n".join([actor.title, *actor.lines, *errors, f"[{actor.ending}]"]))
        return "\n\n".join(parts) + "\n"

    def clear(self):
        for actor in self.actors:
            if actor.child.poll() is None:
                actor.kill()


def sweep(broker, *names):
    """Deletes what scenes leave behind, where the broker goes on after them."""
    if broker.is_ours:
        return
    url = f"amqp://guest:guest@{broker.host}:{broker.port}/%2F"
    python = workshop.examples_environment()
    workshop.call([python, "-c", SWEEP, *names], seconds=30, env={**os.environ, "AMQP_URL": url})


def perform_all(suite, broker, scenes, make_stage, why_not):
    """Plays the scenes in order, but those for which `why_not` gives a reason; returns the verdict."""
    outcomes, expected = [], {}
    for scene in scenes:
        reason = why_not(scene)
        expected[scene.__name__] = SKIP if reason else PASS
        if reason:
            outcomes.append(Outcome(scene.__name__, SKIP, reason))
        else:
            outcomes.append(perform(scene, make_stage(), places.EXPECTED / suite / f"{scene.__name__}.txt"))
    return judge(suite, outcomes, ours=broker.is_ours, expected=expected)


def perform(scene, stage, path):
    """Plays one scene and compares its transcript with the file; RECORD=1 writes the file anew."""
    try:
        scene(stage)
    except Missed as missed:
        return Outcome(scene.__name__, FAIL, f"{missed}\n{stage.transcript()}")
    finally:
        stage.clear()
    transcript = stage.transcript()
    if "RECORD" in os.environ:
        path.write_text(transcript)
    expected = path.read_text() if path.exists() else ""
    if transcript == expected:
        return Outcome(scene.__name__, PASS)
    lines = difflib.unified_diff(
        expected.splitlines(), transcript.splitlines(), "expected", "given", lineterm=""
    )
    return Outcome(scene.__name__, FAIL, "other output than expected\n" + "\n".join(lines))
