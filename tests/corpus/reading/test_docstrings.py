"""Docstrings are found through the syntax tree, wherever someone could look them up."""

import gc

import pytest

from corpus.reading.docstrings import Docstring, docstrings

SOURCE = '''"""Module text."""
raise SystemExit("never imported")

class Outer:
    """Outer text.

    Then::

        indented
    """
    class Inner:
        def method(self):
            "method text"
    async def wait(self):
        """Wait."""

try:
    def fast():
        """Fast."""
except ImportError:
    def fast():
        """Slow."""
    def only_slow():
        """Only slow."""

def plain():
    def hidden():
        """Hidden."""
    return f"""not a docstring"""
'''


def test_docstrings_by_name_and_kind() -> None:
    assert docstrings(SOURCE.encode()) == [
        Docstring("", "module", "Module text."),
        Docstring("Outer", "class", "Outer text.\n\nThen::\n\n    indented"),
        Docstring("Outer.Inner.method", "function", "method text"),
        Docstring("Outer.wait", "function", "Wait."),
        Docstring("fast", "function", "Fast."),
        Docstring("only_slow", "function", "Only slow."),
    ]


@pytest.mark.parametrize("source", [b'"""a"""\ndef (', b'"""a\0"""', b'"""\xff"""'])
def test_a_bad_file_does_not_parse(source: bytes) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        docstrings(source)
    assert gc.isenabled()
