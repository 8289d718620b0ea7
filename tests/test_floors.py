"""A module imports only from lower floors or from its own package; no two packages of a floor know each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import netsim
from netsim.cli import app

ROOT = Path(netsim.__file__).parent
#: bottom to top; what stands on one floor does not import its neighbours
FLOORS = [
    ["units", "errors", "kernels"],
    ["specs"],
    ["topologies", "workloads"],
    ["routing", "network", "compute", "cost"],
    ["execution"],
    ["collectives", "faults"],
    ["training", "inference", "congestion"],
    ["analysis", "reliability", "measure", "calibration"],
    ["validation", "studies", "importers", "exporters"],
    ["reports"],
    ["api"],
    ["cli"],
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MODULES = sorted(
    path
    for path in ROOT.rglob("*.py")
    if path.relative_to(ROOT).parts[0] not in ("__init__.py", "__main__.py")
)


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
            assert own == "execution", f"{path}: only `execution` knows SimPy"
        if parts[0] != "netsim" or len(parts) < 2 or parts[1] not in FLOOR or parts[1] == own:
            continue
        assert FLOOR[parts[1]] < FLOOR[own], f"{path} imports {name}, which is no lower floor"


def test_every_module_has_a_floor_and_few_stand_beside_packages() -> None:
    assert {package_of(path) for path in MODULES} <= FLOOR.keys()
    loose = [path.name for path in ROOT.glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= 4, loose
    assert len(FLOORS) <= 12


def test_no_module_is_long() -> None:
    long = {str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 300}
    assert not long, long


def test_run_reads_no_other_verb_and_little_of_the_project() -> None:
    """The ceiling is what `netsim run` reads today, rounded up: it may only come down."""
    program = (
        "import sys; from netsim.cli.app import run_app; run_app(['run', '--gpus', '64', '--quiet', "
        "'--set', 'parallelism.pipeline=1', '--set', 'batch.microbatches=1', '--schedule', '1f1b']); "
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('netsim.') and m.__file__), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    read = [Path(line) for line in done.stdout.split()]
    verbs = {path.stem for path in read if path.parent.name == "cli"} & app.COMMANDS.keys()
    assert verbs == {"run", "examples"}
    left_out = {"calibration", "congestion", "inference", "measure", "reliability", "studies", "validation"}
    assert not left_out & {package_of(path) for path in read}
    assert sum(len(path.read_text().splitlines()) for path in read) < 25_500
