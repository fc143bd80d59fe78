"""What a tokenizer puts around a text, and around and between two: as the model was pretrained to see them.

BERT has `[CLS] first [SEP] second [SEP]`, RoBERTa `<s> first </s></s> second </s>`, T5 an end token only,
GPT-2 nothing. A task that cuts texts into windows needs these tokens by themselves.
"""

from __future__ import annotations

from itertools import chain

from tokenizers import Tokenizer

from model_code.data.vocabulary import Vocabulary
from model_code.served.rows import Frame


def frame_of(tokenizer: Tokenizer, vocabulary: Vocabulary, *, pair: bool = False) -> Frame:
    """The frame of one text, or of a pair.

    Where a tokenizer puts nothing between two texts, the separators are those of the vocabulary, if any.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    names = chain("a1.", tokenizer.get_vocab())
    text = next(name for name in names if tokenizer.encode(name, add_special_tokens=False).ids)
    encoding = tokenizer.encode(text, text) if pair else tokenizer.encode(text)
    places = [[i for i, of in enumerate(encoding.sequence_ids) if of == part] for part in range(1 + pair)]
    ids, (first, last) = encoding.ids, (places[0], places[-1])
    before, after = tuple(ids[: first[0]]), tuple(ids[last[-1] + 1 :])
    between = tuple(ids[first[-1] + 1 : last[0]]) if pair else ()
    lacking = not between if pair else not before + after
    if lacking and vocabulary.cls is not None and vocabulary.sep is not None:
        return Frame((vocabulary.cls,), (vocabulary.sep,) if pair else (), (vocabulary.sep,))
    types = encoding.type_ids
    return Frame(
        before,
        between,
        after,
        (
            types[0],
            types[first[0]],
            types[first[-1] + 1] if between else 0,
            types[last[0]],
            types[-1],
        ),
    )
