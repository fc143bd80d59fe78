"""What a training step costs, found without taking one: parameters, floating-point operations, memory.

The forward pass runs on fake tensors, which have shapes and no storage, so counting a model of a billion
parameters takes seconds on any machine and needs no formula per family. The backward pass is counted as
twice the forward pass (Chowdhery et al. 2022, arXiv 2204.02311, appendix B: 6 x parameters plus attention);
what activation checkpointing computes again is not counted, so utilisation means useful work.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.families import family_named
from model_code.objectives.objective import Batch, Objective
from model_code.runtime import Runtime

if TYPE_CHECKING:
    from model_code.pretrain import PretrainConfig

# Dense bfloat16 operations per second with float32 accumulation, from the vendor's data sheets; a name is
# looked for in the device's name, the longer ones first.
GPU_PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "GH200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
# Hoffmann et al. 2022 (arXiv 2203.15556): the loss is lowest for its compute near this ratio.
CHINCHILLA_TOKENS_PER_PARAMETER = 20
FLOAT = 4


@dataclass(frozen=True)
class Memory:
    """Bytes on one device. Activations hold the bfloat16 copies of the weights, too."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int

    @property
    def total(self) -> int:
        """All of them; a little more than the peak, since gradients grow while activations go."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class StepCost:
    """Parameters of the model, and what one optimizer step of all devices together costs.

    `embedding` are parameters that are looked up by token or position (a tied decoder is one of them),
    `flops` floating-point operations of forward and backward pass, `tokens` those read in the step.
    """

    parameters: int
    embedding: int
    flops: int
    tokens: int
    memory: Memory

    @property
    def flops_per_token(self) -> float:
        """Of forward and backward pass."""
        return self.flops / self.tokens

    def mfu(self, tokens_per_second: float, peak: float) -> float:
        """Model FLOPs utilisation: the share of the `peak` FLOP/s that training makes use of."""
        return tokens_per_second * self.flops_per_token / peak


def step_cost(
    config: PretrainConfig,
    vocabulary: Vocabulary,
    objective: Objective,
    runtime: Runtime,
    ranks: int = 1,
    micro_batch: int | None = None,
) -> StepCost:
    """Count the cost of a step of this config; `micro_batch` sequences per pass, None: as configured.

    Raises TrainingError when the shape is impossible or the vocabulary lacks a token.
    """
    share = -(-config.batch_size // ranks)
    micro_batch = micro_batch or min(config.micro_batch or share, share)
    batch = objective.batch(*sample_rows(vocabulary, config.sequence_length, micro_batch))
    with FakeTensorMode() as mode:
        with no_init_weights():
            model = family_named(config.family).build(config.shape, vocabulary)
        model.set_attn_implementation("eager" if runtime.device.type == "cpu" else "sdpa")
        if config.activation_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        tensors = {name: mode.from_tensor(tensor) for name, tensor in batch.tensors.items()}
        operations, saved = _forward(model.train(), objective, Batch(tensors, batch.targets, 0), runtime)
    operations -= micro_batch * _outside_windows(model.config, config.sequence_length)
    return StepCost(
        parameters=sum(p.numel() for p in model.parameters()),
        embedding=sum(p.numel() for p in _embeddings(model)),
        flops=3 * operations * config.batch_size // micro_batch,
        tokens=batch.tokens * config.batch_size // micro_batch,
        memory=_memory(model, config, saved, ranks),
    )


def sample_rows(vocabulary: Vocabulary, length: int, count: int) -> tuple[Rows, Noise]:
    """Rows of random ordinary tokens in documents of about 100 tokens, and noise to make a batch of them."""
    random = np.random.default_rng(0)
    ordinary = np.setdiff1d(np.arange(vocabulary.size), vocabulary.special())
    ids = torch.from_numpy(random.choice(ordinary, (count, length)))
    places = np.arange(length) + np.zeros((count, 1), np.int64)
    documents, positions = torch.from_numpy(places // 100), torch.from_numpy(places % 100)
    return Rows(ids, documents, positions, np.arange(count)), Noise(0, 0, np.arange(count))


class _Operations(TorchDispatchMode):
    """Counts what matrix products and attention kernels do inside the `with` block."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def _forward(model: PreTrainedModel, objective: Objective, batch: Batch, runtime: Runtime) -> tuple[int, int]:
    """Operations of a forward pass, and the bytes that it keeps for the backward pass."""
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage  # held, so that its address stays its own
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    half = torch.autocast("cpu", torch.bfloat16, enabled=runtime.compute is torch.bfloat16)
    with _Operations() as operations, hooks, half:
        objective.scores(model, batch.tensors)
    return operations.total, sum(storage.nbytes() for storage in kept.values())


def _outside_windows(config: Any, length: int) -> int:
    """Operations per sequence on pairs outside the window of local attention: computed, then masked."""
    local = list(getattr(config, "layer_types", None) or ()).count("sliding_attention")
    if not local:
        return 0
    reach = min(config.local_attention // 2, length - 1)
    inside = length + 2 * reach * length - reach * (reach + 1)
    return int(local * 4 * config.hidden_size * (length**2 - inside))


def _memory(model: PreTrainedModel, config: PretrainConfig, saved: int, ranks: int) -> Memory:
    parameters = sum(p.numel() for p in model.parameters())
    embeddings = {id(p) for p in _embeddings(model)}
    hidden = sum(p.numel() for p in model.parameters() if p.ndim == 2 and id(p) not in embeddings)
    moments = 2 * parameters - (hidden if config.optimizer == "muon" else 0)  # Muon keeps one, AdamW two
    parts = ranks if config.parallel == "fsdp" else 1
    return Memory(
        weights=FLOAT * parameters // parts,
        gradients=FLOAT * parameters // parts,
        optimizer=FLOAT * moments // parts,
        average=FLOAT * parameters // parts if config.ema else 0,
        activations=saved,
    )


def _embeddings(model: nn.Module) -> Iterable[nn.Parameter]:
    return {p for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}


def require_memory(cost: StepCost, runtime: Runtime) -> None:
    """Raise TrainingError when a step needs more memory than the device has left; call it before building."""
    free = free_memory(runtime)
    if cost.memory.total <= free:
        return
    kinds = sorted(asdict(cost.memory).items(), key=lambda item: -item[1])
    listed = ", ".join(f"{kind} {size / 1e9:.1f}" for kind, size in kinds if size)
    place = "GPU" if runtime.device.type == "cuda" else "machine"
    raise TrainingError(
        f"a step needs about {cost.memory.total / 1e9:.1f} GB of memory ({listed}), this {place} has "
        f"{free / 1e9:.1f} GB free; set pretrain.micro_batch lower, pretrain.activation_checkpointing to true, "
        "pretrain.parallel to fsdp on several GPUs, or take a smaller preset"
    )


def free_memory(runtime: Runtime) -> int:
    """Bytes that a new process can take: of the GPU, or of the machine and the limit of its cgroup."""
    if runtime.device.type == "cuda":
        return torch.cuda.mem_get_info(runtime.device)[0]
    fields = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    free = next(int(field[1]) * 1024 for field in fields if field[0] == "MemAvailable:")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        group = Path("/sys/fs/cgroup")
        if (group / limit).is_file() and (most := (group / limit).read_text().strip()) != "max":
            free = min(free, int(most) - int((group / used).read_text()))
    return max(0, free)


@cache
def peak_flops(runtime: Runtime) -> float:
    """FLOP/s that a device can reach in the type that matrices are multiplied in.

    For known GPUs in bfloat16 the data sheet's figure, else that of the best of a few square products.
    """
    if runtime.device.type == "cuda" and runtime.compute is torch.bfloat16:
        name = torch.cuda.get_device_name(runtime.device)
        for known, peak in GPU_PEAKS.items():
            if known in name:
                return peak
    size = 1024 if runtime.device.type == "cpu" else 8192
    matrix = torch.ones(size, size, dtype=runtime.compute, device=runtime.device)
    return 2 * size**3 / min(_seconds(matrix) for _ in range(8))


def _seconds(matrix: torch.Tensor) -> float:
    """How long the product of a matrix with itself takes."""
    started = time.perf_counter()
    (matrix @ matrix)[0, 0].item()
    return time.perf_counter() - started
