"""Examples as people have them in files: each format is read."""

import bz2
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from corpus.examples.splits import Example
from tests.corpus.examples.example_files import BY_NUMBER, CONTEXT, ROWS, TSV, all_of, read, squad, write


def texts_and_labels(examples: list[Example]) -> list[tuple[str, str]]:
    return sorted((example["text"], example["label"]) for example in examples)


@pytest.mark.parametrize(
    ("name", "content", "config"),
    [
        ("a.tsv", TSV.encode(), BY_NUMBER),
        ("a.tsv", b"\xef\xbb\xbf" + b"text\tn\tlabel\r\n" + TSV.replace("\t", "\t1\t").encode(), {}),
        ("a.tsv.gz", gzip.compress(TSV.encode()), BY_NUMBER),
        ("a.txt.bz2", bz2.compress(TSV.encode()), {**BY_NUMBER, "format": "tsv"}),
        ("a.tsv", TSV.encode("utf-16"), BY_NUMBER),
        ("a.csv", ("label,text\n" + "".join(f'{b},"{a}"\r\n' for a, b in ROWS)).encode(), {}),
        (
            "a.jsonl",
            "".join(json.dumps({"data": {"said": a}, "label": b}) + "\n\n" for a, b in ROWS).encode(),
            {"columns": {"text": "data.said"}},
        ),
        ("a.json", json.dumps([{"text": a, "label": b} for a, b in ROWS], indent=1).encode(), {}),
    ],
)
def test_tables_and_json_of_every_make_give_the_same(
    tmp_path: Path, name: str, content: bytes, config: dict[str, Any]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert texts_and_labels(all_of("classification", name, **config)) == sorted(ROWS)


def test_quotes_are_text_in_tsv_and_hold_lines_together_in_csv(tmp_path: Path) -> None:
    write(tmp_path, a__tsv=TSV + 'he said "no\tgood\n')
    assert ('he said "no', "good") in texts_and_labels(all_of("classification", "a.tsv", **BY_NUMBER))
    rows = "".join(f'"{text},\nand ""more""",{label}\n' for text, label in ROWS)
    write(tmp_path, a__csv="text,label\n" + rows)
    examples = {example["id"]: example["text"] for example in all_of("classification", "a.csv")}
    assert examples["a.csv:4"] == 'text 0 of bad,\nand "more"'


def test_negatives_are_read_where_they_are_named(tmp_path: Path) -> None:
    given: list[Any] = ["one", ["two", "three"], []] * 4
    rows = [{"first": f"f{n}", "second": f"s{n}", "negative": wrong} for n, wrong in enumerate(given)]
    write(tmp_path, a__jsonl="".join(json.dumps(row) + "\n" for row in rows))
    assert not [example for example in all_of("matching", "a.jsonl") if "negative" in example]
    named = all_of("matching", "a.jsonl", columns={"negative": "negative"})
    found = {example["first"]: example["negative"] for example in named}
    assert [found[f"f{n}"] for n in range(3)] == [["one"], ["two", "three"], []]
    write(
        tmp_path, a__csv="first,second,wrong\n" + "".join(f"f{n},s{n},{'no' * (n % 2)}\n" for n in range(12))
    )
    cells = all_of("matching", "a.csv", columns={"negative": "wrong"})
    assert {example["first"]: example["negative"] for example in cells}["f1"] == ["no"]
    assert {example["first"]: example["negative"] for example in cells}["f2"] == []


def test_ids_are_the_place_in_the_file(tmp_path: Path) -> None:
    for folder in ("train", "test"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        content = "\n" + TSV.replace("text", "text" if folder == "test" else "said")
        (tmp_path / "set" / folder / "a.tsv").write_text(content, encoding="utf-8")
    found = read("classification", "set/train/a.tsv", test="set/test/a.tsv", **BY_NUMBER)
    assert found.examples["test"][0] == {"id": "test/a.tsv:2", "text": "text 0 of good", "label": "good"}
    assert {example["id"] for example in found.examples["train"]} < {f"train/a.tsv:{n}" for n in range(2, 22)}


def test_members_of_an_archive_are_read_together(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.tsv", TSV)
        archive.writestr("2.tsv", TSV)
    found = read("classification", "a.zip", **BY_NUMBER)
    assert len(all_of("classification", "a.zip", **BY_NUMBER)) == 40
    assert found.remarks["training examples that repeat another"] > 0


def test_conll_by_white_space_or_tabs_with_documents_comments_and_a_prefix(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__conll="-DOCSTART- -X- O\n\n" + "\n".join(f"EU{n} NNP{n} B-ORG\n# NN O\n" for n in range(9)),
        b__txt="# id = 1\n" + "\r\n".join(f"en:New York\tB-LOC\r\nen:{n}\tO\r\n" for n in range(9)),
    )
    first = all_of("token_classification", "a.conll")[0]
    assert first == {"id": "a.conll:12", "words": ["EU3", "#"], "tags": ["B-ORG", "O"]}
    by_column = all_of("token_classification", "a.conll", columns={"words": 2})[0]
    assert by_column["words"] == ["NNP3", "NN"]
    first = all_of("token_classification", "b.txt", format="conll", strip_prefix="en:")[0]
    assert first == {"id": "b.txt:11", "words": ["New York", "3"], "tags": ["B-LOC", "O"]}


def test_conll_with_blanks_in_blank_lines_and_an_empty_last_column(tmp_path: Path) -> None:
    for blank in ("\t", " \t\r", "\u00a0", "\u3000"):
        write(tmp_path, a__conll="".join(f"Rome B-LOC \r\n{n} O\r\n{blank}\n" for n in range(9)))
        assert len(all_of("token_classification", "a.conll")) == 9
    write(tmp_path, a__conll="".join(f"Rome\t\tB-LOC\t\n{n}\tx\tO\t\n\n" for n in range(9)))
    first = all_of("token_classification", "a.conll")[0]
    assert (first["words"][0], first["tags"]) == ("Rome", ["B-LOC", "O"])


def test_tags_in_another_spelling_are_rewritten_and_counted(tmp_path: Path) -> None:
    write(tmp_path, a__conll="".join(f"New I-LOC\nYork I-LOC\n{n} O\nRome S-LOC\n\n" for n in range(6)))
    found = read("token_classification", "a.conll")
    assert found.examples["train"][0]["tags"] == ["B-LOC", "I-LOC", "O", "B-LOC"]
    assert found.remarks["sentences with tags rewritten as BIO"] == 6
    assert found.labels == ["B-LOC", "I-LOC", "O"]


def test_parallel_files_are_read_line_by_line(tmp_path: Path) -> None:
    write(tmp_path, a__en="".join(f"one {n}\r\n" for n in range(9)))
    (tmp_path / "a.de.gz").write_bytes(gzip.compress("\n".join(f"eins {n}" for n in range(9)).encode()))
    examples = all_of("seq2seq", {"source": "a.en", "target": "a.de.gz"})
    assert examples[3] == {"id": "a.en:4", "source": "one 3", "target": "eins 3"}


def test_squad_with_and_without_answers(tmp_path: Path) -> None:
    write(tmp_path, a__json=squad({"text": "old", "answer_start": 8}))
    first = all_of("question_answering", "a.json", format="squad")[0]
    assert first == {
        "id": "q0",
        "question": "What?",
        "context": f"{CONTEXT} 0",
        "answers": [{"text": "old", "start": 8}],
    }
    write(tmp_path, b__json=squad().replace('"answers"', '"is_impossible": true, "answers"'))
    assert all_of("question_answering", "b.json", format="squad")[0]["answers"] == []


def test_a_shifted_answer_is_moved_where_it_stands(tmp_path: Path) -> None:
    write(tmp_path, a__json=squad({"text": " Rome ", "answer_start": 10}))
    found = read("question_answering", "a.json", format="squad")
    assert found.examples["train"][0]["answers"] == [{"text": "Rome", "start": 13}]
    assert found.remarks["answers moved to where their text stands"] == 5
    assert found.remarks["answers without the blanks around them"] == 5


def test_words_are_parted_by_spaces_and_not_by_those_inside_them(tmp_path: Path) -> None:
    lines = "".join(f"10\u00a0000 O\n全\u3000角\u2028\u0085\x0c O\nRome{n} B-LOC\n\n" for n in range(6))
    write(
        tmp_path, a__conll=lines, b__conll="\ufeff" + lines.replace("\n\n", "\n\n\ufeff").replace(" ", "\t")
    )
    for name in ("a.conll", "b.conll"):
        words = all_of("token_classification", name)[0]["words"]
        assert words[:2] == ["10\u00a0000", "全\u3000角\u2028\u0085\x0c"]
    rows = "".join(
        json.dumps({"words": f"10\u00a0000 in  Rome{n}", "tags": "O O B-LOC"}) + "\n" for n in range(6)
    )
    write(tmp_path, c__jsonl=rows)
    assert all_of("token_classification", "c.jsonl")[0]["words"] == ["10\u00a0000", "in", "Rome0"]


def test_lists_of_words_that_are_printed_in_cells(tmp_path: Path) -> None:
    rows = "".join(f"\"['Rome', 'is', '{n}']\",\"['B-LOC', 'O', 'O']\"\n[ in {n},O O O\n" for n in range(6))
    write(tmp_path, a__csv="words,tags\n" + rows)
    first, second = all_of("token_classification", "a.csv")[:2]
    assert {tuple(first["words"]), tuple(second["words"])} <= {
        *(("Rome", "is", str(n)) for n in range(6)),
        *(("[", "in", str(n)) for n in range(6)),
    }


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    rows = "".join(f"one\u2028{n}\u0085\x0c\x1c\t{n % 2}\n" for n in range(20))
    write(tmp_path, a__tsv=rows, a__en=rows, a__de=rows.replace("one", "eins"))
    assert len(all_of("classification", "a.tsv", **BY_NUMBER)) == 20
    assert len(all_of("seq2seq", {"source": "a.en", "target": "a.de"})) == 20


def test_byte_order_marks_inside_json(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    write(tmp_path, a__jsonl="\ufeff" + "\n\ufeff".join(lines), b__json="\ufeff".join(lines))
    for name in ("a.jsonl", "b.json"):
        assert texts_and_labels(all_of("classification", name)) == sorted(ROWS)


def test_a_file_without_an_example_among_others_is_counted(tmp_path: Path) -> None:
    write(tmp_path, a1__tsv=TSV, a2__tsv="")
    assert read("classification", "a*.tsv", **BY_NUMBER).remarks["files without an example"] == 1


def test_labels_that_differ_in_case_alone_are_said(tmp_path: Path) -> None:
    write(tmp_path, a__tsv=TSV.replace("1 of good\tgood", "1 of good\tGood"))
    remarks = read("classification", "a.tsv", validation_share=0.2, **BY_NUMBER).remarks
    assert remarks["labels that differ in case or width alone ('good', 'Good')"] == 1


def test_several_labels_in_a_column_or_a_list(tmp_path: Path) -> None:
    rows = [("x", ["a", "b"]), ("y", []), ("z", ["b"])]
    write(
        tmp_path,
        a__tsv="".join(f"{text} {n}\t{'|'.join(labels)}\n" for n in range(5) for text, labels in rows),
        a__jsonl="".join(
            json.dumps({"text": f"{text} {n}", "labels": labels}) + "\n"
            for n in range(5)
            for text, labels in rows
        ),
    )
    in_column = all_of("multi_label", "a.tsv", separator="|", header=False, columns={"text": 1, "labels": 2})
    in_list = all_of("multi_label", "a.jsonl")
    assert [example["labels"] for example in in_column] == [example["labels"] for example in in_list]
    assert sorted(map(tuple, (e["labels"] for e in in_list)))[::5] == [(), ("a", "b"), ("b",)]


def test_messages_are_read_from_json_lines(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "weight": 1}]
    lines = "".join(json.dumps({"chat": messages, "n": n}) + "\n" for n in range(9))
    write(tmp_path, a__jsonl=lines)
    first = all_of("instructions", "a.jsonl", columns={"messages": "chat"}, group_by="n")[0]
    assert first["messages"] == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def test_a_group_is_on_one_side_and_limits_keep_the_labels(tmp_path: Path) -> None:
    rows = [f"text {n}\t{n % 2}\tauthor {n % 20}\n" for n in range(200)]
    write(tmp_path, a__tsv="text\tlabel\tauthor\n" + "".join(rows))
    found = read("classification", "a.tsv", group_by="author", limit=20, held_out_limit=4).examples
    assert {split: len(examples) for split, examples in found.items()} == {
        "train": 20,
        "validation": 4,
        "test": 4,
    }
    authors = {split: {int(e["text"][5:]) % 20 for e in examples} for split, examples in found.items()}
    assert not authors["train"] & authors["validation"] | authors["train"] & authors["test"]
    assert all(sum(e["label"] == "0" for e in found[split]) * 2 == len(found[split]) for split in found)


def test_examples_without_a_group_are_each_alone(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": str(n % 2), "author": None if n < 60 else n} for n in range(100)]
    write(tmp_path, a__jsonl="".join(json.dumps(row) + "\n" for row in rows))
    found = read("classification", "a.jsonl", group_by="author").examples
    assert {split: len(examples) for split, examples in found.items()} == {
        "train": 80,
        "validation": 10,
        "test": 10,
    }


def test_several_replies_to_one_conversation_are_on_one_side(tmp_path: Path) -> None:
    talks = [
        [{"role": "user", "content": f"Hi {n}"}, {"role": "assistant", "content": f"Hello {m}"}]
        for n in range(30)
        for m in range(3)
    ]
    write(tmp_path, a__jsonl="".join(json.dumps({"messages": talk}) + "\n" for talk in talks))
    found = read("instructions", "a.jsonl")
    asked = {
        split: {example["messages"][0]["content"] for example in examples}
        for split, examples in found.examples.items()
    }
    assert not asked["train"] & (asked["validation"] | asked["test"])
    assert found.remarks["test examples whose input is in training"] == 0
    assert found.remarks["training inputs with several answers"] == len(asked["train"])


def test_labels_of_json_are_what_they_look_like(tmp_path: Path) -> None:
    write(tmp_path, a__jsonl="".join(json.dumps({"text": f"{n}", "label": n % 2}) + "\n" for n in range(20)))
    write(tmp_path, b__jsonl='{"text": "x", "label": 1.0}\n{"text": "y", "label": 0.0}\n')
    assert read("classification", "a.jsonl", test="b.jsonl").labels == ["0", "1"]
    rows = "".join(json.dumps({"text": f"{n}", "labels": [n % 2 == 0]}) + "\n" for n in range(20))
    write(tmp_path, c__jsonl=rows)
    assert read("multi_label", "c.jsonl").labels == ["false", "true"]


def test_arrays_of_json_may_follow_each_other(tmp_path: Path) -> None:
    half = json.dumps([{"text": text, "label": label} for text, label in ROWS])
    write(tmp_path, a__json=f"{half}\n{half}\n")
    assert len(all_of("classification", "a.json")) == 40


def test_a_second_text_is_read_where_it_is_named(tmp_path: Path) -> None:
    rows = "".join(f"{text}\tother\t{label}\n" for text, label in ROWS)
    write(tmp_path, a__tsv=f"text\tsecond\tlabel\n{rows}")
    assert all("second" not in example for example in all_of("classification", "a.tsv"))
    pairs = all_of("classification", "a.tsv", columns={"second": "second"})
    assert {example["second"] for example in pairs} == {"other"}


def test_what_occurs_twice_is_counted_and_stops_nobody(tmp_path: Path) -> None:
    again = "text 0 of good\tgood\ntext 1 of good\tbad\nonce\tugly\n"
    write(
        tmp_path,
        train__tsv=TSV + again,
        test__tsv="text 2 of bad\tbad\nnew\tgood\n",
        dev__tsv="".join(TSV.splitlines(True)[:2]),
    )
    found = read("classification", "train.tsv", validation="dev.tsv", test="test.tsv", **BY_NUMBER)
    assert len(found.examples["train"]) == 23
    assert found.remarks == {
        "training examples that repeat another": 1,
        "training inputs with several answers": 1,
        "validation examples whose input is in training": 2,
        "test examples whose input is in training": 1,
        "labels that no test example has": 1,
    }
