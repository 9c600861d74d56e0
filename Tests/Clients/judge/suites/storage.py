"""Plays of brokers that are killed, cut off from power and from room, and started again."""

import os
import pathlib
import shutil

from .. import workshop
from .play_suite import PlaySuite


class Storage(PlaySuite):
    name = "storage"
    # Twice what it takes on a busy machine, and what it was told to take longer.
    seconds = 480 + 3 * float(os.environ.get("STORAGE_SECONDS", 0))

    def prepare(self):
        super().prepare()
        if not pathlib.Path("/usr/share/java/amqp-client.jar").exists():
            workshop.apt("librabbitmq-client-java", "libslf4j-java")
        if not shutil.which("javac"):
            workshop.apt("default-jdk-headless")
