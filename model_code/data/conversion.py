"""Tokenizers of before `tokenizer.json`: a vocabulary, merges or a SentencePiece model, converted exactly.

transformers makes a `tokenizers.Tokenizer` of them. Whether that one reads as the older one did is tried on
text of many scripts, and a tokenizer for which it can't be told is refused: a model would be trained on other
tokens than it knows, and nothing would say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from model_code.errors import TrainingError
from model_code.models.folder import check_tokenizer_code

_WORD_PIECE = ("do_lower_case", "tokenize_chinese_chars", "strip_accents", "unk_token")
# Files that older tokenizers consist of; of each folder the first one that is there names its kind.
OLDER = ("vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model")
SAMPLES = (
    "The quick brown fox can't jump over 3,141.59 lazy dogs -- e-mail: a_b@c.org!",
    "Größe, façade, naïve, Ærøskøbing, İstanbul, Łódź",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ο καλύτερος τρόπος να μάθεις είναι να διδάξεις.",
    "في البدء كان الكلمة، والكلمة كان عند الله.",
    "בראשית ברא אלהים את השמים ואת הארץ",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা নিয়ে জন্মগ্রহণ করে।",
    "人人生而自由，在尊严和权利上一律平等。",
    "すべての人間は、生まれながらにして自由であり、ﾊﾝｶｸも使う。",
    "모든 인간은 태어날 때부터 자유로우며",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    "  spaces   at both ends,\ttabs and 👩‍👩‍👧 emoji ½ ﬁ  ",
)


def older_files(directory: Path) -> str:
    """The file that names the kind of an older tokenizer in a folder; "" where there is none."""
    return next((name for name in OLDER if (directory / name).is_file()), "")


def converted(directory: Path, file: str) -> Tokenizer:
    """The tokenizer of a folder without a `tokenizer.json`, where `file` is what it has instead.

    Raises TrainingError when it needs code of its own, can't be converted, or reads a text otherwise than
    the older one.
    """
    check_tokenizer_code(directory, str(directory))
    from transformers import AutoTokenizer

    way_out = (
        "convert it where you can compare both, and put the tokenizer.json that "
        "`AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)` writes beside it"
    )
    try:
        loaded: Any = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        older = _older(directory, file, loaded)
    except Exception as error:  # transformers, tokenizers and sentencepiece share no base class
        raise TrainingError(f"{directory / file}: transformers can't read it ({error}); {way_out}") from error
    tokenizer = getattr(loaded, "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise TrainingError(
            f"{directory / file}: there is no conversion of a {type(loaded).__name__} to a tokenizer.json; "
            f"{way_out}"
        )
    for text in SAMPLES:
        found, wanted = tokenizer.encode(text, add_special_tokens=False), older(text)
        if wanted is None:  # bytes alone: what is read has to be what was written
            same = tokenizer.decode(found.ids, skip_special_tokens=False).strip() == text.strip()
        else:
            same = found.ids == list(wanted)
        if not same:
            raise TrainingError(
                f"{directory / file}: converted to a tokenizer.json it would read {text!r} otherwise than "
                f"before; {way_out}"
            )
    return tokenizer


def _older(directory: Path, file: str, loaded: Any) -> Callable[[str], Sequence[int] | None]:
    """What the older tokenizer makes of a text: ids, or None where only bytes can be compared."""
    if file == "vocab.txt":
        from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

        options = {name: loaded.init_kwargs[name] for name in _WORD_PIECE if name in loaded.init_kwargs}
        legacy_class: Any = BertTokenizerLegacy  # it carries no types
        legacy = legacy_class(str(directory / file), **options)
        return lambda text: legacy.encode(text, add_special_tokens=False)
    if file == "vocab.json":
        return lambda text: None
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(directory / file))
    return lambda text: loaded.convert_tokens_to_ids(processor.encode(text, out_type=str))
