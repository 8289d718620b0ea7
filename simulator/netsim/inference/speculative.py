"""What speculative decoding yields: tokens that a step adds to a request, from the acceptance rate.

A step verifies k drafted tokens beside the one it is sure of. Each is accepted with probability p when all before it
were, and the first that is not is replaced by the model's own token, so a step adds

    1 + p + p^2 + ... + p^k

tokens. What that costs is not here: the verification makes the step k + 1 times as many tokens, and drafting runs the
MTP module; both are operators and transfers of the step (`netsim.inference.decode`).

Left out: acceptance that differs between requests or positions. Source: Leviathan et al. 2023, arXiv 2211.17192, eq. 1.
"""

from __future__ import annotations


def tokens_per_step(acceptance: float, draft_tokens: int) -> float:
    """Expected tokens of a request a step.

    >>> tokens_per_step(0.85, 1), tokens_per_step(1.0, 3), tokens_per_step(0.9, 0)
    (1.85, 4.0, 1.0)
    """
    return float(sum(acceptance**n for n in range(draft_tokens + 1)))
