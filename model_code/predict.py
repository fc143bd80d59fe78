"""A finished classifier over texts, without gradients."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import ModernBertForSequenceClassification

from model_code.classification import Encoded, encode, padded
from model_code.data.vocabulary import load_tokenizer, pad_of
from model_code.models.checkpoints import load_model
from model_code.runtime import Runtime, prepare


def classify(model_dir: Path, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """Logits of a fine-tuned classifier, float32 [len(texts), labels], in the order of the texts.

    Computed in float32; texts are cut at the length that the saved tokenizer says. Raises
    TrainingError when the directory holds no classifier.
    """
    runtime = prepare("float32")
    model = load_model(model_dir, ModernBertForSequenceClassification).to(runtime.device)
    tokenizer = load_tokenizer(model_dir)
    return logits_of(model, encode(tokenizer, texts), pad_of(model_dir), batch_size, runtime)


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
