"""Recipes: what is wrong is said with file, key, value and what is allowed, before anything starts."""

from pathlib import Path

import pytest

from flows.recipe import Recipe, load_recipe
from flows.recipe_file import built_in_recipes
from tasks.contract.errors import RecipeError
from tests.flows.small_recipe import SMALL, refusal


@pytest.mark.parametrize("name", built_in_recipes())
def test_built_in_recipes_are_found_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(name).name == name


def test_defaults_and_the_name_of_the_model(small: Path) -> None:
    recipe = load_recipe(str(small))
    assert recipe.registration.model == "small"
    assert load_recipe(str(small), ["register.model=other"]).registration.model == "other"
    assert Recipe.model_validate(recipe.model_dump(by_alias=True)) == recipe


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SMALL + "name: again\n", ", line 10: not valid YAML: the key 'name' occurs twice"),
        (SMALL + "fine_tune: [\n", ", line 11: not valid YAML: "),
        (SMALL + "description: !!timestamp 2024-02-31\n", ": not valid YAML: day is out of range"),
        (SMALL + "description: \x01\n", ": not valid YAML: unacceptable character #x0001"),
        ("[" * 1000, ": not valid YAML: maximum recursion depth exceeded"),
        (SMALL.encode() + "# é".encode("latin-1"), f": not UTF-8 text (byte {len(SMALL) + 2})"),
        ("- collect\n- clean\n", ": a recipe is a mapping of sections such as `collect:`; this holds a list"),
        ("", ": a recipe is a mapping of sections such as `collect:`; this holds nothing"),
    ],
)
def test_file_that_is_no_recipe(tmp_path: Path, content: str | bytes, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal(path).startswith(said)


def test_anchors_and_merges_are_read(small: Path) -> None:
    small.write_text(
        SMALL + "pretrain: &sizes {seed: 7}\ntokenize:\n  <<: *sizes\n  vocabulary: 400\n", encoding="utf-8"
    )
    recipe = load_recipe(str(small))
    assert (recipe.tokenize.seed, recipe.tokenize.vocabulary) == (7, 400)


def test_missing_recipe_names_the_built_in_ones() -> None:
    with pytest.raises(
        RecipeError, match=r"there is no recipe 'pyton-docs': neither a file nor .*python-docs"
    ):
        load_recipe("pyton-docs")


def test_overrides_reach_nested_values_lists_and_absent_sections(small: Path) -> None:
    overrides = [
        "pretrain.steps=7",
        "evaluate.max_perplexity=null",
        "collect.sources.0.path=a=b",
        "questions.0=why",
        "examples.only=[a, b]",
        "description=",
        "description=2024-02-31",
    ]
    recipe = load_recipe(str(small), overrides)
    assert recipe.pretrain.steps == 7
    assert recipe.evaluate.max_perplexity is None
    assert recipe.collect.sources[0].path == "a=b"  # type: ignore[union-attr]
    assert recipe.questions == ("why",)
    assert recipe.examples.only == ("a", "b")
    assert recipe.description == "2024-02-31"  # no date, so a text


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("steps", "write it as key=value, for example pretrain.steps=200"),
        ("=5", "write it as key=value"),
        ("questions.1=x", "1 is not one of the 1 entries, counted from 0"),
        ("questions.-1=x", "-1 is not one of the 1 entries"),
        ("questions.first.x=1", "first is not one of the 1 entries"),
        ("questions.0.x=1", "0 is a value, not a section"),
        ("name.x=1", "name is a value, not a section"),
    ],
)
def test_wrong_override_is_named(small: Path, override: str, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe(str(small), [override])
    assert str(error.value).startswith(f"--set {override!r}: {said}")


@pytest.mark.parametrize(
    "override",
    [
        "questions.0=does sk-Zz9Planted0001KEYabcdEFGH1234567890 work",
        "collect.sources.0={kind: web, start: ['https://a.org/?access_token=abc123']}",
        "description=from s3://me:word99@bucket/texts",
        "description=as plant3d-value",
    ],
)
def test_a_secret_is_not_kept(small: Path, override: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "plant3d-value")
    with pytest.raises(RecipeError, match="holds a password, a token or a key") as refused:
        load_recipe(str(small), ["questions=['why']", override])
    assert "word99" not in str(refused.value)


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("why did planted.person@mail.org get no parcel", "an e-mail address"),
        ("call me back at +49 30 90182 0001", "a phone number"),
        ("refund DE89 3704 0044 0532 0130 00", "an account number"),
    ],
)
def test_a_question_with_personal_data_is_refused(small: Path, question: str, what: str) -> None:
    with pytest.raises(RecipeError, match=rf"questions\[1\] holds {what}") as refused:
        load_recipe(str(small), [f"questions=['why', '{question}']"])
    assert question[-12:] not in str(refused.value)


def test_a_question_with_an_invented_address_is_kept(small: Path) -> None:
    assert load_recipe(str(small), ["questions=['write to name@example.com']"]).questions


@pytest.mark.parametrize("text", [r"a\0b", r"\ud83d"])
def test_a_character_that_nothing_can_keep_is_refused(small: Path, text: str) -> None:
    said = refusal(small, f'description="{text}"')
    assert "description: found" in said
    assert "a NUL or a byte that is no UTF-8" in said
    assert "collect.sources.0.path: found" in refusal(small, f'collect.sources.0.path="{text}"')
    assert "description: found" in refusal(small, "description=caf\udce9")  # as Python reads a Latin-1 é


def test_a_mix_of_sources_that_are_not_there(small: Path) -> None:
    with pytest.raises(RecipeError, match=r"clean.mix.caps names the source 'wiki'; the sources are"):
        load_recipe(str(small), ["clean.mix.caps={wiki: 10}"])


SMOKE = """\
smoke:
  pretrain.steps: 3
  collect.sources.0.path: few
"""


def test_smoke_form_is_smaller_and_stands_apart(small: Path) -> None:
    small.write_text(SMALL + SMOKE, encoding="utf-8")
    usual, smoke = load_recipe(str(small)), load_recipe(str(small), smoke=True)
    assert (usual.name, usual.registration.model) == ("small", "small")
    assert (smoke.name, smoke.registration.model) == ("small-smoke", "small-smoke")
    assert usual.pretrain is not None
    assert smoke.pretrain is not None
    assert (usual.pretrain.steps, smoke.pretrain.steps) == (1000, 3)
    assert smoke.collect.sources[0].path == "few"  # type: ignore[union-attr]
    small.write_text(SMALL + SMOKE + "register: {model: other}\n", encoding="utf-8")
    assert load_recipe(str(small), smoke=True).registration.model == "other-smoke"
    again = load_recipe(str(small), ["pretrain.steps=5"], smoke=True)
    assert again.pretrain is not None
    assert again.pretrain.steps == 5


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("", "--smoke needs a `smoke` section"),
        ("smoke: {pretrain.stepz: 3}\n", "pretrain.stepz: unknown key; did you mean 'steps'?"),
        (
            "smoke: {collect.sources.4.path: x}\n",
            "smoke.collect.sources.4.path: 4 is not one of",
        ),
    ],
)
def test_what_is_wrong_in_a_smoke_section_is_named(small: Path, section: str, said: str) -> None:
    small.write_text(SMALL + section, encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        load_recipe(str(small), smoke=True)
    assert said in str(error.value)


@pytest.mark.parametrize("name", built_in_recipes())
def test_built_in_recipes_have_a_smoke_form(name: str) -> None:
    assert load_recipe(name, smoke=True).name == f"{name}-smoke"


def test_fine_tuning_needs_examples(small: Path) -> None:
    small.write_text(SMALL.partition("examples")[0] + "fine_tune: {epochs: 1}\n", encoding="utf-8")
    assert "fine_tune needs examples to learn from: add the section `examples`" in refusal(small)


PUBLISHED = """\
name: small
examples: {kind: files, task: classification, train: reviews.csv}
fine_tune: {start_from: checkpoints/minilm}
"""


def test_a_published_checkpoint_and_a_file_are_a_recipe(small: Path) -> None:
    small.write_text(PUBLISHED, encoding="utf-8")
    recipe = load_recipe(str(small))
    assert (recipe.collect, recipe.pretrain, recipe.start_from) == (None, None, "checkpoints/minilm")
    assert recipe.registration.model == "small"
    assert Recipe.model_validate(recipe.model_dump(by_alias=True)) == recipe
    assert not {"collect", "clean", "validate", "tokenize", "pretrain"} & recipe.as_used().keys()
    of_documents = ["examples={kind: documents, task: classification, columns: {label: topic}}"]
    corpus = ["collect={sources: [{kind: files, path: corpus}]}"]
    both = load_recipe(str(small), [*of_documents, *corpus])
    assert both.collect
    assert both.pretrain is None
    assert (both.tokenize.pretrained, both.tokenize.family) == ("checkpoints/minilm", "own")
    assert both.validation.tokens.max_unknown_share == 1.0  # tokens that no model reads end no run
    strict = load_recipe(str(small), [*of_documents, *corpus, "validate.tokens.max_unknown_share=0.1"])
    assert strict.validation.tokens.max_unknown_share == 0.1
    with pytest.raises(RecipeError, match=r"mask_names writes the mask token of .* \(other\)"):
        load_recipe(
            str(small), [*of_documents, *corpus, "tokenize.pretrained=other", "examples.mask_names=true"]
        )
    assert Recipe.model_validate(both.model_dump(by_alias=True)) == both
    hub = load_recipe(str(small), [f"fine_tune.start_from=someone/tiny@{'0' * 40}"])
    assert hub.start_from == f"someone/tiny@{'0' * 40}"  # which is no password


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("pretrain={}", "nothing is pretrained: leave out pretrain, or set pretrain.start_from instead"),
        ("collect={sources: [{kind: files, path: x}]}", "collect makes a corpus that nothing reads"),
        ("examples={kind: documents, task: classification}", "come from a corpus: add the section `collect`"),
        ("tokenize.vocabulary=500", "without collect there is no corpus to tokenize: leave out tokenize"),
        ("clean.min_words=5", "clean.min_words: unknown key"),
        ("clean.languages=[en]", "without collect there is no corpus to clean: leave out clean"),
        ("evaluate.max_perplexity=9", "evaluate.max_perplexity is of a pretrained model"),
        (
            "fine_tune.start_from=''",
            "collect is missing: say where text comes from, or let fine_tune.start_from",
        ),
        ("examples=null", "fine_tune needs examples to learn from"),
    ],
)
def test_what_a_published_checkpoint_leaves_no_room_for(small: Path, override: str, said: str) -> None:
    small.write_text(PUBLISHED, encoding="utf-8")
    assert said in refusal(small, override)


SEARCHING = """\
name: small
examples: {kind: files, task: matching, train: pairs.csv}
fine_tune: {start_from: checkpoints/minilm}
index: {of: examples}
"""


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("index={}", "give one of both: `of` (corpus or examples), or `sources`"),
        (
            "index.sources=[{kind: files, path: x}]",
            "give one of both: `of` (corpus or examples), or `sources`",
        ),
        (
            "index={sources: [{kind: files, path: x}, {kind: files, path: y}]}",
            "two sources are named 'files'; give each its own `name`",
        ),
        (
            "index.of=corpus",
            "index.of is corpus, and without collect there is none: add the section `collect`",
        ),
        ("examples.task=classification", "searches, and this recipe has classification; leave it out"),
        ("index.of=everything", "index.of"),
        ("collect={sources: [{kind: files, path: x}]}", "collect makes a corpus that nothing reads"),
    ],
)
def test_what_can_not_be_searched_is_refused(small: Path, override: str, said: str) -> None:
    small.write_text(SEARCHING, encoding="utf-8")
    assert said in refusal(small, override)


def test_a_corpus_that_is_only_searched_is_collected(small: Path) -> None:
    small.write_text(SEARCHING.replace("examples}", "corpus}"), encoding="utf-8")
    searching = load_recipe(str(small), ["collect={sources: [{kind: files, path: x}]}"])
    assert searching.index is not None
    assert searching.tokenize.pretrained == "checkpoints/minilm"


def test_the_tokenizer_is_of_the_models_family(small: Path) -> None:
    small.write_text(SMALL.partition("examples")[0] + "pretrain: {family: gpt2}\n", encoding="utf-8")
    said = "tokenize.family is bert, pretrain.family gpt2 reads gpt; set tokenize.family to gpt"
    assert said in refusal(small)
    assert load_recipe(str(small), ["tokenize.family=gpt"]).pretrain


def test_a_recipe_without_a_section_ends_before_it(small: Path) -> None:
    assert load_recipe(str(small)).pretrain
    small.write_text(SMALL.partition("examples")[0], encoding="utf-8")
    assert load_recipe(str(small)).pretrain is None
    assert load_recipe(str(small), ["pretrain.steps=5"]).pretrain


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"recipe": "python-docs"}, None),
        ({"recipe": "my/recipe.yaml", "until": "collect", "start": None}, None),
        ({"recipe": "python-docs", "start": "bogus"}, "'start'"),
        ({"recipe": "python-docs", "refresh": ["cook"]}, "refresh"),
        ({"recipe": 5}, "'recipe'"),
    ],
)
def test_the_form_of_prefect_takes_a_recipe_by_its_name(
    parameters: dict[str, object], said: str | None
) -> None:
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.schema_tools import ValidationError, validate

    from flows.lifecycle import lifecycle

    schema = parameter_schema(lifecycle).model_dump()
    assert "register" not in schema["definitions"]["Recipe"]["required"]
    if said is None:
        validate(parameters, schema, raise_on_error=True)
    else:
        with pytest.raises(ValidationError, match=said):
            validate(parameters, schema, raise_on_error=True)


def test_a_stage_that_there_is_not_is_refused_before_the_walk() -> None:
    from flows.lifecycle import lifecycle

    with pytest.raises(RecipeError, match="there is no stage 'bogus'; the stages are collect"):
        lifecycle.fn(load_recipe("python-docs"), start="bogus")
