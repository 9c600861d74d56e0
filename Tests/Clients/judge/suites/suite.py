"""What every suite answers. Knows nothing of any client."""


class Suite:
    name = ""

    def absent(self):
        """Why the suite is not there at all, or None."""
        return None

    def prepare(self):
        """Installs what the suite needs."""

    def plugins(self):
        """The folder of plugins for the broker, or None for ours."""
        return None

    def run(self, broker):
        """Lets the clients try the broker; returns the verdict."""
        raise NotImplementedError

    def tidy(self):
        """Called when the broker has stopped."""
