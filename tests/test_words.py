"""A name with a unit suffix is annotated as a number or an array."""

import ast
from pathlib import Path

import netsim

ROOT = Path(netsim.__file__).parent
TREES = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
UNITS = ("_s", "_bytes", "_hz", "_usd", "_bytes_per_s", "_kw", "_gb")
#: what a quantity may be: never a text, a flag or a table
WRONG = ("str", "bool", "dict", "list[str]", "tuple[str, ...]")


def test_a_name_with_a_unit_holds_a_quantity() -> None:
    wrong = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            name = (
                node.target.id
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
                else ""
            )
            if isinstance(node, ast.arg):
                name = node.arg
            note = getattr(node, "annotation", None)
            if name.endswith(UNITS) and note is not None and ast.unparse(note).split(" | ")[0] in WRONG:
                wrong.append(f"{path.relative_to(ROOT)}: {name}: {ast.unparse(note)}")
    assert not wrong, wrong
