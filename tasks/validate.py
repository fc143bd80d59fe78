"""The three checkpoints of the corpus: each lets the run go on, or stops it before more is built on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from corpus.cleaning.config import DecontaminateConfig
from corpus.cleaning.filter_keys import DROPPED_BY, most_dropped
from corpus.documents import read_documents
from corpus.kept.ledger import NOT_BAD
from expectations import clean_corpus, raw_corpus
from expectations import tokens as token_shards
from expectations.clean_corpus import CleanDemands
from expectations.drift import Profile, drift
from expectations.judgement import Demands, FailingDocument, Rule, Verdict, judge_figures
from expectations.raw_corpus import RawDemands
from expectations.statistics import FAILING_DOCUMENTS
from expectations.tokens import ShardFigures, TokenDemands
from model_code.config.strict import Config
from tasks.contract import console
from tasks.contract.artifact import Artifact
from tasks.contract.console import format_cell
from tasks.contract.errors import SourceError, StageError
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace

SHOWN_IN_ERROR = 3
PROFILE = "profile.json"
DATA_DOCS = "data_docs/index.html"

Blamed = Mapping[str, list[FailingDocument]]


class ValidateConfig(Config):
    """What the corpus has to be like after collecting, after cleaning and after tokenizing."""

    raw: RawDemands = RawDemands()
    clean: CleanDemands = CleanDemands()
    tokens: TokenDemands = TokenDemands()


@stage(runs=["expectations."])  # the style sheet of the Data Docs counts too
def validate_raw(collected: Artifact, config: RawDemands, workspace: Workspace) -> None:
    """Check what was collected: whole, traceable, allowed.

    Writes `validation.json` (every rule with what was observed and the ids of documents to blame) and
    `data_docs/index.html`. No text of a document is in either.

    Raises:
        StageError: a rule is broken that is not in `warn_only`; both files are then in the scratch
            directory that the message names.
        SourceError: the shards are missing or damaged.
    """
    rules = config.rules()
    with (
        _readable(workspace, collected),
        raw_corpus.open_raw_corpus(
            workspace.path(collected), workspace.scratch / "spill", sorted(NOT_BAD)
        ) as statistics,
    ):
        figures = statistics.measure(rules)
        blamed = statistics.blame(rules, figures)
        sources = statistics.rows(
            "SELECT source, encoding, coalesce(license, ''), count(*) FROM documents "
            "GROUP BY ALL ORDER BY ALL"
        )
    workspace.table("Composition", ["Source", "Encoding", "Licence", "Documents"], sources)
    _conclude("raw_corpus", rules, figures, blamed, config, workspace)


@stage(runs=["expectations."])
def validate_clean(
    cleaned: Artifact, previous: Artifact | None, config: CleanDemands, workspace: Workspace
) -> None:
    """Check the cleaned corpus, also against the one of the last run.

    Writes what `validate_raw` does, and `profile.json`, with which the next corpus is compared.

    Args:
        cleaned: the corpus.
        previous: this stage's verdict on the last corpus that differs; None: there are no rules of drift.
        config: the demands.
        workspace: where the verdict is written.

    Raises:
        StageError, SourceError: as in `validate_raw`.
    """
    advice = what_dropped_most(workspace.manifest(cleaned).counts)
    rules = [
        replace(rule, advice=advice) if advice and rule.name == "kept_share" else rule
        for rule in config.rules()
        if previous or rule.name not in clean_corpus.DRIFT
    ]
    with (
        _readable(workspace, cleaned),
        clean_corpus.open_clean_corpus(workspace.path(cleaned), workspace.scratch / "spill") as statistics,
    ):
        profile = clean_corpus.profile_of(statistics)
        figures = statistics.measure(rules)
        if previous:
            before = (workspace.path(previous) / PROFILE).read_bytes()
            figures |= drift(Profile.model_validate_json(before), profile)
        blamed = statistics.blame(rules, figures)
        left = clean_corpus.residual_personal_data(statistics)
        composition = statistics.rows(
            "SELECT source, language, count(*), sum(characters)::BIGINT FROM documents "
            "GROUP BY source, language ORDER BY count(*) DESC, source, language"
        )
    (workspace.directory / PROFILE).write_text(profile.model_dump_json(indent=2) + "\n", encoding="utf-8")
    workspace.table("Personal data left", ["Kind", "Documents"], list(left.items()))
    workspace.table("Composition", ["Source", "Language", "Documents", "Characters"], composition)
    if previous is None:
        workspace.say("no earlier corpus of this recipe to compare with")
    _conclude("clean_corpus", rules, figures, blamed, config, workspace)


def what_dropped_most(counts: Mapping[str, int]) -> str:
    """Which filter dropped most and which key sets it, by the counts of the clean stage."""
    dropped = {
        key.removeprefix(DROPPED_BY): count for key, count in counts.items() if key.startswith(DROPPED_BY)
    }
    if not any(dropped.values()):
        return ""
    reason, count, place = most_dropped(dropped)
    return (
        f"{count:,} of {counts['collected']:,} documents were dropped by {reason}: read some of them with "
        f"`textmill corpus show RECIPE --dropped {reason}` and relax {place}, or lower "
        "validate.clean.min_kept_share"
    )


@stage(runs=["expectations."])
def validate_tokens(
    collected: Artifact, cleaned: Artifact, tokens: Artifact, config: TokenDemands, workspace: Workspace
) -> None:
    """Check the token shards, and once more that no evaluation text is among what they were made from.

    Writes what `validate_raw` does.

    Raises:
        StageError, SourceError: as in `validate_raw`.
    """
    rules = config.rules()
    with (
        _readable(workspace, tokens),
        token_shards.open_tokens(
            workspace.path(cleaned), workspace.path(tokens), workspace.scratch / "spill"
        ) as statistics,
    ):
        shards = _count_shards(workspace.path(tokens))
        figures = statistics.measure(rules) | token_shards.shard_figures(shards, statistics)
        blamed = statistics.blame(rules, figures)
    overlapping = _evaluation_overlap(collected, cleaned, workspace)
    if overlapping is None:
        rules = [rule for rule in rules if rule.name != "evaluation_overlap"]
    else:
        figures["evaluation_overlap"] = len(overlapping)
        blamed["evaluation_overlap"] = overlapping[:FAILING_DOCUMENTS]
    workspace.counts["tokens"] = shards.tokens
    _conclude("tokens", rules, figures, blamed, config, workspace)


def _count_shards(tokens: Path) -> ShardFigures:
    tokenizer = token_shards.read_tokenizer_ids(tokens / "tokenizer" / "tokenizer.json")
    counted = ShardFigures()
    for name in token_shards.SPLITS:
        ids, offsets = token_shards.open_shard(tokens / "tokens", name)
        counted += token_shards.count_shard(ids, offsets, tokenizer)
    return counted


def _evaluation_overlap(
    collected: Artifact, cleaned: Artifact, workspace: Workspace
) -> list[FailingDocument] | None:
    """The kept documents that share an n-gram with an evaluation text; None without evaluation texts."""
    evaluation = list(read_documents(workspace.path(collected) / "evaluation"))
    if not sum(batch.num_rows for batch in evaluation):
        return None
    from corpus.cleaning.duplicates.decontamination import Index

    made_by, counts = workspace.manifest(cleaned).config, workspace.manifest(cleaned).counts
    config = DecontaminateConfig.model_validate(made_by.get("decontaminate", {}))
    texts = pa.concat_arrays([batch["text"] for batch in evaluation])
    uris = [uri for batch in evaluation for uri in batch["uri"].to_pylist()]
    index = Index.build(texts, uris, config)
    found: list[FailingDocument] = []
    done = 0
    with workspace.progress("looking for evaluation texts", counts["kept"]) as advance:
        for batch in read_documents(workspace.path(cleaned) / "documents"):
            matched, _ = index.matches(batch["text"])
            hits = batch.filter(pa.array(matched >= 0))
            found += map(FailingDocument, hits["id"].to_pylist(), hits["uri"].to_pylist())
            done += batch.num_rows
            advance(done)
    return found


@contextmanager
def _readable(workspace: Workspace, artifact: Artifact) -> Iterator[None]:
    """Turn what is wrong with the files of an artifact into an error that names them."""
    import duckdb

    try:
        yield
    except (duckdb.Error, FileNotFoundError) as error:
        first = str(error).splitlines()[0]
        raise SourceError(
            f"{workspace.stage}: {workspace.path(artifact)}: its files can't be read ({first}); "
            f"{artifact.stage} again (`--refresh {artifact.stage}`)"
        ) from error


def _conclude(
    checkpoint: str,
    rules: Sequence[Rule],
    figures: Mapping[str, float],
    blamed: Blamed,
    config: Demands,
    workspace: Workspace,
) -> None:
    """Judge the figures, write and show the verdict; the way all checkpoints end.

    Raises:
        StageError: a rule is broken that does not only warn.
    """
    verdicts, page = judge_figures(checkpoint, rules, figures, config.warn_only)
    if any(verdict.stops for verdict in verdicts):
        _write(workspace.scratch, verdicts, blamed, page)
        _link(workspace, workspace.scratch)
        raise StageError(_refusal(workspace, checkpoint, verdicts, blamed))
    _write(workspace.directory, verdicts, blamed, page)
    workspace.volatile.add("data_docs/")  # the page carries the time of the run
    _link(workspace, workspace.store.place(workspace.stage, workspace.key))

    broken = [verdict for verdict in verdicts if not verdict.passed]
    if "documents" in figures:
        workspace.counts["documents"] = int(figures["documents"])
    workspace.counts |= {"rules": len(verdicts), "warnings": len(broken)}
    workspace.metrics |= {v.rule.name: v.observed for v in verdicts if v.rule.name != "documents"}
    workspace.table(
        "Rules",
        ["Rule", "Observed", "Demanded", ""],
        [(v.rule.description, v.observed, v.rule.expected, _word(v)) for v in verdicts],
    )
    workspace.say(f"{len(verdicts) - len(broken)} of {len(verdicts)} rules hold")
    for verdict in broken:
        workspace.say(f"[yellow]warning: {_finding(verdict)}")


def _write(directory: Path, verdicts: Sequence[Verdict], blamed: Blamed, page: str) -> None:
    report = [
        {
            "rule": verdict.rule.name,
            "description": verdict.rule.description,
            "observed": verdict.observed,
            "expected": verdict.rule.expected,
            "passed": verdict.passed,
            "warn_only": verdict.warn_only,
            "failing": [
                {"id": document.id, "uri": document.uri} for document in blamed.get(verdict.rule.name, [])
            ],
        }
        for verdict in verdicts
    ]
    (directory / DATA_DOCS).parent.mkdir(exist_ok=True)
    (directory / DATA_DOCS).write_text(page, encoding="utf-8")
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (directory / "validation.json").write_text(text + "\n", encoding="utf-8")


def _link(workspace: Workspace, directory: Path) -> None:
    """Link the Data Docs, a file on this machine, from the Prefect UI."""
    page = directory / DATA_DOCS
    console.show_link(f"{workspace.stage}-data-docs", page.as_uri(), f"Data Docs of {workspace.stage}")
    workspace.shown.append(f"Data Docs: [`{page}`]({page.as_uri()})")


def _refusal(workspace: Workspace, checkpoint: str, verdicts: Sequence[Verdict], blamed: Blamed) -> str:
    stopping = [verdict for verdict in verdicts if verdict.stops]
    subject = checkpoint.replace("_", " ")
    lines = [f"{workspace.stage}: the {subject} breaks {len(stopping)} of {len(verdicts)} rules"]
    for verdict in stopping:
        lines += [f"  {_finding(verdict)}", f"    way out: {verdict.rule.advice}"]
        lines += [f"    {d.id}  {d.uri}" for d in blamed.get(verdict.rule.name, [])[:SHOWN_IN_ERROR]]
    section = workspace.stage.replace("_", ".", 1)
    lines.append(
        f"  or put a rule's name into {section}.warn_only; all rules: {workspace.scratch / DATA_DOCS}"
    )
    return "\n".join(lines)


def _finding(verdict: Verdict) -> str:
    rule = verdict.rule
    return f"{rule.name}: {rule.description} is {format_cell(verdict.observed)}, demanded is {rule.expected}"


def _word(verdict: Verdict) -> str:
    return "holds" if verdict.passed else "warning"
