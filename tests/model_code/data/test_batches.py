"""Batches: every chunk once an epoch, the same from any step and on any number of ranks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_code.data.batches import PackedBatches, Rows, held_out
from model_code.data.shards import open_split
from model_code.errors import TrainingError
from tests.token_shards import write_split


def test_an_epoch_visits_every_chunk_once_and_epochs_differ(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(85)], 100)
    batches = PackedBatches(open_split(tmp_path, "train"), sequence_length=10, batch_size=4, seed=0)
    assert batches.steps_per_epoch == 2
    first = np.concatenate([batches.batch(step).ids.numpy() for step in (0, 1)])
    second = np.concatenate([batches.batch(step).ids.numpy() for step in (2, 3)])
    assert sorted(first[:, 0]) == sorted(second[:, 0]) == list(range(0, 80, 10))
    assert first[:, 0].tolist() != second[:, 0].tolist()


def test_a_batch_depends_on_seed_and_step_only(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(1000)], 1000)
    split = open_split(tmp_path, "train")
    walked = PackedBatches(split, 10, 4, seed=5)
    visited = [walked.batch(step).ids for step in range(60)]
    assert PackedBatches(split, 10, 4, seed=5).batch(57).ids.equal(visited[57])
    assert not PackedBatches(split, 10, 4, seed=6).batch(57).ids.equal(visited[57])


@pytest.mark.parametrize("ranks", [2, 4])
def test_all_ranks_together_read_the_same_batch(tmp_path: Path, ranks: int) -> None:
    write_split(tmp_path, "train", [np.arange(1000)], 1000)
    split = open_split(tmp_path, "train")
    for step in (0, 13, 24, 25):
        shares = [PackedBatches(split, 10, 4, 5, rank, ranks).batch(step).ids for rank in range(ranks)]
        assert torch.cat(shares).equal(PackedBatches(split, 10, 4, seed=5).batch(step).ids)


def test_ranks_that_can_not_share_a_batch_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(100)], 100)
    with pytest.raises(TrainingError, match="batch_size 4 can't be shared evenly by 3 ranks"):
        PackedBatches(open_split(tmp_path, "train"), 10, 4, 0, rank=1, ranks=3)


def test_a_corpus_smaller_than_a_batch_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [range(39)], 100)
    with pytest.raises(TrainingError, match="39 tokens, one batch needs 40"):
        PackedBatches(open_split(tmp_path, "train"), 10, 4, seed=0)


def test_rows_know_their_documents_and_places(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(3), np.arange(9), np.arange(8)], 10)
    batches = PackedBatches(open_split(tmp_path, "train"), sequence_length=5, batch_size=4, seed=0)
    rows = batches.batch(0)
    found = {
        tuple(ids): (documents, places)
        for ids, documents, places in zip(
            rows.ids.tolist(), rows.documents.tolist(), rows.positions.tolist(), strict=True
        )
    }
    assert found[0, 1, 2, 0, 1] == ([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    assert found[2, 3, 4, 5, 6] == ([0] * 5, [0, 1, 2, 3, 4])
    assert found[7, 8, 0, 1, 2] == ([0, 0, 1, 1, 1], [0, 1, 0, 1, 2])
    halves = rows.split(3)
    assert [len(part.ids) for part in halves] == [3, 1]
    assert np.concatenate([part.places for part in halves]).tolist() == [0, 1, 2, 3]


def test_parts_of_rows_are_their_documents() -> None:
    documents = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 2, 2, 2], [0, 0, 0, 0, 0]])
    rows = Rows(documents, documents, documents, np.arange(3))
    parts = [(0, 0, 2), (0, 2, 5), (1, 0, 1), (1, 1, 2), (1, 2, 5), (2, 0, 5)]
    assert rows.parts() == parts
    assert rows.parts(2) == [part for part in parts if part not in ((1, 0, 1), (1, 1, 2))]
    assert rows.parts(3) == [(0, 2, 5), (1, 2, 5), (2, 0, 5)]


def test_held_out_sequences_come_in_order_and_of_a_long_split_evenly_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path, "test", [np.arange(109)], 200)
    split = open_split(tmp_path, "test")
    batches = list(held_out(split, 10, 4))
    assert [batch.ids[:, 0].tolist() for batch in batches] == [[0, 10, 20, 30], [40, 50, 60, 70], [80, 90]]
    assert [batch.places.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    monkeypatch.setattr("model_code.data.batches.EVALUATED_SEQUENCES", 4)
    assert [batch.ids[:, 0].tolist() for batch in held_out(split, 10, 4)] == [[0, 30, 60, 90]]
    assert len(list(held_out(split, 109, 1))) == 1
    with pytest.raises(TrainingError, match="109 tokens, one sequence needs 110"):
        list(held_out(split, 110, 1))
