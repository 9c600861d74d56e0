"""What every suite answers. Knows nothing of any client."""


class Suite:
    name = ""
    starts_brokers = False  # it starts its own, and gets none from us
    in_memory = True  # the broker keeps nothing

    def absent(self):
        """Why the suite is not there at all, or None."""
        return None

    def prepare(self):
        """Installs what the suite needs."""

    def plugins(self):
        """The folder of plugins for the broker, or None for ours."""
        return None

    def run(self, broker):
        """Lets the clients try the broker, None if the suite starts its own; returns the verdict."""
        raise NotImplementedError

    def tidy(self):
        """Called when the broker has stopped."""
