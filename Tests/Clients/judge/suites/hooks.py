"""Plays of scripted brokers."""

from .play_suite import PlaySuite


class Hooks(PlaySuite):
    name = "hooks"
