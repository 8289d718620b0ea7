"""netsim: which network, how much of it, and what does it cost in step time?

From Python: `netsim.run(...)`, `netsim.compare(...)`, `netsim.infer(...)`, `netsim.topology(...)`,
`netsim.workload(...)` and `netsim.collective(...)`; see `netsim.api`, which is loaded when one of them is first asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netsim.api import (
        Collective,
        Comparison,
        Fabric,
        Inference,
        Models,
        Run,
        collective,
        compare,
        infer,
        run,
        topology,
        workload,
    )

__version__ = "0.1.0"
__all__ = [
    "Collective",
    "Comparison",
    "Fabric",
    "Inference",
    "Models",
    "Run",
    "__version__",
    "collective",
    "compare",
    "infer",
    "run",
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
