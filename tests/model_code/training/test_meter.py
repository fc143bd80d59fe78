import torch

from model_code.runtime import Runtime
from model_code.training.meter import RECENT, Meter


def test_speed_is_that_of_the_last_steps_and_the_total_that_of_all() -> None:
    meter = Meter(Runtime(torch.device("cpu"), torch.float32), flops_per_token=1e6, peak_flops=1e10)
    meter.count(1000, 50.0)  # the first step compiles
    for _ in range(RECENT):
        meter.count(1000, 1.0)
    figures = meter.figures(steps_left=7)
    assert (figures["tokens_per_second"], figures["mfu"], figures["eta_seconds"]) == (1000, 0.1, 7.0)
    assert 10e6 < figures["memory_bytes"] < 64e9
    assert meter.totals() == {"train_seconds": 100.0, "tokens_per_second": 510, "mfu": 0.051}


def test_without_a_count_of_operations_there_is_no_utilisation() -> None:
    meter = Meter(Runtime(torch.device("cpu"), torch.float32))
    meter.count(10, 1.0)
    assert "mfu" not in meter.figures(1) | meter.totals()
