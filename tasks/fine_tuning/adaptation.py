"""Other ways to fine-tune, each a section of its own: adapters, privacy, a teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model_code.config.strict import Config


class LoraConfig(Config):
    """Train low-rank adapters and the head; they are merged into the model that is saved."""

    rank: int = Field(8, ge=1, le=1024, description="Of the two matrices' product.")
    alpha: float = Field(16.0, gt=0, description="The product counts alpha / rank times.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of what goes into an adapter.")
    quantize: Literal["none", "nf4"] = Field(
        "none", description="nf4: the resting weights have four bits a number (QLoRA)."
    )


class PrivacyConfig(Config):
    """Train with differential privacy: what one example changes is bounded, and noise is added."""

    epsilon: float = Field(gt=0, description="The privacy budget of the whole training; 8 is usual.")
    delta: float = Field(
        0.0, ge=0, lt=1, description="May the bound fail with this probability; 0: examples ** -1.1."
    )
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient of one example.")
    reproducible: bool = Field(
        False,
        description="Noise from the seed: the same bytes again, and who knows the seed can take it off.",
    )


class DistillConfig(Config):
    """Learn from the answers of a fine-tuned model too."""

    teacher: str = Field(min_length=1, description="Folder of a model fine-tuned for the same labels.")
    temperature: float = Field(2.0, gt=0, description="How soft its answers are made.")
    weight: float = Field(0.5, ge=0, le=1, description="Share of its answers in the loss.")
