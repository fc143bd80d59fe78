"""What is pretrained, on what and how; a recipe's `pretrain` section, and the config of the trainer's job."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from model_code.config.strict import OUTSIDE_KEY, Config
from model_code.models.presets import preset_shape
from model_code.models.shape import Shape
from model_code.objectives.names import OBJECTIVES

SIZES = tuple(field.name for field in fields(Shape) if field.name != "dropout")
# Sizes that one family alone has.
OWN_SIZES = {"kv_heads": "llama", "local_attention": "modernbert"}
ROTARY = ("modernbert", "llama")
PRESET = "tiny"
DECAY = 0.5
# What random weights learn with, and what a checkpoint does: full rates would undo what it knows.
AT_RANDOM = {
    "family": "modernbert",
    "dropout": 0.0,
    "optimizer": "muon",
    "learning_rate": 0.002,
    "muon_learning_rate": 0.006,
    "schedule": "warmup_stable_decay",
}
FURTHER = {"optimizer": "adamw", "schedule": "linear"}
BASE_RATE, BASE_WEIGHTS, LARGEST_RATE = 1e-4, 86_000_000, 5e-4


class PretrainConfig(Config):
    """The model, what it is trained for, and how; sizes that are left out are those of the preset."""

    family: Literal["", "modernbert", "bert", "gpt2", "llama", "t5", "marian"] = Field(
        "",
        description="Architecture; what is saved is one of transformers' own classes. Empty: modernbert, "
        "or with `start_from` that of the checkpoint, which may be any.",
    )
    preset: str = Field(
        PRESET, description="Its size: tiny, mini, small, base; in some families larger ones."
    )
    layers: int | None = Field(
        None, ge=1, le=96, description="Transformer layers; of T5 and Marian: on each side."
    )
    width: int | None = Field(
        None, ge=16, le=65_536, description="Size of the hidden state; a multiple of heads."
    )
    heads: int | None = Field(None, ge=1, le=4096, description="Attention heads.")
    kv_heads: int | None = Field(
        None, ge=1, le=4096, description="Heads of keys and values; a divisor of heads (llama)."
    )
    intermediate: int | None = Field(None, ge=16, le=1_000_000, description="Width of the MLP.")
    max_positions: int | None = Field(
        None, ge=16, le=131_072, description="Longest text the model can read, in tokens."
    )
    local_attention: int | None = Field(
        None,
        ge=2,
        le=131_072,
        description="Window of the layers with local attention, in tokens (modernbert).",
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Wherever the family has it. Unset: 0; from `start_from` the checkpoint's own.",
    )
    start_from: Annotated[str, OUTSIDE_KEY] = Field(
        "",
        description="Go on from a checkpoint instead of random weights, any that transformers loads: a "
        "folder, hub-id@commit, or models:/NAME@ALIAS (or /VERSION) of the registry. Its tokenizer is that "
        "of the corpus.",
    )
    objective: Literal["", "masked", "masked_next_sentence", "causal", "span_corruption"] = Field(
        "", description="Empty: the usual one of the family or the checkpoint."
    )
    mask_rate: float = Field(0.3, gt=0, lt=1, description="Share of tokens to be guessed (masked).")
    whole_words: bool = Field(False, description="Hide whole words, never pieces of them (masked).")
    noise_density: float = Field(
        0.15, gt=0, lt=1, description="Share of tokens that are cut out (T5, Marian)."
    )
    mean_span: float = Field(3.0, ge=1, description="Mean length of what is cut out, in tokens (T5, Marian).")
    sequence_length: int = Field(128, ge=16, le=131_072, description="Tokens per training sequence.")
    batch_size: int = Field(
        32, ge=1, le=1_000_000, description="Sequences per step, on all devices together."
    )
    steps: int = Field(
        1000,
        ge=1,
        le=1_000_000_000,
        description="Optimizer steps; tokens = steps x batch_size x sequence_length.",
    )
    optimizer: Literal["", "muon", "adamw"] = Field(
        "",
        description="muon: Muon for the hidden matrices, AdamW for the rest. adamw: AdamW for all. "
        "Empty: muon; from `start_from` adamw.",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Highest rate of AdamW. Unset: 0.002; from `start_from` by its size, 0.0001 for 86 "
        "million weights and less for more.",
    )
    muon_learning_rate: float | None = Field(
        None, gt=0, le=1, description="Highest rate of Muon. Unset: 0.006; from `start_from` 5 times AdamW's."
    )
    beta2: float = Field(0.98, ge=0, lt=1, description="Of AdamW: how slowly its second moment moves.")
    weight_decay: float = Field(0.01, ge=0, lt=1, description="On matrices; never on norms and biases.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    schedule: Literal["", "warmup_stable_decay", "cosine", "linear"] = Field(
        "",
        description="How the rates move after the warm-up. Empty: warmup_stable_decay; from `start_from` "
        "linear.",
    )
    warmup_fraction: float = Field(
        0.05, ge=0, lt=1, description="The first part of the steps, with rising rate."
    )
    decay_fraction: float = Field(
        DECAY, gt=0, le=1, description="The last part of the steps, with falling rate (warmup_stable_decay)."
    )
    final_fraction: float = Field(0.0, ge=0, le=1, description="Where the rates end, as part of the highest.")
    z_loss: float = Field(
        0.0, ge=0, le=1, description="Weight of the squared log of the softmax's sum; 0.0001 is usual."
    )
    ema: float = Field(0.0, ge=0, lt=1, description="Save a moving average of the weights with this decay.")
    evaluate_every: int = Field(0, ge=0, description="Steps between validations; 0: only at the end.")
    seed: int = Field(
        0, ge=0, lt=2**32, description="Of the weights, the order of the data and what is hidden."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the hardware multiplies it, float32 elsewhere."
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="Compile the layers; auto: where it pays."
    )
    deterministic: bool = Field(
        True, description="The same bits from the same run; false lets a GPU use its quicker kernels."
    )
    micro_batch: Annotated[int, OUTSIDE_KEY] = Field(
        0, ge=0, description="Sequences per forward pass and device; 0: the device's share of the batch."
    )
    activation_checkpointing: Annotated[bool, OUTSIDE_KEY] = Field(
        False, description="Compute activations again instead of keeping them: less memory, a third slower."
    )
    parallel: Annotated[Literal["auto", "none", "ddp", "fsdp"], OUTSIDE_KEY] = Field(
        "auto", description="Copies of the model (ddp), or one model divided among the devices (fsdp)."
    )
    devices: Annotated[int, OUTSIDE_KEY] = Field(
        0, ge=0, le=4096, description="Processes, one per device; 0: all GPUs, or one on the CPU."
    )
    checkpoint_every: Annotated[int, OUTSIDE_KEY] = Field(200, ge=1, description="Steps between checkpoints.")
    keep_every: Annotated[int, OUTSIDE_KEY] = Field(
        0, ge=0, description="Keep a checkpoint of every so many steps until the end; 0: last and best."
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_values(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        usual = FURTHER if values.get("start_from") else AT_RANDOM
        return {**values, **{name: value for name, value in usual.items() if values.get(name) in (None, "")}}

    @property
    def shape(self) -> Shape:
        """The preset's sizes and, in their place, those that the recipe names; a checkpoint has its own."""
        own = {name: getattr(self, name) for name in SIZES} | {"dropout": self.dropout or 0.0}
        return preset_shape(self.family, self.preset, own)

    def settled(self, weights: int) -> Self:
        """The same with a value for each rate that is not set; `weights` are those of the model's layers.

        Texts like those of a new corpus are learnt at a fraction of the rate that random weights bear, the
        less the more weights there are: 1e-4 for BERT-base is what Gururangan et al. 2020 (arXiv 2004.10964)
        went on with on small corpora.
        """
        by_size = min(LARGEST_RATE, BASE_RATE * (BASE_WEIGHTS / max(1, weights)) ** 0.5)
        rate = self.learning_rate or by_size
        rates = {"learning_rate": rate, "muon_learning_rate": self.muon_learning_rate or min(1.0, 5 * rate)}
        return self.model_copy(update=rates)

    @model_validator(mode="after")
    def _objective_fits(self) -> Self:
        if not self.family:  # the checkpoint decides
            return self
        if self.objective and self.objective not in OBJECTIVES[self.family]:
            raise ValueError(
                f"family {self.family} can't be trained for objective {self.objective}; "
                f"it can for {', '.join(OBJECTIVES[self.family])}"
            )
        if self.whole_words and "masked" not in OBJECTIVES[self.family]:
            raise ValueError(f"whole_words is for masked objectives, which family {self.family} has not")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        named = [name for name in SIZES if getattr(self, name) is not None]
        if self.start_from and self.preset != PRESET:
            named.insert(0, "preset")
        if self.start_from and named:
            raise ValueError(f"start_from brings its own sizes: leave out {', '.join(named)}")
        if not self.family:
            return self
        shape = self.shape
        for name, family in OWN_SIZES.items():
            if name in named and family != self.family:
                raise ValueError(f"{name} is a size of family {family}, not of {self.family}")
        if not self.start_from:
            shape.need_heads(even=self.family in ROTARY)
            if self.sequence_length > shape.max_positions:
                raise ValueError(
                    f"sequence_length {self.sequence_length} is more than max_positions "
                    f"{shape.max_positions}; lower it or raise max_positions"
                )
        return self

    @model_validator(mode="after")
    def _rates_have_an_effect(self) -> Self:
        """Beside a checkpoint, whose optimizer and schedule are others than those of random weights."""
        if not self.start_from:
            return self
        if self.muon_learning_rate is not None and self.optimizer != "muon":
            raise ValueError(
                f"muon_learning_rate changes nothing with optimizer {self.optimizer}, which is usual with "
                "start_from; leave it out, or set optimizer to muon"
            )
        if self.decay_fraction != DECAY and self.schedule != "warmup_stable_decay":
            raise ValueError(
                f"decay_fraction changes nothing with schedule {self.schedule}; leave it out, or set "
                "schedule to warmup_stable_decay"
            )
        return self

    @model_validator(mode="after")
    def _devices_fit(self) -> Self:
        if self.parallel == "none" and self.devices > 1:
            raise ValueError(
                f"parallel is none, devices is {self.devices}; set devices to 1 or parallel to ddp"
            )
        if self.devices > self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} leaves nothing for some of {self.devices} devices"
            )
        return self
