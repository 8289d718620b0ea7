"""netsim: which network, how much of it, and what does it cost in step time?

From Python: `netsim.run(...)`, `compare`, `ablate`, `claims`, `sweep`, `optimize`, `goodput`, `share`, `infer`,
`packets`, `topology`, `workload` and `collective`; see `netsim.api`, which is loaded when one of them is first asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netsim.api import *  # noqa: F403  (as many as its __all__)

__version__ = "0.2.0"
#: the names of `netsim.api`, here so that it need not be loaded to know them
__all__ = [  # noqa: F405
    "Ablation",
    "Claims",
    "Collective",
    "Comparison",
    "Design",
    "Fabric",
    "Goodput",
    "Inference",
    "Models",
    "NetsimError",
    "Question",
    "Run",
    "Sharing",
    "Study",
    "__version__",
    "ablate",
    "claims",
    "collective",
    "compare",
    "goodput",
    "infer",
    "optimize",
    "packets",
    "run",
    "share",
    "sweep",
    "topology",
    "workload",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from netsim import api

        return getattr(api, name)
    raise AttributeError(f"module 'netsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
