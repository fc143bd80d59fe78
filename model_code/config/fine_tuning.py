"""How a model learns its task; a recipe's `fine_tune` section, and the config of the trainer's job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from model_code.config.strict import OUTSIDE_KEY, Config
from model_code.data.padding import padded_length

# What a model that was pretrained here learns with; these rates would undo what a public checkpoint knows.
OUR_OWN = {"learning_rate": 0.001, "muon_learning_rate": 0.006, "head_dropout": 0.1}
BASE_RATE, BASE_WEIGHTS, LARGEST_RATE = 5e-5, 86_000_000, 1e-3


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


class FineTuningConfig(Config):
    """How one model learns its task."""

    start_from: Annotated[str, OUTSIDE_KEY] = Field(
        "",
        description="Any checkpoint that transformers loads: a folder, id@commit of the hub, or "
        "models:/NAME@alias of the registry. Unset: the pretrained model.",
    )
    options: dict[str, Any] = Field({}, description="What only this task type needs to be told.")
    max_length: int = Field(128, ge=8, le=131_072, description="Longer texts are cut to this many tokens.")
    batch_size: int = Field(32, ge=1, le=1_000_000, description="Examples per step.")
    epochs: int = Field(
        3, ge=1, le=10_000, description="The epoch that does best on the validation examples is kept."
    )
    patience: int = Field(2, ge=1, le=10_000, description="Stop after this many epochs without a better one.")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="muon: Muon for the hidden matrices, AdamW for the rest. adamw: AdamW for all."
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Highest rate of AdamW, after the warm-up. Unset: 0.001; from `start_from` by its size, "
        "0.00005 for 86 million weights and less for more.",
    )
    muon_learning_rate: float | None = Field(
        None, gt=0, le=1, description="Highest rate of Muon. Unset: 0.006; from `start_from` 5 times AdamW's."
    )
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="The first part of the steps, with rising rate."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="On matrices; never on norms and biases.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each target spread over all labels."
    )
    class_weights: bool = Field(False, description="Weigh labels by the inverse of their frequency.")
    head_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Before the classification layer. Unset: 0.1; from `start_from` the checkpoint's own.",
    )
    freeze: int | None = Field(
        None,
        ge=0,
        description="Leave the embeddings and so many of the layers above them as they are; 0: the "
        "embeddings alone.",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Each layer learns at this share of the rate of the one above it."
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        description="Weight of the difference of two passes with dropout (R-Drop); 5 is usual.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of the head's weights and the order of the data.")
    lora: LoraConfig | None = Field(None, description="Train adapters instead of all weights.")
    privacy: PrivacyConfig | None = Field(None, description="Train with differential privacy.")
    distill: DistillConfig | None = Field(None, description="Learn from the answers of a larger model too.")

    @model_validator(mode="before")
    @classmethod
    def _usual_for_our_own(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("start_from"):
            return values
        unset = {name: usual for name, usual in OUR_OWN.items() if values.get(name) is None}
        return {**values, **unset}

    def settled(self, weights: int) -> Self:
        """The same with a value for each rate that is not set; `weights` are those of the model's layers.

        The more weights there are, the smaller a step each may take: 5e-5 is usual for BERT-base (Devlin et
        al. 2019) and 2e-5 to 3e-5 for models of three times its size. Adapters bear ten times the rate of
        all weights ("LoRA Without Regret", Thinking Machines Lab 2025).
        """
        by_size = min(LARGEST_RATE, BASE_RATE * (BASE_WEIGHTS / max(1, weights)) ** 0.5)
        rate = self.learning_rate or min(LARGEST_RATE, by_size * (10 if self.lora else 1))
        rates = {"learning_rate": rate, "muon_learning_rate": self.muon_learning_rate or min(1.0, 5 * rate)}
        return self.model_copy(update=rates)

    @property
    def width(self) -> int:
        """The tokens of the widest row of a batch."""
        return padded_length(self.max_length)

    def leaks(self) -> Mapping[str, str]:
        """What is used that tells about examples past all noise, and how it does."""
        used = {
            "class_weights": (self.class_weights, "counts labels of the examples"),
            "distill": (self.distill, "has a teacher that has seen examples"),
            "optimizer muon": (self.optimizer == "muon", "makes the noise as large as the gradient"),
        }
        return {name: how for name, (is_used, how) in used.items() if is_used}

    @model_validator(mode="after")
    def _methods_fit_together(self) -> Self:
        if self.r_drop and self.distill:
            raise ValueError("r_drop and distill each replace the loss; leave one of them out")
        if self.start_from and self.muon_learning_rate is not None and self.optimizer != "muon":
            raise ValueError(
                f"muon_learning_rate changes nothing with optimizer {self.optimizer}; leave it out, or set "
                "optimizer to muon"
            )
        if self.lora and self.freeze is not None:
            raise ValueError("lora leaves all of the model's own weights as they are; leave freeze out")
        if self.privacy and (leaks := self.leaks()):
            name, how = next(iter(leaks.items()))
            raise ValueError(
                f"privacy does not hold with {name}, which {how}; leave {name} out, or leave privacy out"
            )
        return self


class FineTuningRun(FineTuningConfig):
    """One training: what the job of the trainer says beside the recipe."""

    task: str = Field(description="Name of a task type.")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="As in pretraining.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between checkpoints.")
