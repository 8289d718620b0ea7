"""Do the tests notice a wrong line of physics? Change one at a time, run the tests that know its package, count.

    python tests/mutants.py --sample 60 --seed 0
    python tests/mutants.py --package routing --package cost --sample 20

A mutant changes one operator, comparison, constant, minimum or maximum, or takes a `not` away. It lives in a copy of
the package, so that the working tree stays as it is. A mutant survives when all tests pass; the exit status is 1 when
more than 10 % do. Left out: kernels compiled by numba (each mutant would compile again), docstrings and complaints.
Some survivors are equal to the original (a bound that is never met): read them before you write a test.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "simulator" / "netsim"
#: what computes numbers; the rest parses, words and draws
PACKAGES = (
    "topologies",
    "routing",
    "network",
    "workloads",
    "compute",
    "collectives",
    "faults",
    "cost",
    "inference",
)
MOST_SURVIVORS = 0.10
_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
_NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "cumsum": "asarray"}


class Mutant(NamedTuple):
    """One change: the module, the line, what stands there now, and the whole text with it."""

    path: Path
    line: int
    change: str
    text: str


def mutants(path: Path, text: str) -> Iterator[Mutant]:
    """Every single change of a module, in the order of its lines; `text` is left as it is but for the changed lines.

    >>> [m.change for m in mutants(Path("a.py"), "def f(a, b):\\n    return a * b + 1\\n")]
    ['a * b + 1 -> a * b - 1', 'a * b -> a / b', '1 -> 2']
    """
    lines = text.splitlines(keepends=True)
    for node in _physics(ast.parse(text)):
        for other in _others(node):
            before, after = ast.unparse(node), ast.unparse(other)
            first, last = node.lineno - 1, node.end_lineno - 1
            head = lines[first].encode()[: node.col_offset].decode()
            tail = lines[last].encode()[node.end_col_offset :].decode()
            whole = [*lines[:first], f"{head}({after}){tail}", *lines[last + 1 :]]
            yield Mutant(path, node.lineno, f"{before} -> {after}", "".join(whole))


def _physics(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions inside functions, but for complaints, assertions, annotations and compiled kernels."""

    def walk(node: ast.AST, inside: bool) -> Iterator[ast.expr]:
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
            return
        if isinstance(node, ast.FunctionDef):
            if any("njit" in ast.unparse(each) for each in node.decorator_list):
                return
            for child in node.body:
                yield from walk(child, True)
            return
        if inside and isinstance(node, ast.expr):
            yield node
        for name, field in ast.iter_fields(node):
            for child in field if isinstance(field, list) else [field]:
                if isinstance(child, ast.AST) and name not in ("annotation", "returns", "slice"):
                    yield from walk(child, inside)

    return walk(tree, False)


def _others(node: ast.expr) -> Iterator[ast.expr]:
    """The node with one thing changed."""
    if (
        isinstance(node, ast.BinOp)
        and type(node.op) in _SWAPS
        and not isinstance(node.left, ast.List | ast.Tuple)
    ):
        yield ast.BinOp(node.left, _SWAPS[type(node.op)](), node.right)  # type: ignore[arg-type]
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _SWAPS:
        yield ast.Compare(node.left, [_SWAPS[type(node.ops[0])]()], node.comparators)  # type: ignore[list-item]
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(_SWAPS[type(node.op)](), node.values)  # type: ignore[arg-type]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1)  # type: ignore[operator]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        yield ast.Call(ast.Name(_NAMES[node.func.id]), node.args, node.keywords)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _NAMES:
        yield ast.Call(ast.Attribute(node.func.value, _NAMES[node.func.attr]), node.args, node.keywords)


def tests_of(path: Path) -> list[str]:
    """The test files that know a module: those of its package, those that import it, and the closed forms."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    name = "netsim." + ".".join(parts)
    files = sorted((ROOT / "tests").glob("test_*.py"))
    near = [
        f
        for f in files
        if f.name.startswith(f"test_{parts[0]}_") or f.name == "test_mutation_closed_forms.py"
    ]
    return [str(f) for f in [*near, *(f for f in files if f not in near and name in f.read_text("utf-8"))]]


def survives(mutant: Mutant, copy: Path, limit_s: float) -> bool:
    """Whether every test passes with the change; a hang is noticed too."""
    place = copy / "netsim" / mutant.path.relative_to(SOURCE)
    place.write_text(mutant.text, "utf-8")
    names = [each.split("=")[0] for each in ("PYTHONPATH=",)]
    rest = {key: value for key, value in os.environ.items() if key not in names}
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n0",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
    ]
    try:
        done = subprocess.run(
            [*command, *tests_of(mutant.path)], cwd=ROOT, env={**rest, "PYTHONPATH": str(copy)},
            capture_output=True, timeout=limit_s, check=False,
        )  # fmt: skip
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        shutil.copyfile(mutant.path, place)


def drawn(packages: list[str], sample: int, seed: int) -> list[Mutant]:
    """A sample of all mutants of the packages, the same for a seed."""
    paths = [path for package in packages for path in sorted((SOURCE / package).rglob("*.py"))]
    every = [mutant for path in paths for mutant in mutants(path, path.read_text("utf-8"))]
    return random.Random(seed).sample(every, min(sample, len(every)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--package", action="append", choices=PACKAGES, help="Only these. Repeatable.")
    parser.add_argument("--sample", type=int, default=60, help="How many mutants are drawn.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-s", type=float, default=900.0, help="A mutant that takes longer is noticed.")
    asked = parser.parse_args()
    chosen = drawn(asked.package or list(PACKAGES), asked.sample, asked.seed)
    left: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(SOURCE, copy / "netsim", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("topologies", "workloads", "reports/published", "reports/studies"):
            kept = copy / "netsim" / "data" / name
            shutil.copytree(ROOT / name, kept, dirs_exist_ok=True)
        for number, mutant in enumerate(chosen, start=1):
            alive = survives(mutant, copy, asked.limit_s)
            left += [mutant] * alive
            where = f"{mutant.path.relative_to(SOURCE)}:{mutant.line}"
            print(
                f"{number}/{len(chosen)} {'SURVIVES' if alive else 'noticed'} {where} {mutant.change}",
                flush=True,
            )
    print(f"{len(left)} of {len(chosen)} survive ({len(left) / max(1, len(chosen)):.0%})")
    return int(len(left) > MOST_SURVIVORS * len(chosen))


if __name__ == "__main__":
    sys.exit(main())
