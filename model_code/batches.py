"""Training batches from a packed split, in an order that any step and any number of ranks can begin with."""

import numpy as np
import torch

from model_code.errors import TrainingError
from model_code.permutation import permuted
from model_code.shards import Split


class PackedBatches:
    """Batches of equally long slices, in a new random order each epoch.

    `batch(step)` depends on the split, the seed and the step only. With several ranks each reads its own
    rows of that one batch, so the order of the data is the same for every number of ranks.
    """

    def __init__(
        self,
        split: Split,
        sequence_length: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """`batch_size` is that of all ranks together.

        Raises TrainingError when the split does not fill one batch or the ranks can't share it evenly.
        """
        if batch_size % ranks:
            raise TrainingError(
                f"batch_size {batch_size} can't be shared evenly by {ranks} ranks; "
                f"make it a multiple of {ranks}"
            )
        self.chunks = split.info.tokens // sequence_length
        self.steps_per_epoch = self.chunks // batch_size
        if not self.steps_per_epoch:
            raise TrainingError(
                f"{split.path}: {split.info.tokens} tokens, one batch needs {sequence_length * batch_size} "
                f"(sequence_length {sequence_length} x batch_size {batch_size}); "
                "collect more text or lower one of the two"
            )
        self._rows = split.ids[: self.chunks * sequence_length].reshape(self.chunks, sequence_length)
        self._batch_size, self._seed = batch_size, seed
        self._mine = np.arange(batch_size).reshape(ranks, -1)[rank]

    def batch(self, step: int) -> torch.Tensor:
        """This rank's rows of step `step` (0-based): ids, int64 [batch_size / ranks, sequence_length]."""
        epoch, index = divmod(step, self.steps_per_epoch)
        chosen = permuted(index * self._batch_size + self._mine, self.chunks, (self._seed, epoch))
        return torch.from_numpy(self._rows[chosen].astype(np.int64))
