"""A module imports only from lower floors or from its own package."""

import ast
from pathlib import Path

import pytest

import netsim

ROOT = Path(netsim.__file__).parent
FLOORS = [
    ["units", "errors", "catalog", "specs"],
    ["topologies", "workloads"],
    ["maxmin", "routing", "placement", "collectives", "compute"],
    [
        "network",
        "congestion",
        "faults",
        "traffic",
        "program",
        "ranks",
        "executor",
        "exposure",
        "result",
        "tables",
        "timing",
        "simulate",
        "tenants",
        "bench",
        "inference",
    ],
    ["reports", "validation", "reliability", "studies", "measure", "calibration"],
    ["api"],
    ["cli"],
    ["__main__"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
APART = {"topologies", "workloads"}  # same floor, and strangers to each other
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported(tree: ast.AST) -> set[str]:
    """Names below `netsim` (and top-level packages) that a module imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_come_from_lower_floors(path: Path) -> None:
    own = package_of(path)
    for name in imported(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] == "simpy":
            assert FLOOR[own] == 3, f"{path}: only floor 3 knows SimPy"
        if parts[0] != "netsim" or len(parts) < 2 or parts[1] not in FLOOR or parts[1] == own:
            continue
        assert FLOOR[parts[1]] <= FLOOR[own], f"{path} imports {name} from a higher floor"
        assert FLOOR[parts[1]] < FLOOR[own] or FLOOR[own] not in (0, 1) or not {own, parts[1]} <= APART


def test_every_module_has_a_floor() -> None:
    assert {package_of(path) for path in MODULES} <= FLOOR.keys()
