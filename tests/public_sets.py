"""Small data sets in the formats of the public ones, for recipes that read those from `data/`.

The English is real, sentences of Python's own language reference, and labels and tags follow from words in
it; the Chinese is made of common words.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from pydoc_data.topics import topics

NOUNS = "北京上海股市球队电影汽车手机学生游戏房价天气医院明星旅游农民银行比赛公司世界市场"
VERBS = "上涨下跌获胜失败发布推出宣布关注讨论影响改变支持反对参加完成开始结束增加减少保持"
TYPES = {"PER": "object", "ORG": "class", "LOC": "module"}


def write_public_sets(folder: Path) -> None:
    """Write `mrpc`, `tnews`, `wikiann-en`, `wikitext-2` and `xquad` below `folder`."""
    numbers = random.Random(3)
    sentences = _sentences()
    numbers.shuffle(sentences)
    _write(folder / "mrpc" / "train.txt", "\ufeff" + _pairs(sentences, numbers))
    for name, count in (("train", 1200), ("dev", 300)):
        _write(folder / "tnews" / f"{name}.json", "".join(_headline(numbers) for _ in range(count)))
    for name, part in (("train", sentences[:800]), ("dev", sentences[800:1100])):
        _write(folder / "wikiann-en" / f"{name}.txt", "\n\n".join(map(_tagged, part)) + "\n")
    _write(folder / "wikitext-2" / "valid.txt", "".join(f" {text} \n" for text in sentences))
    _write(folder / "xquad" / "xquad.en.json", json.dumps({"version": "1.1", "data": _articles()}))


def _sentences() -> list[str]:
    texts = [" ".join(paragraph.split()) for topic in topics.values() for paragraph in topic.split("\n\n")]
    found = [sentence for text in texts for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", text)]
    return sorted({s for s in found if 40 < len(s) < 300 and s.endswith(".")})


def _pairs(sentences: list[str], numbers: random.Random) -> str:
    rows = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
    for number, sentence in enumerate(sentences[:600]):
        words = sentence.split()
        alike = " ".join(words[1:] + words[:1])
        other = numbers.choice(sentences)
        same = number % 3 > 0
        rows.append(f"{int(same)}\t{number}\t{number + 9000}\t{sentence}\t{alike if same else other}")
    return "\n".join(rows) + "\n"


def _headline(numbers: random.Random) -> str:
    places = [2 * numbers.randrange(len(NOUNS) // 2) for _ in range(6)]
    words = [words[place : place + 2] for words, place in zip([NOUNS, VERBS] * 3, places, strict=True)]
    row = {"sentence": "".join(words), "label_desc": f"news_{places[0] % 8}"}
    return json.dumps(row, ensure_ascii=False) + "\n"


def _tagged(sentence: str) -> str:
    """A sentence with a word and its tag per line; what is tagged is an entity of two words at most."""
    lines, before = [], "O"
    for word in sentence.split():
        kind = next((kind for kind, said in TYPES.items() if said in word.lower()), None)
        after = before[2:] if before.startswith("B-") and word[0].islower() else None
        tag = f"B-{kind}" if kind else f"I-{after}" if after else "O"
        lines.append(f"en:{word}\t{tag}")
        before = tag
    return "\n".join(lines)


def _articles() -> list[dict[str, object]]:
    """An article for each topic with a long first paragraph; its questions are about words in it."""
    articles = []
    for title, text in sorted(topics.items()):
        context = " ".join(text.split())[:600]
        words = list(re.finditer(r"[a-z]{7,}", context))[:6]
        if len(words) == 6:
            asked = [
                {
                    "id": f"{title}-{number}",
                    "question": f"Which word stands at place {number} of {title}?",
                    "answers": [{"text": word[0], "answer_start": word.start()}],
                }
                for number, word in enumerate(words)
            ]
            articles.append({"title": title, "paragraphs": [{"context": context, "qas": asked}]})
    return articles


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
