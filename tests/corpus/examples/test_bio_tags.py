"""Tags in other spellings say the same entities as BIO."""

import pytest

from corpus.examples.bio_tags import as_bio


@pytest.mark.parametrize(
    ("tags", "bio"),
    [
        ("O B-PER I-PER O", "O B-PER I-PER O"),
        ("I-PER I-PER B-PER I-LOC", "B-PER I-PER B-PER B-LOC"),  # IOB1
        ("S-PER B-LOC I-LOC E-LOC O", "B-PER B-LOC I-LOC I-LOC O"),  # BIOES
        ("U-PER B-LOC L-LOC", "B-PER B-LOC I-LOC"),  # BILOU
        ("NN VB-D", "NN VB-D"),  # none of them
    ],
)
def test_every_spelling(tags: str, bio: str) -> None:
    assert as_bio(tags.split()) == bio.split()
