"""How flows get there: the links of every flow in closed form, by `adaptive`, `ecmp` or `static` routing."""

from netsim.routing.paths import paths
from netsim.routing.table import KINDS, PathTable, expand

__all__ = ["KINDS", "PathTable", "expand", "paths"]
