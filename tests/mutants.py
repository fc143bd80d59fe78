"""Small mistakes, put into the core modules one at a time: do the tests beside each module notice?

    make mutants [EACH=8] [MODULES="model_code/training/guard.py …"]

Cosmic Ray makes the mistakes (mutants): a comparison flipped, a constant one more or less, plus for minus.
Of each module a sample is taken, chosen by what the code says, so that it stays the same when lines move.
Every mutant meets the mirrored tests alone, in a copy of the tree. Outcomes are kept in `.mutants` while a
module and its tests stay as they are, so an interrupted run goes on; after a change elsewhere, delete it.

`equal_mutants.toml` lists those that change nothing anyone could notice, and why; they are not counted.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[1]
EQUAL = ROOT / "tests" / "equal_mutants.toml"
KEPT = ROOT / ".mutants" / "outcomes.json"
PYTHON = ROOT / ".venv" / "bin" / "python"
BAR = 0.9  # of the mutants that change behaviour, those that have to be killed
CORE = (
    "corpus/cleaning/filters/rule_sets.py",
    "corpus/cleaning/personal_data/check_digits.py",
    "corpus/examples/answers.py",
    "corpus/examples/bio_tags.py",
    "corpus/examples/hidden_names.py",
    "corpus/examples/labels.py",
    "corpus/examples/same_file.py",
    "corpus/examples/stratified.py",
    "corpus/tokenizing/document_splits.py",
    "corpus/tokenizing/fertility.py",
    "model_code/data/batches.py",
    "model_code/data/permutation.py",
    "model_code/data/shards.py",
    "model_code/served/rows.py",
    "model_code/distillation.py",
    "model_code/objectives/masked.py",
    "model_code/objectives/span_corruption.py",
    "model_code/training/guard.py",
    "model_code/training/optimizer.py",
    "model_code/training/schedule.py",
    "tasks/contract/artifact.py",
    "tasks/contract/code_fingerprint.py",
    "tasks/contract/stage.py",
    "tasks/contract/store.py",
    "tasks/evaluation/paired_bootstrap.py",
    "tasks/evaluation/gate.py",
)
# Of Cosmic Ray's operators those that resemble mistakes: it also knows `<` to `is not`, or plus to a shift.
OPERATORS = (
    "NumberReplacer",
    *(
        f"ReplaceBinaryOperator_{pair}"
        for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul")
    ),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Mod_Mul", "Pow_Mul", "BitAnd_BitOr", "BitOr_BitAnd")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_GtE", "LtE_Gt", "Gt_LtE", "GtE_Lt")),
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Delete_Not",
    "AddNot",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
    "ExceptionReplacer",
)
# Arguments that guard against what can't happen or are about speed: changed, they change nothing.
GUARDS = {"strict", "frozen", "slots", "fused", "cache", "nogil"}


@dataclass(frozen=True)
class Place:
    """Where an operator of Cosmic Ray can change a module; `line` is 1-based."""

    module: str
    operator: str
    occurrence: int  # of the operator in the module
    definition: str
    line: int
    rank: str  # a random number, the same for the same code


@dataclass(frozen=True)
class Mutant:
    """A module with one mistake in it."""

    place: Place
    was: str
    becomes: str
    source: str

    @property
    def name(self) -> tuple[str, ...]:
        """What it is known by in the list of equal ones, wherever the line has moved."""
        return self.place.module, self.place.definition, self.was, self.becomes


class Module:
    """A core module, and the tests that have to notice what is wrong with it."""

    def __init__(self, path: str) -> None:
        self.path = path
        folder, name = os.path.split(path)
        self.tests = f"tests/{folder}/test_{name}"
        self.source = (ROOT / path).read_text(encoding="utf-8")
        self._tests_source = (ROOT / self.tests).read_text(encoding="utf-8")
        self._meaning = _meaning(self.source)

    def sample(self, each: int) -> list[Mutant]:
        """As many mutants as that, or all, in the order of their lines."""
        chosen: list[Mutant] = []
        for place in sorted(self._places(), key=lambda place: place.rank):
            if len(chosen) < each and (mutant := self._mutant(place)):
                chosen.append(mutant)
        return sorted(chosen, key=lambda mutant: mutant.place.line)

    def digest(self, mutant: Mutant) -> str:
        """What an outcome depends on, as far as it is looked at."""
        parts = (self.path, mutant.source, self._tests_source)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _places(self) -> Iterator[Place]:
        nodes = list(ast_nodes(get_ast(self.source)))
        lines = self.source.splitlines()
        same: dict[tuple[str, ...], int] = {}
        for operator in OPERATORS:
            positions = get_operator(f"core/{operator}")().mutation_positions
            found = ((node, start) for node in nodes for start, _ in positions(node))
            for occurrence, (node, (line, _)) in enumerate(found):
                definition = ASTQuery(node).get_definition_name() or ""
                said = (self.path, operator, definition, lines[line - 1].strip())
                same[said] = number = same.get(said, 0) + 1
                rank = hashlib.sha256("\0".join((*said, str(number))).encode()).hexdigest()
                yield Place(self.path, operator, occurrence, definition, line, rank)

    def _mutant(self, place: Place) -> Mutant | None:
        """None where the change is none, or no Python."""
        source = mutate_code(self.source, get_operator(f"core/{place.operator}")(), place.occurrence)
        try:
            if source is None or _meaning(source) == self._meaning:
                return None
        except SyntaxError:
            return None
        before, after = self.source.splitlines(), source.splitlines()
        index = next(n for n, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
        was, becomes = (" ".join(lines[index].split()) for lines in (before, after))
        return Mutant(place, was, becomes, source)


def _meaning(source: str) -> str:
    """A module without what is for readers, type checkers and speed alone."""
    return ast.dump(_Essence().visit(ast.parse(source)))


class _Essence(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in GUARDS]
        return self.generic_visit(node)


class Trial:
    """A copy of the tree in which modules are spoilt, tested and put right again."""

    def __init__(self, directory: Path) -> None:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, directory / name)
        self.directory = directory
        self._tests = subprocess.Popen(
            [PYTHON, "-u", "tests/forked_tests.py"],
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(directory), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def close(self) -> None:
        """End the process that runs the tests."""
        self._tests.communicate()

    def seconds(self, module: Module) -> float:
        """How long the tests of a module take as it is."""
        for limit in (0, 600):  # learns which libraries they need; then has them
            passed, seconds = self._passes(module, limit)
            if not passed:
                log = (self.directory / "tests.log").read_text(encoding="utf-8")
                raise SystemExit(f"{module.tests} fails before anything is changed:\n{log}")
        return seconds

    def killed(self, module: Module, mutant: Mutant, seconds: float) -> bool:
        """Whether the tests fail, or take far longer than `seconds`, with this mutant in place."""
        path = self.directory / module.path
        stat = path.stat()
        try:
            path.write_text(mutant.source, encoding="utf-8")
            return not self._passes(module, int(20 + 4 * seconds))[0]
        finally:
            path.write_text(module.source, encoding="utf-8")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its bytecode is valid again

    def _passes(self, module: Module, limit: int) -> tuple[bool, float]:
        assert self._tests.stdin
        assert self._tests.stdout
        print(limit, module.tests, file=self._tests.stdin, flush=True)
        status, seconds = self._tests.stdout.readline().split()
        return status == "0", float(seconds)


def _outcomes(module: Module, mutants: list[Mutant], trial: Trial) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant and whether it was killed, now or at an earlier time."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}
    seconds = 0.0
    for mutant in mutants:
        digest = module.digest(mutant)
        if digest not in kept:
            seconds = seconds or trial.seconds(module)
            kept[digest] = trial.killed(module, mutant, seconds)
            KEPT.parent.mkdir(exist_ok=True)
            KEPT.write_text(json.dumps(kept, indent=0), encoding="utf-8")
        yield mutant, kept[digest]


def _equal(modules: list[Module]) -> set[tuple[str, ...]]:
    """The names of the mutants that change nothing. An entry whose line is gone ends the run."""
    listed = tomllib.loads(EQUAL.read_text(encoding="utf-8"))["mutant"]
    sources = {module.path: module.source for module in modules}
    for entry in listed:
        lines = (" ".join(line.split()) for line in sources.get(entry["module"], entry["was"]).splitlines())
        if entry["was"] not in lines:
            raise SystemExit(
                f"{EQUAL}: {entry['module']} no longer says {entry['was']!r}: take the entry out"
            )
    return {tuple(entry[key] for key in ("module", "definition", "was", "becomes")) for entry in listed}


def main() -> int:
    """Print what survives and a table; 1 if fewer are killed than have to be."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--each", type=int, default=8, help="mutants of a module, at most")
    parser.add_argument("modules", nargs="*", default=CORE)
    arguments = parser.parse_args()
    modules = [Module(path) for path in arguments.modules]
    equal = _equal(modules)
    rows: list[tuple[str, int, int, int]] = []
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        trial = Trial(Path(directory))
        stack.callback(trial.close)
        for module in modules:
            sample = module.sample(arguments.each)
            judged = [mutant for mutant in sample if mutant.name not in equal]
            killed = 0
            for mutant, noticed in _outcomes(module, judged, trial):
                killed += noticed
                if not noticed:
                    place = mutant.place
                    print(f"{module.path}:{place.line} in {place.definition or 'the module'}")
                    print(f"  - {mutant.was}\n  + {mutant.becomes}", flush=True)
            rows.append((module.path, len(judged), killed, len(sample) - len(judged)))
    width = max(len(row[0]) for row in rows)
    print(f"\n{'':{width}}  mutants  killed  survived  equal")
    total = ("all", *(sum(row[column] for row in rows) for column in (1, 2, 3)))
    for path, mutants, killed, same in (*rows, total):
        print(f"{path:{width}}  {mutants:7}  {killed:6}  {mutants - killed:8}  {same:5}")
    share = total[2] / max(1, total[1])
    print(f"{share:.0%} killed; {BAR:.0%} have to be")
    return 0 if share >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
