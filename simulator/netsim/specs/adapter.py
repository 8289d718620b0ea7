"""The spec of low-rank adapters: small matrices that are trained beside weights that stay as they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from netsim.specs.base import Strict

Adapted = Literal["attention", "ffn"]


class AdapterSpec(Strict):
    """Low-rank adapters (LoRA): each adapted matrix gets a product of two thin ones, and nothing else is trained.

    Source: Hu et al. 2021, arXiv 2106.09685.
    """

    rank: Annotated[int, Field(ge=1, le=4096)]
    """Width between the two thin matrices."""
    targets: tuple[Adapted, ...] = ("attention",)
    """Whose matrices are adapted: attention, ffn (of dense layers)."""

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of an adapter's inputs that is dropped; 0: no kernel runs for it."""
    transposed: Literal["kept", "made"] = "kept"
    """Transposed copies of frozen FP8 weights, for input gradients on Hopper: kept, or made in every backward."""

    @field_validator("targets", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value
