from collections import Counter

import pytest

from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.document_splits import split_of


def test_split_of_a_group_is_the_same_for_ever() -> None:
    config = TokenizeConfig()
    # Noted once: another division would put what was trained on among what is tested on.
    fixed = {"numpy.linalg": "test", "ast": "validation", "torch.nn": "train", "文档": "train"}
    assert {name: split_of(name, config) for name in fixed} == fixed
    names = [f"module{n}" for n in range(5000)]
    shares = Counter(split_of(name, config) for name in names)
    assert shares["test"] / 5000 == pytest.approx(config.test, abs=0.02)
    assert shares["validation"] / 5000 == pytest.approx(config.validation, abs=0.02)
    assert any(split_of(name, TokenizeConfig(seed=1)) != split_of(name, config) for name in names)
