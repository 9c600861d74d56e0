"""Plays of brokers that are killed, cut off from power and from room, and started again."""

import os

from .play_suite import PlaySuite


class Storage(PlaySuite):
    name = "storage"
    # Twice what it takes on a busy machine, and what it was told to take longer.
    seconds = 480 + 3 * float(os.environ.get("STORAGE_SECONDS", 0))
