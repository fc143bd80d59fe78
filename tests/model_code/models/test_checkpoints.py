"""What is saved can be loaded by everyone; what training goes on from is checked before it begins."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from model_code.config.pretraining import PretrainConfig
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models import bert, llama, t5
from model_code.models.families import FAMILIES
from model_code.models.further import initial_model, require_positions, unloaded_model
from model_code.models.shape import Shape
from tests.model_code.checkpoints import tokenizer_of

AUTO = {
    "modernbert": "AutoModelForMaskedLM",
    "bert": "AutoModelForPreTraining",
    "gpt2": "AutoModelForCausalLM",
    "llama": "AutoModelForCausalLM",
    "t5": "AutoModelForSeq2SeqLM",
    "marian": "AutoModelForSeq2SeqLM",
}


def saved(directory: Path, model: transformers.PreTrainedModel) -> str:
    model.save_pretrained(directory)
    tokenizer_of("bert").save(str(directory / "tokenizer.json"))
    return str(directory)


def further(family: str, start: str, dropout: float | None = None) -> PretrainConfig:
    return PretrainConfig(family=family, start_from=start, dropout=dropout)  # type: ignore[arg-type]


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = dict(other.named_parameters())
    return all(torch.equal(p, theirs[name]) for name, p in one.named_parameters())


def test_everyone_can_load_what_is_saved(
    family: str, vocabulary: Vocabulary, shape: Shape, tmp_path: Path
) -> None:
    model = FAMILIES[family].build(shape, vocabulary)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:  # Marian's positions are computed, not learnt
                parameter.normal_()
    saved(tmp_path, model)
    loaded, info = getattr(transformers, AUTO[family]).from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model) is FAMILIES[family].PRETRAINED
    assert not any(info.values())
    assert same_weights(model, loaded)
    again = initial_model(further(family, str(tmp_path)), vocabulary)
    assert same_weights(model, again)
    hidden = torch.randn(5, 32)
    expected = FAMILIES[family].logits(model, hidden)
    assert torch.equal(FAMILIES[family].logits(again, hidden), expected)


def test_a_checkpoint_brings_its_sizes_and_the_config_its_dropout(
    family: str, vocabulary: Vocabulary, shape: Shape, tmp_path: Path
) -> None:
    start = saved(tmp_path, FAMILIES[family].build(shape, vocabulary).to(torch.bfloat16))
    wanted = further(family, start, dropout=0.25)
    model = initial_model(wanted, vocabulary)
    with torch.device("meta"):
        unloaded = unloaded_model(wanted, vocabulary)
    for each in (model, unloaded):
        assert each.config.hidden_size == 32
        assert each.config._attn_implementation == "sdpa"
        assert {getattr(each.config, name) for name in FAMILIES[family].DROPOUT} == {0.25}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {n: p.shape for n, p in model.named_parameters()} == {
        n: p.shape for n, p in unloaded.named_parameters()
    }


def test_without_a_checkpoint_the_weights_are_random(vocabulary: Vocabulary, shape: Shape) -> None:
    torch.manual_seed(3)
    expected = bert.build(shape, vocabulary)
    torch.manual_seed(3)
    sizes = {name: getattr(shape, name) for name in ("layers", "width", "heads", "intermediate")}
    config = PretrainConfig(family="bert", max_positions=shape.max_positions, sequence_length=16, **sizes)
    assert same_weights(initial_model(config, vocabulary), expected)


def test_heads_that_are_missing_are_named(
    vocabulary: Vocabulary, shape: Shape, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body: Any = transformers.BertModel(bert.build(shape, vocabulary).config, add_pooling_layer=False)
    start = saved(tmp_path, body)
    model: Any = initial_model(further("bert", start), vocabulary)
    said = capsys.readouterr().err
    assert f"{start}: at random begin bert.pooler.dense.bias, bert.pooler.dense.weight" in said
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, body.embeddings.word_embeddings.weight)
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


def test_untied_embeddings_stay_untied(vocabulary: Vocabulary, shape: Shape, tmp_path: Path) -> None:
    config = llama.build(shape, vocabulary).config
    config.tie_word_embeddings = False
    untied = transformers.LlamaForCausalLM(config)
    model: Any = initial_model(further("llama", saved(tmp_path, untied)), vocabulary)
    assert torch.equal(model.lm_head.weight, untied.lm_head.weight)
    assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


def test_an_unscaled_t5_stays_unscaled(vocabulary: Vocabulary, shape: Shape, tmp_path: Path) -> None:
    model = t5.build(shape, vocabulary)
    model.config.scale_decoder_outputs = False
    again = initial_model(further("t5", saved(tmp_path, model)), vocabulary)
    hidden = torch.randn(3, 32)
    assert torch.equal(t5.logits(again, hidden), t5.logits(model, hidden))
    assert torch.allclose(t5.logits(again, hidden), hidden @ model.shared.weight.T, atol=1e-5)


def test_rows_that_fill_up_the_embedding_are_allowed(shape: Shape, tmp_path: Path) -> None:
    sentinels = (100, 99)
    published = Vocabulary(128, pad=0, eos=1, sentinels=sentinels)
    start = saved(tmp_path, t5.build(shape, published))
    model = initial_model(further("t5", start), Vocabulary(101, pad=0, eos=1, sentinels=sentinels))
    assert model.config.vocab_size == 128


def test_a_vocabulary_that_the_model_has_no_rows_for_is_refused(
    vocabulary: Vocabulary, shape: Shape, tmp_path: Path
) -> None:
    start = saved(tmp_path, llama.build(shape, vocabulary))
    for make in (initial_model, unloaded_model):
        with pytest.raises(
            TrainingError, match="has 130 entries and the model rows for 120: it is the token"
        ):
            make(further("llama", start), Vocabulary(130, pad=0, eos=6))


def test_another_family_is_refused(vocabulary: Vocabulary, shape: Shape, tmp_path: Path) -> None:
    start = saved(tmp_path, bert.build(shape, vocabulary))
    with pytest.raises(TrainingError, match="is a model of the family bert, family is gpt2; leave fam"):
        initial_model(further("gpt2", start), vocabulary)


def test_what_is_damaged_is_refused(vocabulary: Vocabulary, shape: Shape, tmp_path: Path) -> None:
    start = saved(tmp_path, llama.build(shape, vocabulary))
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()

    def refused(said: str) -> None:
        with pytest.raises(TrainingError, match=said):
            initial_model(further("llama", start), vocabulary)

    weights.write_bytes(whole[:-100])
    refused("has [0-9,]+ of [0-9,]+ bytes; copy it again")
    weights.write_bytes(whole)
    tensors = load_file(weights)
    save_file({n: t for n, t in tensors.items() if "layers.1." not in n}, weights, {"format": "pt"})
    refused("lacks 9 weights of the model, layers.1.input_layernorm.weight among them")
    save_file(tensors | {"model.norm.weight": torch.ones(7)}, weights, {"format": "pt"})
    refused("lacks 1 weights of the model, norm.weight among them")
    save_file(tensors | {"model.norm.weight": torch.full((32,), math.nan)}, weights, {"format": "pt"})
    refused("model.norm.weight holds numbers that are not finite")
    weights.rename(tmp_path / "pytorch_model.bin")
    refused("its weights are pytorch_model.bin alone, and no pickle is read here")
    (tmp_path / "pytorch_model.bin").rename(weights)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    refused("config.json: can't be read as JSON")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    refused("config.json names no model_type")
    (tmp_path / "config.json").unlink()
    refused("has no config.json; name a folder that")


def test_longer_sequences_than_positions_are_refused(vocabulary: Vocabulary, shape: Shape) -> None:
    model = llama.build(shape, vocabulary)
    require_positions(model, 64)
    with pytest.raises(TrainingError, match="sequence_length 65 is more than the 64 positions of the model"):
        require_positions(model, 65)
    require_positions(t5.build(shape, vocabulary), 1000)
