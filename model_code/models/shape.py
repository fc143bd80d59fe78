"""The size of a model, in the words that all families share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Layers (of T5: in encoder and decoder each), width, heads and so on.

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
