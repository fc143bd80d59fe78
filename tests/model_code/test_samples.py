from pathlib import Path

import torch

from model_code.samples import samples
from tests.token_shards import write_split


def test_texts_of_a_few_tokens_are_shown_too(pretrained: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "tokens", "validation", [[2, 30, 31, 32, 3], [2, 40, 3]], 120)
    shown = samples(pretrained / "model", tmp_path / "tokens", "modernbert", torch.device("cpu"))
    assert [len(sample["original"].split(", ")) for sample in shown] == [1, 1]
    assert all(sample["model"] for sample in shown)
