"""MediaWiki markup to plain text, in one pass over its brackets.

Templates (but those for words in a sentence), references, files and categories go; links, styled text and
tables leave what a reader sees.
The time is linear for any input: nesting is limited, and no pattern can go back far. The parser that is
used most, mwparserfromhell, took 200 s for 160 kB of unclosed brackets.

The syntax is described in https://www.mediawiki.org/wiki/Help:Formatting and Help:Links.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from corpus.reading.wiki_tables import BREAK, CELL_END, html_tables_as_lines, table_text, with_bars

# Elements whose content is no running text.
_INVISIBLE = (
    "ref|references|gallery|math|chem|ce|timeline|score|imagemap|templatestyles|graph|hiero|mapframe|indicator|"
    "includeonly|syntaxhighlight|source|style|script"
)
_TOKEN = re.compile(
    rf"\{{\{{|\}}\}}|\[\[|\]\]|\{{\||\|\}}|<(/?)({_INVISIBLE})\b([^<>]{{0,1000}})>",
    re.IGNORECASE,
)
_CLOSING = {"}}": "{{", "]]": "[[", "|}": "{|"}
_DEEPEST = 60

# How bars are written that are no bars of a template.
_BARS = {"{{!}}": "|", "{{!!}}": "||", "{{(!}}": "{|", "{{!)}}": "|}", "{{!-}}": "|-"}
_CONVERSION = re.compile(r"-\{([^{}]{0,500})\}-")
_VARIANTS = ("zh-hans", "zh-cn", "zh", "zh-sg", "zh-hant", "zh-tw", "zh-hk")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:)?//[^\s\]]{1,2000}(?:[ \t]([^\[\]\n]{0,500}))?\]")
_OTHER_LANGUAGE = re.compile(r":?[a-z]{2,3}(-[a-z]{2,8}){0,2}:\S")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,500}>")
_MAGIC_WORD = re.compile(r"__[A-Z]{3,20}__")
_STYLE = re.compile(r"'{2,5}")
_HEADING = re.compile(r"(={1,6})\s*(.{1,300}?)\s*\1\s*$")
_LIST = re.compile(r"^(?:([*#:;]*[*#])\s*|[:;]+\s*|-{4,})")
_EMPTY_PARENTHESES = re.compile(r"\([ ,;]{0,9}\)|（[ ，；]{0,9}）")
_BEFORE_PUNCTUATION = re.compile(r" (?=[,.;:!?)])")
_SPACES = re.compile(r"[ \t\xa0]+")

# Other names for the namespaces of files and categories that Chinese articles use.
_ALIASES = frozenset(
    {"image", "file", "category", "media", "文件", "檔案", "档案", "图像", "圖像", "分类", "分類"}
)


@dataclass
class _Open:
    """A bracket or element that is not closed yet, and the text in it so far."""

    kind: str
    parts: list[str] = field(default_factory=list)


def plain_text(markup: str, hidden: Collection[str] = ()) -> str:
    """The running text of an article; headings are lines of their own, list items begin with "- ".

    Args:
        hidden: lower-case names of the namespaces of files and categories in the wiki's own language.
    """
    markup = _without_comments(markup).replace("\r\n", "\n").replace(CELL_END, " ")
    for magic, meant in _BARS.items():
        markup = markup.replace(magic, meant)
    markup = _CONVERSION.sub(_one_variant, markup)
    text = _without_brackets(markup, _ALIASES.union(hidden))
    text = _EXTERNAL.sub(lambda link: link[1] or "", text)
    text = html_tables_as_lines(BREAK.sub("\n", text))
    text = _STYLE.sub("", _MAGIC_WORD.sub("", _TAG.sub("", text)))
    return _lines_of(with_bars(html.unescape(text)))


def _without_comments(markup: str) -> str:
    kept = []
    while True:
        before, opening, rest = markup.partition("<!--")
        kept.append(before)
        if not opening:
            return "".join(kept)
        _, _, markup = rest.partition("-->")


def _one_variant(conversion: re.Match[str]) -> str:
    """What `-{zh-hans:饮料; zh-hant:飲料}-` shows to a reader of simplified Chinese."""
    content = conversion[1].rpartition("|")[2]
    variants = {
        name.strip(): text.strip() for name, _, text in (part.partition(":") for part in content.split(";"))
    }
    return next(
        (variants[name] for name in _VARIANTS if variants.get(name)), content if ":" not in content else ""
    )


def _without_brackets(markup: str, hidden: Collection[str]) -> str:
    stack = [_Open("")]
    at = 0
    while token := _TOKEN.search(markup, at):
        stack[-1].parts.append(markup[at : token.start()])
        at = token.end()
        if token[0] == "|}" and markup.startswith("}", at) and not _is_in_table(stack):
            at -= 1  # an argument that is empty, before the }} of a template
            continue
        closing, element, rest = token.groups()
        if element:
            if closing:
                _close(stack, element.lower(), hidden)
            elif not rest.endswith("/"):
                _open(stack, element.lower(), token[0])
        elif token[0] in _CLOSING:
            _close(stack, _CLOSING[token[0]], hidden)
        else:
            _open(stack, token[0], token[0])
    stack[-1].parts.append(markup[at:])
    return "".join(part for opened in stack for part in opened.parts)


def _is_in_table(stack: list[_Open]) -> bool:
    return next((opened.kind == "{|" for opened in reversed(stack) if opened.kind in ("{|", "{{")), False)


def _open(stack: list[_Open], kind: str, written: str) -> None:
    if len(stack) < _DEEPEST:
        stack.append(_Open(kind))
    else:
        stack[-1].parts.append(written)


def _close(stack: list[_Open], kind: str, hidden: Collection[str]) -> None:
    """Close the innermost bracket of this kind; what was opened in it and never closed stays as text."""
    depth = next((depth for depth in range(len(stack) - 1, 0, -1) if stack[depth].kind == kind), 0)
    if not depth:
        return
    content = "".join(part for opened in stack[depth:] for part in opened.parts)
    del stack[depth:]
    if kind == "[[":
        stack[-1].parts.append(_link(content, hidden))
    elif kind == "{{":
        stack[-1].parts.append(_template(content))
    elif kind == "{|":
        stack[-1].parts.append(table_text(content))


def _link(content: str, hidden: Collection[str]) -> str:
    target, pipe, label = content.partition("|")
    if target.partition(":")[0].strip().lower() in hidden:
        return ""
    if not pipe and _OTHER_LANGUAGE.match(target):
        return ""
    return (label.rpartition("|")[2] if pipe else target.lstrip(":")).strip("\n")


def _template(content: str) -> str:
    """The few templates that stand for words in a sentence; all others are left out."""
    name, *arguments = (part.strip() for part in content.split("|"))
    plain = [argument for argument in arguments if "=" not in argument]
    if name.lower() in ("convert", "cvt") and len(plain) > 1:
        return f"{plain[0]} {plain[1]}"
    if name.lower() in ("lang", "nowrap", "transl", "nobold", "nihongo", "le", "link-en") and plain:
        return plain[0] if name.lower() in ("nihongo", "le", "link-en") else plain[-1]
    return ""


def _lines_of(text: str) -> str:
    """Tidy lines; a heading without text below it goes."""
    kept: list[tuple[int, str]] = []  # level of a heading, 0 for text
    for line in text.split("\n"):
        line = line.strip()
        heading = _HEADING.match(line)
        level = len(heading[1]) if heading else 0
        while level and kept and kept[-1][0] >= level:
            kept.pop()
        line = _tidy(heading[2] if heading else _LIST.sub(_list_mark, line))
        if line and line not in ("-", "|"):
            kept.append((level, line))
    while kept and kept[-1][0]:
        kept.pop()
    return "\n".join(("\n" if level else "") + line for level, line in kept).strip()


def _list_mark(mark: re.Match[str]) -> str:
    return "- " if mark[1] else ""


def _tidy(line: str) -> str:
    """Without the gaps that templates leave behind."""
    line = _SPACES.sub(" ", _EMPTY_PARENTHESES.sub("", line))
    return _BEFORE_PUNCTUATION.sub("", line).strip()
