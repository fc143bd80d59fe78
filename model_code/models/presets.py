"""Sizes by family and name; free of torch, so that a recipe is checked without loading it.

Millions of parameters, embeddings tied, at the vocabulary that each family was published with; in brackets at
8,192 entries, the vocabulary of the small recipes.

    family      vocabulary         tiny         mini     small     base    350m      1b
    modernbert      50,368    6.8 (1.4)   15.2 (4.4)      48.4    149.7   395.9
    bert            30,522    4.4 (1.6)   11.3 (5.5)      29.1    110.1   336.2
    gpt2            50,257    6.9 (1.5)   16.2 (5.4)      51.5    124.4   354.8   1,316
    llama           49,152    6.7 (1.4)   15.7 (5.2)      48.8    134.5   361.8   1,074
    t5              32,128    4.9 (1.8)   14.5 (8.4)      66.8    222.9   (750m: 750.3)
    marian          37,000    5.5 (1.8)   13.4 (6.0)      40.5     63.6   (big: 216.3)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from model_code.errors import TrainingError
from model_code.models.shape import Shape

PRESETS: Mapping[str, Mapping[str, Shape]] = {
    "modernbert": {  # base and 350m: Warner et al. 2024, table 3
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=192, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=384, max_positions=512),
        "small": Shape(layers=10, width=512, heads=8, intermediate=768, max_positions=1024),
        "base": Shape(layers=22, width=768, heads=12, intermediate=1152, max_positions=8192),
        "350m": Shape(layers=28, width=1024, heads=16, intermediate=2624, max_positions=8192),
    },
    "bert": {  # tiny to small: Turc et al. 2019 (arXiv 1908.08962); base and 350m: Devlin et al. 2019
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=512, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=1024, max_positions=512),
        "small": Shape(layers=4, width=512, heads=8, intermediate=2048, max_positions=512),
        "base": Shape(layers=12, width=768, heads=12, intermediate=3072, max_positions=512),
        "350m": Shape(layers=24, width=1024, heads=16, intermediate=4096, max_positions=512),
    },
    "gpt2": {  # base and 350m: GPT-2 and GPT-2 medium; 1b: GPT-3 XL (Brown et al. 2020, table 2.1)
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=512, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=1024, max_positions=512),
        "small": Shape(layers=8, width=512, heads=8, intermediate=2048, max_positions=1024),
        "base": Shape(layers=12, width=768, heads=12, intermediate=3072, max_positions=1024),
        "350m": Shape(layers=24, width=1024, heads=16, intermediate=4096, max_positions=1024),
        "1b": Shape(layers=24, width=2048, heads=16, intermediate=8192, max_positions=2048),
    },
    "llama": {  # base and 350m: SmolLM 135M and 360M (Allal et al. 2024); 1b: Llama 3.2 1B
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=384, max_positions=512, kv_heads=1),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=768, max_positions=512, kv_heads=2),
        "small": Shape(layers=8, width=512, heads=8, intermediate=1408, max_positions=1024, kv_heads=4),
        "base": Shape(layers=30, width=576, heads=9, intermediate=1536, max_positions=2048, kv_heads=3),
        "350m": Shape(layers=32, width=960, heads=15, intermediate=2560, max_positions=2048, kv_heads=5),
        "1b": Shape(layers=16, width=2048, heads=32, intermediate=8192, max_positions=4096, kv_heads=8),
    },
    "t5": {  # small (with 8 heads instead of 6), base and 750m (large): T5 version 1.1
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=256, max_positions=512),
        "mini": Shape(layers=4, width=256, heads=4, intermediate=512, max_positions=512),
        "small": Shape(layers=8, width=512, heads=8, intermediate=1024, max_positions=512),
        "base": Shape(layers=12, width=768, heads=12, intermediate=2048, max_positions=512),
        "750m": Shape(layers=24, width=1024, heads=16, intermediate=2816, max_positions=512),
    },
    "marian": {  # base and big: Vaswani et al. 2017, table 3
        "tiny": Shape(layers=2, width=128, heads=2, intermediate=256, max_positions=512),
        "mini": Shape(layers=2, width=256, heads=4, intermediate=1024, max_positions=512),
        "small": Shape(layers=4, width=512, heads=8, intermediate=1024, max_positions=512),
        "base": Shape(layers=6, width=512, heads=8, intermediate=2048, max_positions=512),
        "big": Shape(layers=6, width=1024, heads=16, intermediate=4096, max_positions=1024),
    },
}


def preset_shape(family: str, preset: str, sizes: Mapping[str, float | None]) -> Shape:
    """A preset, with the fields of Shape that `sizes` sets to something else than None.

    Raises TrainingError for an unknown family or preset.
    """
    if family not in PRESETS:
        raise TrainingError(f"family {family!r} is not known; choose one of {', '.join(PRESETS)}")
    presets = PRESETS[family]
    if preset not in presets:
        raise TrainingError(f"family {family} has no preset {preset!r}; choose one of {', '.join(presets)}")
    own = {name: size for name, size in sizes.items() if size is not None}
    return replace(presets[preset], **own)  # type: ignore[arg-type]
