"""Rules from names in a trace to what netsim knows: regular expressions in a TOML that a user can extend.

* `blocks`: an annotation to a block of a layer and its phase (F, B, W, or communication).
* `kernels`: a kernel's name (and the framework operator that launched it) to a kernel class; the first that
  matches wins, and a user's rules come before the shipped ones. `recover` says how dimensions follow from
  the launch geometry, where a library encodes them there.
* `order`: for a block and phase, which operators the kernels of a rule are, one after the other; a single
  "name*3" stands for three launches.
* `flavours`: for a kernel class, which kernels of a kernel table stand for it; `structures`: the tiles that the
  library behind such a kernel chooses from.

Source of the shipped rules: launch geometry of the public H800 trace, deepseek-ai/profile-data at 4496024.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from netsim.calibration.kineto import Kernel
from netsim.errors import NetsimError
from netsim.specs.base import Preset, Strict, read_toml, validate
from netsim.specs.profile import Counts, Kind, Pick, Tiles

SHIPPED = Path(__file__).parent / "rules.toml"
#: rules for traces without the annotations of a chunk
TORCH = Path(__file__).parent / "rules_torch.toml"

#: phases of a step: forward, backward of inputs, backward of weights, optimizer
StepPhase = Literal["F", "B", "W", "opt"]
RulePhase = Literal["F", "B", "W", "communication"]
#: what a kernel may be besides an operator: of a transfer, a wait for it, or of the profiled program alone
Other = Literal["transfer", "wait", "prework", "artifact"]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]

_OPERATIONS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


class BlockRule(Strict):
    """An annotation: `backward` tells the direction of a communication block."""

    pattern: str
    block: str
    phase: RulePhase
    backward: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return _checked(pattern)


class PhaseRule(Strict):
    """An annotation around launches to the phase of a step that they belong to."""

    pattern: str
    phase: StepPhase

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return _checked(pattern)


class KernelRule(Strict):
    """A kernel: exactly one of `kind`, `other` and `helper`. `op` is matched against the launching operator.

    `helper` kernels count with the longest kernel of their operator; `phase` is that of a kernel which only runs there.
    """

    name: str
    pattern: str
    op: str = ""
    kind: Kind | None = None
    other: Other | None = None
    helper: bool = False
    phase: StepPhase | None = None
    recover: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("pattern", "op")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return _checked(pattern)

    @model_validator(mode="after")
    def _one_meaning(self) -> KernelRule:
        if (self.kind is not None) + (self.other is not None) + self.helper != 1:
            raise ValueError(
                f"kernel rule {self.name}: must have exactly one of kind, other and helper = true"
            )
        return self

    def matches(self, kernel: Kernel) -> bool:
        """Whether this rule is about a kernel."""
        return bool(re.search(self.pattern, kernel.name)) and bool(re.search(self.op, kernel.operator))

    def dimensions(self, kernel: Kernel) -> dict[str, int]:
        """What its launch geometry says of its shape."""
        x, y, z = kernel.grid
        names = {"grid_x": x, "grid_y": y, "grid_z": z, "shared": kernel.shared_bytes}
        return {axis: evaluate(text, names) for axis, text in self.recover.items()}


class Structure(Strict):
    """What a library chooses from; `specs.profile.ClassModel` explains it."""

    tiles: Tiles
    pick: Pick = "fewest_waves"
    splits: Counts = (1,)


class Rules(Preset):
    """A rules file. `fit` names the operators whose times the class models may be fitted to."""

    blocks: Annotated[
        tuple[BlockRule, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
    ] = ()
    kernels: Annotated[
        tuple[KernelRule, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
    ] = ()
    phases: Annotated[
        tuple[PhaseRule, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)
    ] = ()
    modules: Names = ()
    order: Mapping[str, Mapping[str, Names]] = Field(default_factory=dict)
    flavours: Mapping[str, Names] = Field(default_factory=dict)
    structures: Mapping[str, Structure] = Field(default_factory=dict)
    fit: Names = ()


def _checked(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return pattern


def load_rules(path: Path | None = None, general: bool = False) -> Rules:
    """The shipped rules, after those of a user's file where one is given.

    general : for traces of any job, not of annotated chunks
    """
    shipped = validate(Rules, read_toml(SHIPPED), SHIPPED.name)
    if general:
        torch = validate(Rules, read_toml(TORCH), TORCH.name)
        shipped = torch.model_copy(update={"flavours": shipped.flavours, "structures": shipped.structures})
    if path is None:
        return shipped
    if not path.is_file():
        raise NetsimError(f"{path}: no such rules file")
    return _before(validate(Rules, read_toml(path), str(path)), shipped)


def _before(own: Rules, shipped: Rules) -> Rules:
    """Rules of which the own are tried first."""
    return shipped.model_copy(
        update={
            "name": own.name,
            "blocks": own.blocks + shipped.blocks,
            "kernels": own.kernels + shipped.kernels,
            "phases": own.phases + shipped.phases,
            "modules": own.modules + shipped.modules,
            "order": {**shipped.order, **own.order},
            "flavours": {**shipped.flavours, **own.flavours},
            "structures": {**shipped.structures, **own.structures},
            "fit": own.fit or shipped.fit,
        }
    )


@lru_cache(maxsize=256)
def _expression(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise NetsimError(f"rules: {text!r} is not an expression") from None


def evaluate(text: str, names: Mapping[str, int]) -> int:
    """Whole-number arithmetic over launch geometry.

    >>> evaluate("16 * (shared - 217604)", {"shared": 218052})
    7168
    """
    return _value(_expression(text), names, text)


def _value(node: ast.expr, names: Mapping[str, int], text: str) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, names, text), _value(node.right, names, text))
    raise NetsimError(f"rules: {text!r}: only whole numbers, + - * //, and {', '.join(sorted(names))}")
