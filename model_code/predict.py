"""Finished models over data, without gradients: classification logits and masked-LM quality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import ModernBertForMaskedLM, ModernBertForSequenceClassification, PreTrainedModel

from model_code.classification import Encoded, encode, padded
from model_code.errors import TrainingError
from model_code.objectives import mask_tokens, masked_logits, step_seed
from model_code.runtime import Runtime, prepare
from model_code.shards import Split, open_split
from model_code.vocabulary import Vocabulary, load_tokenizer, require_vocabulary, vocabulary_of

# One fixed mask for every evaluation, so that losses of different models can be compared.
MASK_SEED = 20_190_524
# 262,144 tokens at a length of 128: the standard error of the loss is then below 0.01 nats.
EVALUATED_SEQUENCES = 2048


def classify(model_dir: Path, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """Logits of a fine-tuned classifier, float32 [len(texts), labels], in the order of the texts.

    Computed in float32; texts are cut at the length that the saved tokenizer says. Raises
    TrainingError when the directory holds no classifier.
    """
    runtime = prepare("float32")
    model = load_model(ModernBertForSequenceClassification, model_dir).to(runtime.device)
    tokenizer = load_tokenizer(model_dir)
    return logits_of(model, encode(tokenizer, texts), vocabulary_of(tokenizer).pad, batch_size, runtime)


def masked_lm_loss_of(
    model_dir: Path,
    tokens_dir: Path,
    split: str = "validation",
    sequence_length: int = 128,
    batch_size: int = 32,
    mask_rate: float = 0.3,
) -> dict[str, Any]:
    """Held-out loss, perplexity and accuracy of a saved masked language model, in float32."""
    runtime = prepare("float32")
    model = load_model(ModernBertForMaskedLM, model_dir).to(runtime.device)
    vocabulary = vocabulary_of(load_tokenizer(model_dir))
    held_out = open_split(tokens_dir, split)
    require_vocabulary(held_out, vocabulary)
    return masked_lm_metrics(model, held_out, vocabulary, sequence_length, batch_size, mask_rate, runtime)


def load_model(kind: type[PreTrainedModel], directory: Path, **config: Any) -> Any:
    """Load a Hugging Face checkpoint from disk; safetensors only, no remote code.

    Raises TrainingError when the directory holds no such model.
    """
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory}: no config.json; name the model directory of a finished training")
    try:
        return kind.from_pretrained(directory, local_files_only=True, use_safetensors=True, **config)
    except Exception as error:  # transformers and safetensors share no base class
        raise TrainingError(f"{directory}: the model can't be loaded ({error}); train it again") from error


@torch.inference_mode()
def logits_of(
    model: ModernBertForSequenceClassification, texts: Encoded, pad: int, batch_size: int, runtime: Runtime
) -> np.ndarray:
    """Logits, float32 [texts, labels]; neighbours in length share a batch, the order is kept."""
    model.train(False)
    order = np.argsort([len(ids) for ids in texts], kind="stable")
    logits = np.zeros((len(texts), model.classifier.out_features), np.float32)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        ids, mask = padded([texts[i] for i in chosen], pad)
        with runtime.autocast():
            output = model(input_ids=ids.to(runtime.device), attention_mask=mask.to(runtime.device)).logits
        logits[chosen] = output.float().cpu().numpy()
    return logits


@torch.inference_mode()
def masked_lm_metrics(
    model: ModernBertForMaskedLM,
    split: Split,
    vocabulary: Vocabulary,
    sequence_length: int,
    batch_size: int,
    mask_rate: float,
    runtime: Runtime,
) -> dict[str, Any]:
    """Loss (nats), perplexity and accuracy over the hidden tokens of a split, one fixed mask.

    A split of more than `EVALUATED_SEQUENCES` is represented by that many, evenly spread over it.

    Raises TrainingError when the split is shorter than one sequence.
    """
    chunks = split.info.tokens // sequence_length
    if not chunks:
        raise TrainingError(
            f"{split.path}: {split.info.tokens} tokens, one sequence needs {sequence_length}; "
            "hold out more text"
        )
    rows = split.ids[: chunks * sequence_length].reshape(chunks, sequence_length)
    rows = rows[np.unique(np.linspace(0, chunks - 1, EVALUATED_SEQUENCES).astype(np.int64))]
    model.train(False)
    loss, correct, hidden = 0.0, 0, 0
    for start in range(0, len(rows), batch_size):
        ids = torch.from_numpy(rows[start : start + batch_size].astype(np.int64))
        generator = torch.Generator().manual_seed(step_seed(MASK_SEED, start))
        batch = mask_tokens(ids, mask_rate, vocabulary, generator).to(runtime.device)
        with runtime.autocast():
            logits = masked_logits(model, batch).float()
        loss += cross_entropy(logits, batch.targets, reduction="sum").item()
        correct += int((logits.argmax(-1) == batch.targets).sum())
        hidden += len(batch.targets)
    mean = loss / max(1, hidden)
    return {
        "loss": mean,
        "perplexity": float(np.exp(mean)),
        "accuracy": correct / max(1, hidden),
        "masked_tokens": hidden,
    }
