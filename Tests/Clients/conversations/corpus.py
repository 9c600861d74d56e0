"""Topics and the conversations in them; what a topic file imports."""

TOPICS = {}


class Topic:
    """The conversations of one file, by name, in the order of the file."""

    def __init__(self, name):
        self.name, self.conversations = name, {}
        TOPICS[name] = self

    def __call__(self, function):
        self._add(sentence(function), function)
        return function

    def each(self, cases):
        """One conversation for each case; the cases are label: argument, or plain labels."""
        rows = cases.items() if isinstance(cases, dict) else [(case, case) for case in cases]

        def add(function):
            for label, value in rows:
                self._add(f"{sentence(function)}: {label}", lambda talk, value=value: function(talk, value))
            return function

        return add

    def _add(self, name, function):
        assert name not in self.conversations, name
        self.conversations[name] = function


def sentence(function):
    return function.__name__.replace("_", " ")
