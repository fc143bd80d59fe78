"""What each family can be trained for; free of torch, so that a recipe is checked without loading it."""

from collections.abc import Mapping

# The first one is what stands for an empty name.
OBJECTIVES: Mapping[str, tuple[str, ...]] = {
    "modernbert": ("masked",),
    "bert": ("masked", "masked_next_sentence"),
    "gpt2": ("causal",),
    "llama": ("causal",),
    "t5": ("span_corruption",),
    "marian": ("span_corruption",),
}
