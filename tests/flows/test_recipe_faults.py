"""What is wrong in a recipe is said with key, value and what is allowed, one line for each fault."""

import re
from pathlib import Path

import pytest

from tests.flows.small_recipe import refusal


@pytest.mark.parametrize(
    ("override", "key", "said"),
    [
        ("pretrain.step=5", "pretrain.step", "unknown key; did you mean 'steps'?"),
        ("pretrian={}", "pretrian", "unknown key; did you mean 'pretrain'?"),
        ("collect.sources.0.pth=x", "collect.sources.0.pth", "unknown key; did you mean 'path'?"),
        ("export.zzz=1", "export.zzz", "unknown key; allowed here: compare, most_lost, tolerance, variant"),
        ("pretrain.steps=many", "pretrain.steps", "found 'many'; Input should be a valid integer"),
        ("pretrain.steps=0", "pretrain.steps", "found 0; Input should be greater than or equal to 1"),
        ("evaluate.max_perplexity=.nan", "evaluate.max_perplexity", "found nan;"),
        ("pretrain.precision=half", "pretrain.precision", "found 'half'; Input should be 'auto', 'float32'"),
        (
            "pretrain.width=102",
            "pretrain",
            "pretrain: width 102 does not divide into 2 heads of an even width",
        ),
        (
            "fine_tune.max_length=1024",
            "recipe",
            "fine_tune.max_length 1024 (rows of up to 1024 tokens) is more than pretrain.max_positions",
        ),
        ("examples.aliases.files=5", "examples.aliases.files", "found 5;"),
        ("examples.aliases.x=['']", "examples.aliases.x.0", "found ''; String should match"),
        ("examples.task=poetry", "examples.task", "no such task type; choose one of classification"),
        ("examples.min_docs=9", "examples.min_docs", "unknown key; did you mean 'min_documents'?"),
        ("examples={task: classification}", "examples.kind", "is missing; give one of files, documents"),
        ("examples.kind=web", "examples.kind", "found 'web'; give one of files, documents"),
        ("collect.sources.0.kind=ftp", "collect.sources.0.kind", "found 'ftp'; give one of"),
        ("collect.sources.0={path: texts}", "collect.sources.0.kind", "is missing; give one of"),
        ("collect.sources.0={kind: web}", "collect.sources.0", "give `start` or `sitemaps`"),
        (
            "collect.evaluation_sets=[{kind: web, strt: []}]",
            "collect.evaluation_sets.0.strt",
            "mean 'start'?",
        ),
        ("collect.sources=[]", "collect.sources", "found []; List should have at least 1 item"),
        ("name=Small", "name", "found 'Small'; String should match pattern"),
        ("name=5", "name", "found 5; Input should be a valid string; put quotes around"),
        ("pretrain.steps=true", "pretrain.steps", "found true; Input should be a valid integer"),
        (
            "pretrain.steps=10_000",
            "pretrain.steps",
            "found '10_000'; Input should be a valid integer; write 10000",
        ),
        ("pretrain.steps=1e3", "pretrain.steps", "found 1000.0; Input should be a valid integer; write 1000"),
        ("pretrain.steps=1e99", "pretrain.steps", "found 1e+99; Input should be"),
        ("pretrain.steps=9999999999", "pretrain.steps", "less than or equal to 1000000000"),
        (
            "pretrain.whole_words=yes",
            "pretrain.whole_words",
            "found 'yes'; Input should be a valid boolean; write",
        ),
        (
            "evaluate.at_least={f1: .inf}",
            "evaluate.at_least.f1",
            "found inf; Input should be a finite number",
        ),
        (
            "evaluate.over_baseline=true",
            "evaluate.over_baseline",
            "found true; Input should be a valid number",
        ),
        (
            "clean.languages=en",
            "clean.languages",
            "found 'en'; Input should be a list or 'any', such as [en]",
        ),
        ("clean.languages=[no]", "clean.languages.0", "found 'no'; Input should be 'ar', 'de', 'en'"),
        (
            "clean.filters=all",
            "clean.filters",
            "found 'all'; give none, or a section with sets and thresholds",
        ),
        (
            "examples={kind: files, task: classification, train: a, test: {path: b}}",
            "examples",
            "test is named otherwise than train; name one file for both (where it has other columns with",
        ),
        ("clean.mix.caps={files: 1.5}", "clean.mix.caps.files", "found 1.5; Input should be a valid integer"),
        (
            "examples.columns={label: 1}",
            "examples.columns.label",
            "found 1; Input should be a valid string or a valid list; put",
        ),
        ("export=", "export", "found null; Input should be a valid dictionary"),
    ],
)
def test_what_is_wrong_is_named(small: Path, override: str, key: str, said: str) -> None:
    said_in_full = refusal(small, override)
    assert said_in_full.startswith(f": the recipe is not valid, nothing was started:\n  {key}: ")
    assert said in said_in_full
    assert said_in_full.count("\n") == 1  # one fault, one line


def test_all_faults_are_listed(small: Path) -> None:
    faults = refusal(small, "pretrain.steps=0", "tokenize.vocabulary=1", "clean.min_charcters=1")
    assert re.findall(r"^  (\S+):", faults, re.M) == [
        "clean.min_charcters",
        "tokenize.vocabulary",
        "pretrain.steps",
    ]
