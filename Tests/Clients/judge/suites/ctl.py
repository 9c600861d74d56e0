"""Tours of yutuctl, under its own name and rabbitmqctl's, and of RabbitMQ's own rabbitmqadmin."""

import shutil
import tempfile
from pathlib import Path

from .. import places, workshop
from ..process import Missed
from .play_suite import PlaySuite

PROGRAM = places.WORK / "rabbitmqadmin"
SECONDS = 120


class Ctl(PlaySuite):
    name = "ctl"

    def prepare(self):
        super().prepare()
        if PROGRAM.exists():
            return
        # Out of Debian's package, which is unpacked and not installed.
        with tempfile.TemporaryDirectory() as folder:
            for command in (
                ["apt-get", "download", "rabbitmq-server"],
                ["sh", "-c", "dpkg -x rabbitmq-server_*.deb unpacked"],
            ):
                workshop.call(command, seconds=SECONDS, cwd=folder)
            found = sorted(Path(folder).glob("unpacked/**/rabbitmqadmin"))
            if not found:
                raise Missed("Debian's rabbitmq-server has no rabbitmqadmin")
            shutil.copy(found[0], PROGRAM)
