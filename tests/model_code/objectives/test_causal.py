import torch

from tests.model_code.objectives.packed import OBJECTIVES, noise, packed_rows


def test_every_token_but_the_first_of_a_document_is_a_target() -> None:
    rows = packed_rows([(5, 16, 27), (1, 2, 45)])
    batch = OBJECTIVES["gpt2", "causal"].batch(rows, noise(rows))
    assert batch.targets == {"causal": 48 * 2 - 6}
    places, targets = batch.tensors["places"], batch.tensors["targets"]
    assert rows.ids.flatten()[places + 1].equal(targets)
    assert rows.documents.flatten()[places].equal(rows.documents.flatten()[places + 1])
    assert set(torch.arange(96).tolist()) - set((places + 1).tolist()) == {0, 5, 21, 48, 49, 51}
