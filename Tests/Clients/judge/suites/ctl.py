"""Tours of yutuctl, under its own name and rabbitmqctl's."""

from .play_suite import PlaySuite


class Ctl(PlaySuite):
    name = "ctl"
