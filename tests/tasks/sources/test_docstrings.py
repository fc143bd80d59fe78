"""Docstrings are found through the syntax tree, wherever someone could look them up."""

from pathlib import Path

from tasks.sources.docstrings import Docstring, docstrings

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


def test_docstrings_by_name_and_kind(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    assert docstrings(str(path)) == [
        Docstring("", "module", "Module text."),
        Docstring("Outer", "class", "Outer text.\n\nThen::\n\n    indented"),
        Docstring("Outer.Inner.method", "function", "method text"),
        Docstring("Outer.wait", "function", "Wait."),
        Docstring("fast", "function", "Fast."),
        Docstring("only_slow", "function", "Only slow."),
    ]


def test_a_bad_file_gives_its_reason(tmp_path: Path) -> None:
    for name, content in (("syntax", b'"""a"""\ndef ('), ("null", b'"""a\0"""'), ("coding", b'"""\xff"""')):
        path = tmp_path / f"{name}.py"
        path.write_bytes(content)
        assert str(docstrings(str(path))).startswith("does not parse"), name
    assert str(docstrings(str(tmp_path / "absent.py"))).startswith("unreadable")
