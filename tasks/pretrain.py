"""Stage 5: train the encoder from random weights on the packed tokens, in a process of its own."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.artifact import Artifact
from tasks.child import run_child
from tasks.stage import Config, Workspace, stage

TRAINER = "model_code.pretrain"


class PretrainConfig(Config):
    """Architecture (ModernBERT's layout) and optimisation of the encoder."""

    layers: int = Field(2, ge=1, le=48, description="Transformer layers; one in three attends globally.")
    width: int = Field(128, ge=16, description="Size of the hidden state; a multiple of 2 x heads.")
    heads: int = Field(2, ge=1, description="Attention heads.")
    intermediate: int = Field(192, ge=16, description="Width of the gated MLP.")
    max_positions: int = Field(
        512, ge=16, le=8192, description="Longest text the encoder can read, in tokens."
    )
    local_attention: int = Field(
        128, ge=2, description="Window of the layers with local attention, in tokens."
    )
    sequence_length: int = Field(128, ge=16, le=8192, description="Tokens per training sequence.")
    batch_size: int = Field(32, ge=1, description="Sequences per step.")
    steps: int = Field(
        1000, ge=1, description="Optimizer steps; tokens = steps x batch_size x sequence_length."
    )
    mask_rate: float = Field(0.3, gt=0, lt=1, description="Share of tokens to be guessed.")
    learning_rate: float = Field(0.002, gt=0, le=1, description="For AdamW: embeddings, norms, head.")
    muon_learning_rate: float = Field(0.006, gt=0, le=1, description="For Muon: the hidden matrices.")
    warmup_fraction: float = Field(
        0.05, ge=0, lt=1, description="The first part of the steps, with rising rate."
    )
    decay_fraction: float = Field(
        0.5, gt=0, le=1, description="The last part of the steps, with falling rate."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="On matrices; never on norms and biases.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    checkpoint_every: int = Field(200, ge=1, description="Steps between checkpoints.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the hardware multiplies it, float32 elsewhere."
    )
    seed: int = Field(0, ge=0, description="Of the weights, the order of the data and the masks.")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is not a multiple of 2 x heads ({2 * self.heads})")
        if self.sequence_length > self.max_positions:
            raise ValueError(
                f"sequence_length {self.sequence_length} is more than max_positions {self.max_positions}"
            )
        return self


@stage(runs=(TRAINER,))
def pretrain(tokens: Artifact, config: PretrainConfig, workspace: Workspace) -> None:
    """Write `model/` (a Hugging Face checkpoint), `metrics.json` and `history.jsonl` (the loss curve).

    A killed run goes on from its last checkpoint and ends with the same weights.

    Raises:
        StageError: what the trainer refused: too little text, a loss that is not a number, ...
    """
    made = workspace.path(tokens)
    job = {
        "tokens": made / "tokens",
        "tokenizer": made / "tokenizer",
        "output": workspace.directory,
        "scratch": workspace.scratch,
        "config": config.model_dump(mode="json"),
    }
    metrics = run_child(TRAINER, job, "pretraining", workspace)["metrics"]
    workspace.metrics |= {name: float(value) for name, value in metrics.items()}
    workspace.say(
        f"held-out perplexity {metrics['perplexity']:.1f}, masked accuracy {metrics['accuracy']:.3f}, "
        f"{metrics['tokens_per_second']:,.0f} tokens/s"
    )
