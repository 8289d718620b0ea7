"""Layers that carry a state in place of keys and values (Mamba, gated delta rule): counted, and not timed.

Weights, operations of the products and the state's update (two a value of the state, and two to read it) are counted;
no kernel of such a layer is modelled, so a training step or a server that needs one is refused by name.

Source: Dao and Gu 2024, arXiv 2405.21060 (Mamba-2); Yang et al. 2025, arXiv 2412.06464 (gated delta rule).
"""

from __future__ import annotations

from typing import NoReturn

from netsim.errors import NetsimError
from netsim.specs.attention import RecurrentSpec
from netsim.specs.workload import StorageSpec
from netsim.workloads.kernels import Load

SPEC = RecurrentSpec


def _refuse(a: RecurrentSpec) -> NoReturn:
    raise NetsimError(f"layers with {a.rule} are counted and not timed: no step of a model that has them")


def matrices(a: RecurrentSpec, hidden: int, tensor: int = 1) -> int:
    """Weights of the products, which tensor parallelism divides."""
    return a.products // tensor


def vectors(a: RecurrentSpec, hidden: int, tensor: int = 1) -> int:
    """Convolutions, decays, biases and norms."""
    return a.others


def heads(a: RecurrentSpec) -> NoReturn:
    """There are no pairs of tokens."""
    _refuse(a)


def flops(a: RecurrentSpec, tokens: int, length: int, causal: bool = True) -> float:
    """Update and reading of the state."""
    return 4.0 * a.state * tokens


def block(a: RecurrentSpec, hidden: int, load: Load, phase: str, moe: bool) -> NoReturn:
    """Not modelled.

    Raises NetsimError.
    """
    _refuse(a)


def input_width(a: RecurrentSpec, hidden: int) -> int:
    """The layer's input."""
    return hidden


def kept(a: RecurrentSpec, storage: StorageSpec) -> NoReturn:
    """Not known without its kernels.

    Raises NetsimError.
    """
    _refuse(a)


def cache_values(a: RecurrentSpec, tensor: int = 1) -> int:
    """Nothing for a token: the state is of the request."""
    return 0


def core_values(a: RecurrentSpec, tensor: int = 1) -> int:
    """The state."""
    return a.state // tensor


def kept_tokens(a: RecurrentSpec, context: float) -> float:
    """None."""
    return 0.0


def met_tokens(a: RecurrentSpec, context: float) -> float:
    """The one state stands for all of them."""
    return 1.0


def core_widths(a: RecurrentSpec) -> tuple[int, int]:
    """Of a head's part of the state, updated and read."""
    return a.state // a.heads, a.state // a.heads


def decode_projections(a: RecurrentSpec, hidden: int, t: int, tensor: int) -> NoReturn:
    """Not modelled.

    Raises NetsimError.
    """
    _refuse(a)
