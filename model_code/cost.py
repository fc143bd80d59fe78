"""What a training step costs, found without taking one: parameters, floating-point operations, memory.

The forward pass runs on fake tensors, which have shapes and no storage, so counting a model of a billion
parameters takes seconds on any machine and needs no formula per family. The backward pass is counted as
twice the forward pass (Chowdhery et al. 2022, arXiv 2204.02311, appendix B: 6 x parameters plus attention);
what activation checkpointing computes again is not counted, so utilisation means useful work.
"""

from __future__ import annotations

import time
import weakref
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
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.families import FAMILIES
from model_code.models.further import unloaded_model
from model_code.models.kernels import recompute_activations
from model_code.objectives.objective import Batch, Objective
from model_code.runtime import Runtime

if TYPE_CHECKING:
    from model_code.config.pretraining import PretrainConfig

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
TRACED_TOKENS = 4096
# On CPU freed memory is kept for the next tensor (runtime.py), which leaves gaps: the peak of a process grew
# by 1.1 to 2.5 times what its tensors held at once.
CPU_GAPS = 1.8


@dataclass(frozen=True)
class Memory:
    """Bytes on one device. Activations are all that the passes take besides the others."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
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
    config: PretrainConfig, vocabulary: Vocabulary, objective: Objective, runtime: Runtime, ranks: int = 1
) -> StepCost:
    """Count the cost of a step that `ranks` devices share.

    Raises TrainingError when the shape is impossible or the vocabulary lacks a token.
    """
    share = -(-config.batch_size // ranks)
    per_pass = min(config.micro_batch or share, share)
    sequences = min(per_pass, max(2, TRACED_TOKENS // config.sequence_length))
    fake = FakeTensorMode()
    with fake, no_init_weights():
        model = unloaded_model(config, vocabulary)
    model.tie_weights()
    # Before sdpa many an architecture looks at its mask, and fake tensors have nothing to look at.
    plain = runtime.device.type == "cpu" or model.config.model_type not in FAMILIES
    model.set_attn_implementation("eager" if plain else "sdpa")
    if config.activation_checkpointing:
        recompute_activations(model)
    batch = sample_batch(objective, vocabulary, config.sequence_length, sequences)
    operations, held = _trace(model, objective, batch, runtime, fake)
    if sequences < per_pass:  # what a pass holds is a fixed part and one for each sequence
        half = sample_batch(objective, vocabulary, config.sequence_length, sequences // 2)
        slope = (held - _trace(model, objective, half, runtime, fake)[1]) / (sequences - sequences // 2)
        held += int(slope * (per_pass - sequences))
    if runtime.device.type == "cpu":
        held = int(held * CPU_GAPS)
    operations -= sequences * _outside_windows(model.config, config.sequence_length)
    return StepCost(
        parameters=sum(p.numel() for p in model.parameters()),
        embedding=sum(p.numel() for p in _embeddings(model)),
        flops=3 * operations * config.batch_size // sequences,
        tokens=batch.tokens * config.batch_size // sequences,
        memory=_memory(model, config, held, ranks),
    )


def sample_batch(objective: Objective, vocabulary: Vocabulary, length: int, sequences: int) -> Batch:
    """A batch of random ordinary tokens, in documents of 100 tokens, for measuring."""
    random = np.random.default_rng(0)
    ordinary = np.setdiff1d(np.arange(vocabulary.size), vocabulary.special())
    ids = torch.from_numpy(random.choice(ordinary, (sequences, length)))
    places = torch.arange(length).repeat(sequences, 1)
    rows = Rows(ids, places // 100, places % 100, np.arange(sequences))
    return objective.batch(rows, Noise(0, 0, rows.places))


class _Tally(TorchDispatchMode):
    """Counts the operations of matrix products and attention kernels, and the bytes that tensors take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.bytes = self.most_bytes = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.operations += count(*args, **(kwargs or {}), out_val=out)
        tree_map_only(torch.Tensor, self._note, out)
        return out

    def _note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self._alive:
            return
        size, address = storage.nbytes(), storage._cdata

        def freed(reference: weakref.ref[torch.UntypedStorage]) -> None:
            self.bytes -= size
            del self._alive[address]

        self._alive[address] = weakref.ref(storage, freed)
        self.bytes += size
        self.most_bytes = max(self.most_bytes, self.bytes)


def _trace(
    model: PreTrainedModel, objective: Objective, batch: Batch, runtime: Runtime, fake: FakeTensorMode
) -> tuple[int, int]:
    """Operations of a forward pass, and the most bytes that it and the backward pass hold at once.

    Weights and gradients are not among these bytes: they are there before.
    """
    tensors = {name: fake.from_tensor(tensor) for name, tensor in batch.tensors.items()}
    half = torch.autocast("cpu", torch.bfloat16, enabled=runtime.compute is torch.bfloat16)
    with fake:
        for parameter in model.train().parameters():
            parameter.grad = torch.zeros_like(parameter)
        with _Tally() as tally:
            with half:
                scores = objective.scores(model, tensors)
            operations = tally.operations
            total = torch.stack([score.loss + score.penalty for score in scores.values()]).sum()
            total.backward()  # type: ignore[no-untyped-call]
    return operations, tally.most_bytes


def _outside_windows(config: Any, length: int) -> int:
    """Operations per sequence on pairs outside the window of local attention: computed, then masked."""
    local = list(getattr(config, "layer_types", None) or ()).count("sliding_attention")
    if not local or not hasattr(config, "local_attention"):
        return 0
    reach = min(config.local_attention // 2, length - 1)
    inside = length + 2 * reach * length - reach * (reach + 1)
    return int(local * 4 * config.hidden_size * (length**2 - inside))


def _memory(model: PreTrainedModel, config: PretrainConfig, activations: int, ranks: int) -> Memory:
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
        activations=activations,
    )


def _embeddings(model: nn.Module) -> Iterable[nn.Parameter]:
    return {p for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}


def require_memory(cost: StepCost, runtime: Runtime, ranks: int = 1) -> None:
    """Raise TrainingError when a step needs more memory than there is; call it before the model is built."""
    free = free_memory(runtime, ranks)
    if cost.memory.total <= free:
        return
    kinds = sorted(asdict(cost.memory).items(), key=lambda item: -item[1])
    listed = ", ".join(f"{kind} {size / 1e9:.1f}" for kind, size in kinds if size)
    place = "GPU" if runtime.device.type == "cuda" else "machine"
    raise TrainingError(
        f"a step needs about {cost.memory.total / 1e9:.1f} GB of memory ({listed}), this {place} has "
        f"{free / 1e9:.1f} GB free; lower pretrain.micro_batch, set pretrain.activation_checkpointing, "
        "divide the model among several GPUs (pretrain.parallel: fsdp) or take a smaller preset"
    )


def free_memory(runtime: Runtime, ranks: int = 1) -> int:
    """Bytes that one of `ranks` new processes can take: of its GPU, or its share of machine and cgroup."""
    if runtime.device.type == "cuda":
        return torch.cuda.mem_get_info(runtime.device)[0]
    fields = (line.split() for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
    free = next(int(field[1]) * 1024 for field in fields if field[0] == "MemAvailable:")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        group = Path("/sys/fs/cgroup")
        if (group / limit).is_file() and (
            most := (group / limit).read_text(encoding="utf-8").strip()
        ) != "max":
            free = min(free, int(most) - int((group / used).read_text(encoding="utf-8")))
    return max(0, free) // ranks


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
