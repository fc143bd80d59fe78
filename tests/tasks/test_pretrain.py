"""The settings of pretraining: what contradicts itself is refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model_code.config.pretraining import PretrainConfig
from tasks.checkpoints.start import Start
from tasks.pretrain import pretrain


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"objective": "causal"},
            "family modernbert can't be trained for objective causal; it can for",
        ),
        ({"family": "gpt2", "whole_words": True}, "whole_words is for masked objectives"),
        ({"family": "t5", "preset": "huge"}, "family t5 has no preset 'huge'; choose one of tiny, mini"),
        ({"family": "bert", "width": 130, "heads": 4}, "width 130 does not divide into 4 heads"),
        ({"family": "llama", "heads": 8, "kv_heads": 3}, "8 heads can't share 3 kv_heads evenly"),
        ({"family": "bert", "kv_heads": 1}, "kv_heads is a size of family llama, not of bert"),
        ({"family": "gpt2", "sequence_length": 4096}, "sequence_length 4096 is more than max_positions 512"),
        ({"start_from": "somewhere", "layers": 3}, "start_from brings its own sizes: leave out layers"),
        ({"start_from": "somewhere", "preset": "mini"}, "start_from brings its own sizes: leave out preset"),
        (
            {"start_from": "somewhere", "muon_learning_rate": 0.006},
            "muon_learning_rate changes nothing with optimizer adamw, which is usual with start_from; leave",
        ),
        (
            {"start_from": "somewhere", "decay_fraction": 0.2},
            "decay_fraction changes nothing with schedule linear; leave it out, or set schedule to",
        ),
        ({"parallel": "none", "devices": 2}, "parallel is none, devices is 2"),
        ({"devices": 8, "batch_size": 4}, "batch_size 4 leaves nothing for some of 8 devices"),
    ],
)
def test_what_contradicts_itself_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        PretrainConfig(**values)
    assert said in str(error.value)


def test_where_and_how_it_runs_is_no_part_of_the_key() -> None:
    usual = pretrain.key([None, None], PretrainConfig())
    elsewhere = PretrainConfig(devices=4, parallel="ddp", micro_batch=2, checkpoint_every=7, keep_every=9)
    assert pretrain.key([None, None], elsewhere) == usual
    assert pretrain.key([None, None], PretrainConfig(beta2=0.95)) != usual


def test_a_changed_checkpoint_to_start_from_is_noticed() -> None:
    config = PretrainConfig(start_from="checkpoints/tiny")
    keys = {pretrain.key([None, Start(digest=digest)], config) for digest in ("one", "another")}
    assert len(keys) == 2
