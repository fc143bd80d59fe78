import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from model_code.objectives.cross_entropy import in_blocks, losses, scored

Z_LOSS = 0.01


def problem() -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    decode = nn.Linear(8, 50)
    return decode, torch.randn(23, 8, requires_grad=True), torch.randint(0, 50, (23,))


def gradients(decode: nn.Linear, hidden: torch.Tensor, total: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(total, [hidden, *decode.parameters()]))


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 23, 100])
def test_blocks_make_the_loss_and_the_gradients_of_the_whole(rows: int, recompute: bool) -> None:
    decode, hidden, targets = problem()
    score = in_blocks(hidden, targets, decode, Z_LOSS, rows, recompute)
    logits = decode(hidden)
    loss = cross_entropy(logits, targets, reduction="sum")
    penalty = Z_LOSS * logits.logsumexp(-1).square().sum()
    assert score.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert score.penalty.item() == pytest.approx(penalty.item(), rel=1e-5)
    ours, theirs = (
        gradients(decode, hidden, total) for total in (score.loss + score.penalty, loss + penalty)
    )
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_recomputed_blocks_keep_no_logits() -> None:
    decode, hidden, targets = problem()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        in_blocks(hidden, targets, decode, 0.0, rows=7, recompute=True)
    assert max(kept) < 7 * 50


def test_guesses_are_counted_without_gradients_and_nothing_is_added() -> None:
    decode, hidden, targets = problem()
    assert scored(hidden, targets, decode, Z_LOSS).hits == 0
    with torch.no_grad():
        score = scored(hidden, decode(hidden).argmax(-1), decode, Z_LOSS)
    assert (int(score.hits), score.penalty.item()) == (23, 0)


def test_bfloat16_logits_are_measured_in_float32() -> None:
    logits = torch.full((1, 1000), 3.0, dtype=torch.bfloat16)
    loss, penalty = losses(logits, torch.tensor([5]), 1.0)
    assert loss.item() == pytest.approx(6.907755, rel=1e-6)
    assert penalty.item() == pytest.approx((3 + 6.907755) ** 2, rel=1e-6)


def test_the_loss_compiles_into_one_graph() -> None:
    """What CUDA runs; here without its code generator."""
    compiled = torch.compile(losses, dynamic=True, backend="aot_eager", fullgraph=True)
    decode, hidden, targets = problem()
    for rows in (23, 11):
        own, theirs = (
            measure(decode(hidden[:rows]), targets[:rows], Z_LOSS) for measure in (compiled, losses)
        )
        torch.testing.assert_close(own, theirs)
        torch.testing.assert_close(*(gradients(decode, hidden, sum(pair)) for pair in (own, theirs)))


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_the_gradient_made_on_the_way_is_that_of_autograd(scale: float) -> None:
    decode, hidden, targets = problem()
    logits = decode(hidden * scale)  # the larger scale gives targets whose probability is 0 in float32
    loss = cross_entropy(logits, targets, reduction="sum")
    score = scored(hidden, targets, lambda states: decode(states * scale))
    assert score.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    for mine, other in zip(
        gradients(decode, hidden, score.loss * 0.5), gradients(decode, hidden, loss * 0.5), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)
