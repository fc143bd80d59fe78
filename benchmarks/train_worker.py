"""One side of the training benchmark, in a process of its own: for each line on stdin, train once.

    python -m benchmarks.train_worker loop|trainer JOB.json

JOB is that of `model_code.pretrain`. `loop` is our pretraining; `trainer` is the Hugging Face Trainer as its
documentation shows it, on the same model, token slices, batch, mask rate and precision. Each run prints one
line, tokens per second of training without start-up and evaluation.
"""

import io
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_code.job import Job, Reporter, config_from
from model_code.pretrain import PretrainConfig, pretrain


def run_loop(job: Job) -> float:
    """Tokens per second of our loop, from the first step to the last."""
    shutil.rmtree(job.paths["scratch"], ignore_errors=True)  # a checkpoint would be continued
    job.paths["scratch"].mkdir()
    return float(pretrain(job, Reporter(io.StringIO()))["tokens_per_second"])


def run_trainer(job: Job) -> float:
    """Tokens per second of the Trainer, from its first step to its last, with fused AdamW."""
    import torch
    from transformers import (
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from model_code.data.shards import open_split
    from model_code.data.vocabulary import vocabulary_of
    from model_code.models.families import family_named

    ticks: list[float] = []

    class Clock(TrainerCallback):  # the Trainer's own runtime has its set-up in it
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            ticks.append(time.monotonic())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ticks.append(time.monotonic())

    config = config_from(PretrainConfig, job.values)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(job.paths["tokenizer"])
    ids = open_split(job.paths["tokens"], "train").ids
    rows = ids[: config.steps * config.batch_size * config.sequence_length].reshape(
        -1, config.sequence_length
    )
    trainer = Trainer(
        model=family_named(config.family).build(config.shape, vocabulary_of(job.paths["tokenizer"])),
        args=TrainingArguments(
            output_dir=str(job.paths["output"] / "trainer"),
            max_steps=config.steps,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            max_grad_norm=config.clip,
            optim="adamw_torch_fused",
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            seed=config.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=config.mask_rate),
        callbacks=[Clock()],
        train_dataset=[{"input_ids": row.astype("int64")} for row in rows],
    )
    trainer.train()
    return config.steps * config.batch_size * config.sequence_length / (ticks[-1] - ticks[0])


SIDES: dict[str, Callable[[Job], float]] = {"loop": run_loop, "trainer": run_trainer}


def main(side: str, job_file: str) -> None:
    """Answer each line on stdin with the tokens per second of one run."""
    raw = json.loads(Path(job_file).read_text())
    job = Job({name: Path(value) for name, value in raw.items() if name != "config"}, raw["config"])
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print; the parent reads figures only
    for _ in sys.stdin:
        print(SIDES[side](job), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
