"""Checkpoints as people publish them, of every architecture and kind of tokenizer, tiny and random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from model_code.job import write_json
from tests.model_code.conftest import WORDS

# Special tokens by their ids, and what is put around a text and a pair.
STYLES: dict[str, tuple[list[str], str, str]] = {
    "bert": (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": (["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "t5": (["<pad>", "</s>", "<unk>"], "$A </s>", "$A </s> $B </s>"),
    "mbart": (["<s>", "<pad>", "</s>", "<unk>", "en_XX"], "$A </s> en_XX", "$A $B </s> en_XX"),
    "gpt2": (["<|endoftext|>"], "", ""),
    "llama": (["<unk>", "<s>", "</s>"], "<s> $A", "<s> $A <s>:1 $B:1"),
}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
FROM_TWO = SIZES | {"max_position_embeddings": 66, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
STACKS = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
}
T5 = {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
LLAMA = SIZES | {"num_key_value_heads": 1, "head_dim": 16, "pad_token_id": None}
GPT = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
BYTES = {"bos_token_id": 1, "eos_token_id": 2}
BEGUN = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "forced_eos_token_id": 1}
# By model type: the kind of its tokenizer, the class that it is published as, and its configuration.
ARCHITECTURES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "bert": ("bert", AutoModelForMaskedLM, SIZES),
    "roberta": ("roberta", AutoModelForMaskedLM, FROM_TWO | {"type_vocab_size": 1}),
    "xlm-roberta": ("roberta", AutoModelForMaskedLM, FROM_TWO | {"type_vocab_size": 1}),
    "distilbert": (
        "bert",
        AutoModelForMaskedLM,
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64},
    ),
    "deberta-v2": (
        "bert",
        AutoModelForMaskedLM,
        SIZES
        | {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "electra": ("bert", AutoModelForMaskedLM, SIZES | {"embedding_size": 16}),
    "albert": (
        "bert",
        AutoModelForMaskedLM,
        SIZES | {"embedding_size": 16, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
    ),
    "mpnet": ("roberta", AutoModelForMaskedLM, FROM_TWO),
    "modernbert": (
        "bert",
        AutoModelForMaskedLM,
        SIZES
        | {"local_attention": 16, "pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2}
        | {"sep_token_id": 3, "eos_token_id": 3},
    ),
    "bart": ("roberta", AutoModelForSeq2SeqLM, STACKS),
    "mbart": ("mbart", AutoModelForSeq2SeqLM, STACKS),
    "t5": ("t5", AutoModelForSeq2SeqLM, T5),
    "mt5": ("t5", AutoModelForSeq2SeqLM, T5),
    "marian": ("t5", AutoModelForSeq2SeqLM, STACKS | BEGUN),
    "pegasus": ("t5", AutoModelForSeq2SeqLM, STACKS | BEGUN),
    "gpt2": (
        "gpt2",
        AutoModelForCausalLM,
        GPT | {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    ),
    "gpt_neox": ("gpt2", AutoModelForCausalLM, SIZES | GPT),
    "opt": (
        "roberta",
        AutoModelForCausalLM,
        SIZES | {"ffn_dim": 48, "word_embed_proj_dim": 32, "pad_token_id": 1, "bos_token_id": 2},
    ),
    "llama": ("llama", AutoModelForCausalLM, LLAMA | BYTES),
    "mistral": ("llama", AutoModelForCausalLM, LLAMA | BYTES),
    "qwen2": ("bytes", AutoModelForCausalLM, LLAMA | GPT),
    "qwen3": ("gpt2", AutoModelForCausalLM, LLAMA | GPT),
    "gemma": ("llama", AutoModelForCausalLM, LLAMA | BYTES | {"pad_token_id": 0}),
    "phi": ("gpt2", AutoModelForCausalLM, SIZES | GPT),
}


def bytes_and_merges() -> Tokenizer:
    """What transformers takes for every Qwen2, whatever the folder says."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    made.train_from_iterator([" ".join(WORDS)] * 2, trainer)
    return made


def tokenizer_of(style: str) -> Tokenizer:
    """Words as tokens, with the special tokens of a style; it pads and cuts, as some published ones do."""
    if style == "bytes":
        return bytes_and_merges()
    special, single, pair = STYLES[style]
    names = [*special, *WORDS, "user", "assistant"]
    unknown = next((token for token in special if "unk" in token.lower()), special[0])
    made = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(special)
    if single:
        made.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[(token, i) for i, token in enumerate(special)]
        )
    made.enable_padding(length=40, pad_token=special[0])
    made.enable_truncation(30)
    return made


def published(name: str, directory: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A checkpoint of this model type as a folder."""
    style, kind, values = ARCHITECTURES[name]
    tokenizer = tokenizer_of(style)
    config = AutoConfig.for_model(name, **{"vocab_size": tokenizer.get_vocab_size()} | values)
    torch.manual_seed(0)
    kind.from_config(config).to(dtype).save_pretrained(directory)
    tokenizer.save(str(directory / "tokenizer.json"))
    write_json(directory / "tokenizer_config.json", {"model_max_length": int(1e30)})
    return directory
