"""A watcher of tests."""

from corpus.watcher import Nobody


class Printed(Nobody):
    """Prints what it hears."""

    def say(self, message: str) -> None:
        print(message)

    def warn(self, message: str) -> None:
        print(message)
