"""Sizes by family and name; free of torch, so that a recipe is checked without loading it."""

from __future__ import annotations

from collections.abc import Mapping

from model_code.models.shape import Shape

PRESETS: Mapping[str, Mapping[str, Shape]] = {
    "modernbert": {
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=192, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=384, max_positions=1024),
        "small": Shape(layers=10, width=512, heads=8, intermediate=768, max_positions=1024),
        "base": Shape(layers=22, width=768, heads=12, intermediate=1152, max_positions=8192),
        "350m": Shape(layers=28, width=1024, heads=16, intermediate=2624, max_positions=8192),
    },
    "bert": {
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=512, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=1024, max_positions=512),
        "small": Shape(layers=4, width=512, heads=8, intermediate=2048, max_positions=512),
        "medium": Shape(layers=8, width=512, heads=8, intermediate=2048, max_positions=512),
        "base": Shape(layers=12, width=768, heads=12, intermediate=3072, max_positions=512),
        "350m": Shape(layers=24, width=1024, heads=16, intermediate=4096, max_positions=512),
    },
    "gpt2": {
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=512, max_positions=1024),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=1024, max_positions=1024),
        "small": Shape(layers=8, width=512, heads=8, intermediate=2048, max_positions=1024),
        "base": Shape(layers=12, width=768, heads=12, intermediate=3072, max_positions=1024),
        "350m": Shape(layers=24, width=1024, heads=16, intermediate=4096, max_positions=1024),
        "1b": Shape(layers=24, width=2048, heads=16, intermediate=8192, max_positions=2048),
    },
    "llama": {
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=384, max_positions=2048),
        "mini": Shape(layers=4, width=256, heads=4, kv_heads=2, intermediate=768, max_positions=2048),
        "small": Shape(layers=8, width=512, heads=8, kv_heads=2, intermediate=1408, max_positions=2048),
        "base": Shape(layers=30, width=576, heads=9, kv_heads=3, intermediate=1536, max_positions=2048),
        "350m": Shape(layers=32, width=960, heads=15, kv_heads=5, intermediate=2560, max_positions=2048),
        "1b": Shape(layers=16, width=2048, heads=32, kv_heads=8, intermediate=8192, max_positions=4096),
    },
    "t5": {
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=256, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=512, max_positions=512),
        "small": Shape(layers=8, width=512, heads=8, intermediate=1024, max_positions=512),
        "base": Shape(layers=12, width=768, heads=12, intermediate=2048, max_positions=512),
        "large": Shape(layers=24, width=1024, heads=16, intermediate=2816, max_positions=512),
    },
}
