"""What is pretrained, on what and how; a recipe's `pretrain` section, and the config of the trainer's job."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_code.config.strict import OUTSIDE_KEY, Config
from model_code.models.presets import preset_shape
from model_code.models.shape import Shape
from model_code.objectives.names import OBJECTIVES

SIZES = tuple(field.name for field in fields(Shape) if field.name != "dropout")
# Sizes that one family alone has.
OWN_SIZES = {"kv_heads": "llama", "local_attention": "modernbert"}
ROTARY = ("modernbert", "llama")


class PretrainConfig(Config):
    """The model, what it is trained for, and how; sizes that are left out are those of the preset."""

    family: Literal["modernbert", "bert", "gpt2", "llama", "t5", "marian"] = Field(
        "modernbert", description="Architecture; the checkpoint is one of transformers' own classes."
    )
    preset: str = Field(
        "tiny", description="Its size: tiny, mini, small, base; in some families larger ones."
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
    dropout: float = Field(0.0, ge=0, lt=1, description="Wherever the family has it.")
    start_from: Annotated[str, OUTSIDE_KEY] = Field(
        "",
        description="Go on from a checkpoint instead of random weights: a folder, hub-id@commit, or "
        "models:/NAME@ALIAS (or /VERSION) of the registry. "
        "Its tokenizer has to be that of the corpus (tokenize.pretrained).",
    )
    objective: Literal["", "masked", "masked_next_sentence", "causal", "span_corruption"] = Field(
        "", description="Empty: the family's usual one."
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
    optimizer: Literal["muon", "adamw"] = Field(
        "muon", description="muon: Muon for the hidden matrices, AdamW for the rest. adamw: AdamW for all."
    )
    learning_rate: float = Field(0.002, gt=0, le=1, description="Highest rate of AdamW.")
    muon_learning_rate: float = Field(0.006, gt=0, le=1, description="Highest rate of Muon.")
    beta2: float = Field(0.98, ge=0, lt=1, description="Of AdamW: how slowly its second moment moves.")
    weight_decay: float = Field(0.01, ge=0, lt=1, description="On matrices; never on norms and biases.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    schedule: Literal["warmup_stable_decay", "cosine", "linear"] = Field(
        "warmup_stable_decay", description="How the rates move after the warm-up."
    )
    warmup_fraction: float = Field(
        0.05, ge=0, lt=1, description="The first part of the steps, with rising rate."
    )
    decay_fraction: float = Field(
        0.5, gt=0, le=1, description="The last part of the steps, with falling rate (warmup_stable_decay)."
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

    @property
    def shape(self) -> Shape:
        """The preset's sizes and, in their place, those that the recipe names."""
        own = {field.name: getattr(self, field.name) for field in fields(Shape)}
        return preset_shape(self.family, self.preset, own)

    @model_validator(mode="after")
    def _objective_fits(self) -> Self:
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
        shape = self.shape
        named = [name for name in SIZES if getattr(self, name) is not None]
        if self.start_from and named:
            raise ValueError(f"start_from brings its own sizes: leave out {', '.join(named)}")
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
