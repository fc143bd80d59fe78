"""One model on many devices: copies of it (DDP), or its parameters divided among them (FSDP2).

Both average the gradients of the ranks, while a loss here is a sum over a share of the batch: the loop
multiplies it by the number of ranks before the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from model_code.errors import TrainingError
from model_code.models.kernels import repeated_layers
from model_code.runtime import Runtime
from model_code.training.module import TrainingModule
from model_code.training.ranks import Ranks

KINDS = ("auto", "none", "ddp", "fsdp")


def parallel(module: TrainingModule, kind: str, ranks: Ranks, runtime: Runtime) -> nn.Module:
    """What to call in place of `module`, which lies on the device; the optimizer is made afterwards.

    `auto` is DDP where there are several ranks. Under FSDP (Zhao et al. 2023, arXiv 2304.11277; here in its
    second form, `fully_shard`) the parameters become DTensors, of which each rank holds some rows. They are
    gathered for one layer at a time, in the type that is computed in; gradients are added up in float32.
    Raises TrainingError for an unknown kind, or for several ranks that are not to work together.
    """
    if kind not in KINDS:
        raise TrainingError(f"parallel {kind!r} is not known; choose one of {', '.join(KINDS)}")
    if ranks.count == 1:
        return module
    if kind == "none":
        raise TrainingError(f"parallel is none, and {ranks.count} processes were started; choose ddp or fsdp")
    if kind == "fsdp":
        return _sharded(module, ranks, runtime)
    devices = [torch.cuda.current_device()] if runtime.device.type == "cuda" else None
    return DistributedDataParallel(
        module,
        device_ids=devices,
        forward_sync_buffers=False,
        gradient_as_bucket_view=True,
        # BERT's second head is idle in masked language modelling, and a micro-batch may have no targets.
        find_unused_parameters=True,
    )


def _sharded(module: TrainingModule, ranks: Ranks, runtime: Runtime) -> nn.Module:
    mesh = init_device_mesh(runtime.device.type, (ranks.count,))
    compute = runtime.compute if runtime.compute is not torch.float32 else None
    policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    for part in [*repeated_layers(module.model), module]:
        fully_shard(part, mesh=mesh, mp_policy=policy)
    return module


@contextmanager
def accumulating(module: nn.Module, last: bool) -> Iterator[None]:
    """Around the two passes of a micro-batch: the ranks add up their gradients after the `last` one only."""
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(last)
    if isinstance(module, DistributedDataParallel) and not last:
        with module.no_sync():
            yield
    else:
        yield


def gradient_norm(parameters: Iterable[nn.Parameter]) -> torch.Tensor:
    """The norm of all gradients together, those of other ranks' rows included; a number on the device."""
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    return whole(norm)


def held_rows(tensor: torch.Tensor) -> tuple[int, torch.Tensor] | None:
    """The rows of a sharded tensor that this rank holds, and the number of the first; None: it has all."""
    if not isinstance(tensor, DTensor):
        return None
    mesh = tensor.device_mesh
    most = -(-tensor.shape[0] // mesh.size())  # FSDP divides as torch.chunk does
    return min(mesh.get_local_rank() * most, tensor.shape[0]), tensor.to_local().detach()


def placed(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor where `like` lies; when `like` is sharded, and of the same shape, sharded as it is."""
    moved = tensor.to(like.device)
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return moved
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor, its rows on other ranks included; every rank calls it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter by its name, as a whole; every rank calls it."""
    return {name: whole(parameter.detach()) for name, parameter in model.named_parameters()}
