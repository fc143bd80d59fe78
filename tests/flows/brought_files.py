"""Files of examples as people bring them: one or two for each task type, and other ways to write them."""

from __future__ import annotations

import json
import re

NUMBERS = range(60)
TOPICS = ("billing", "parcel", "login")


def text(number: int) -> str:
    """A text that no other number has."""
    return f"please help me with my order, it has the secret number {number}"


ROWS = [(text(number), TOPICS[number % 3]) for number in NUMBERS]
SENTENCES = "".join(f"Ada\tB-PER\nvisits\tO\nRome\tB-LOC\nno\tO\n{number}\tO\n\n" for number in NUMBERS)
FILES = {
    "classification": {"tickets.csv": "text,topic\n" + "".join(f'"{one}",{topic}\n' for one, topic in ROWS)},
    "headless": {"tickets.tsv": "".join(f"{one}\t{topic}\n" for one, topic in ROWS)},
    "semicolons": {"tickets.csv": "Text;Topic (new)\n" + "".join(f"{one};{topic}\n" for one, topic in ROWS)},
    "unnamed": {"tickets.txt": "on\ttext\n" + "".join(f"{topic}\t{one}\n" for one, topic in ROWS)},
    "nested": {
        "tickets.jsonl": "".join(
            json.dumps({"body": {"text": one}, "label": topic}) + "\n" for one, topic in ROWS
        )
    },
    "pairs": {
        "pairs.csv": "sentence1,sentence2,label\n"
        + "".join(
            f'"{one}","{topic} again {number}",{number % 2}\n' for number, (one, topic) in enumerate(ROWS)
        )
    },
    "similarity": {
        "pairs.csv": "sentence1,sentence2,score\n"
        + "".join(
            f'"{one}","{topic} again {number}",{number / 60:.2f}\n'
            for number, (one, topic) in enumerate(ROWS)
        )
    },
    "multi_label": {
        "tickets.json": json.dumps([{"text": one, "tags": [topic, "new"]} for one, topic in ROWS])
    },
    "marks": {
        "toxic.csv": "comment,toxic,insult\n"
        + "".join(f'"{one}",{n % 2},{n % 3 % 2}\n' for n, (one, _) in enumerate(ROWS))
    },
    "separated": {
        "tickets.csv": "text,labels\n"
        + "".join(f'"{one}",{topic}{";new" * (n % 2)}\n' for n, (one, topic) in enumerate(ROWS))
    },
    "token_classification": {"names.txt": SENTENCES},
    "prefixed": {"set/train.txt": re.sub("^(?=.)", "en:", SENTENCES, flags=re.MULTILINE)},
    "question_answering": {
        "questions.json": json.dumps(
            {
                "data": [
                    {
                        "title": "t",
                        "paragraphs": [
                            {
                                "context": one,
                                "qas": [
                                    {
                                        "id": one,
                                        "question": "what?",
                                        "answers": [{"text": "help", "answer_start": 7}],
                                    }
                                ],
                            }
                        ],
                    }
                    for one, _ in ROWS
                ]
            }
        )
    },
    "seq2seq": {
        "mt/train.en": "".join(f"{one}\n" for one, _ in ROWS),
        "mt/train.de": "".join(f"bitte {number}\n" for number in NUMBERS),
    },
    "instructions": {
        "chat.jsonl": "".join(
            json.dumps(
                {"messages": [{"role": "user", "content": one}, {"role": "assistant", "content": topic}]}
            )
            + "\n"
            for one, topic in ROWS
        )
    },
    "preference": {
        "pairs.jsonl": "".join(
            json.dumps({"prompt": one, "chosen": f"{topic}, {number}", "rejected": "no"}) + "\n"
            for number, (one, topic) in enumerate(ROWS)
        )
    },
    "matching": {
        "search.jsonl": "".join(
            json.dumps({"query": one, "passage": f"{topic} {one}"}) + "\n" for one, topic in ROWS
        )
    },
}
TASKS = {
    **dict.fromkeys(("headless", "semicolons", "unnamed", "nested", "pairs"), "classification"),
    **{"marks": "multi_label", "separated": "multi_label", "prefixed": "token_classification"},
}
