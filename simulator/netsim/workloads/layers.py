"""What the kind of a layer says: its FFN and its attention.

dense, moe                       `model.attention` before a dense FFN, before experts
dense_alternate, moe_alternate   `model.alternate` in its place
embedding, head, mtp_in          no layer of the body
embedding_copy                   what a multi-token-prediction module reads where its rank has no embedding
"""

from __future__ import annotations

from netsim.errors import SpecError
from netsim.specs.workload import AttentionSpec, ModelSpec

#: kinds of layers of the body
BODY = ("dense", "moe", "dense_alternate", "moe_alternate")
_ALTERNATE = "_alternate"


def is_body(kind: str) -> bool:
    """Whether a layer of this kind has attention and an FFN.

    >>> is_body("moe_alternate"), is_body("head")
    (True, False)
    """
    return kind in BODY


def has_experts(kind: str) -> bool:
    """Whether a layer of this kind routes tokens to experts.

    >>> has_experts("moe_alternate"), has_experts("dense"), has_experts("mtp_in")
    (True, False, False)
    """
    return kind.removesuffix(_ALTERNATE) == "moe"


def attention_of(model: ModelSpec, kind: str) -> AttentionSpec:
    """The attention of a layer of the body.

    Raises SpecError for an alternate layer of a model that has none.
    """
    if not kind.endswith(_ALTERNATE):
        return model.attention
    if model.alternate is None:
        raise SpecError(model.name, "", None, f"has no {kind} layer: model.alternate is missing")
    return model.alternate
