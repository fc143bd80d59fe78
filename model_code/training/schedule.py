"""Learning-rate schedules as pure functions of the step: a factor in [0, 1] on the peak rate."""


def warmup_stable_decay(step: int, total: int, warmup: float, decay: float) -> float:
    """Linear warm-up over the first `warmup` of the steps, constant, linear decay over the last `decay`.

    Hägele et al. 2024 (arXiv 2405.18392); `step` is 0-based. The last step still moves the weights.
    """
    warmup_steps, decay_steps = max(1, round(warmup * total)), max(1, round(decay * total))
    return min(1.0, (step + 1) / warmup_steps, (total - step) / decay_steps)


def warmup_linear(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then linear decay to zero over the rest, usual for fine-tuning."""
    return warmup_stable_decay(step, total, warmup, 1 - warmup)
