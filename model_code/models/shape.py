"""The size of a model, in the words that all families share."""

from dataclasses import dataclass
from typing import Any

from model_code.errors import TrainingError


@dataclass(frozen=True)
class Shape:
    """Layers (of T5 and Marian: in encoder and decoder each), width, heads and so on.

    `intermediate` is the width of the MLP, `max_positions` the longest sequence in tokens. `kv_heads` (0: as
    many as heads) counts for Llama, `local_attention`, the whole window of a layer with local attention in
    tokens, for ModernBERT. `dropout` is applied wherever the family has it.
    """

    layers: int
    width: int
    heads: int
    intermediate: int
    max_positions: int
    local_attention: int = 128
    kv_heads: int = 0
    dropout: float = 0.0

    def need_heads(self, even: bool = False) -> None:
        """Raise TrainingError unless the width divides into heads and the heads into groups.

        Rotary positions turn pairs of numbers and need an `even` width of each head.
        """
        pairs = 2 if even else 1
        if self.width % (pairs * self.heads):
            kind = " of an even width (rotary positions turn pairs)" if even else ""
            raise TrainingError(
                f"width {self.width} does not divide into {self.heads} heads{kind}; "
                f"make width a multiple of {pairs * self.heads}"
            )
        if self.kv_heads and self.heads % self.kv_heads:
            raise TrainingError(
                f"{self.heads} heads can't share {self.kv_heads} kv_heads evenly; "
                "make heads a multiple of kv_heads"
            )

    def dropouts(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The dropout under every name that a configuration has for it."""
        return dict.fromkeys(names, self.dropout)
