"""netsim from Python: the questions of the command line as functions, answers as frozen results.

    >>> import netsim
    >>> netsim.topology("mpft", 2048).record["topology"]["switches"]
    96

Every result has `record`, the JSON of the command, and tidy pandas frames with units in their column names. A mistake
raises `netsim.NetsimError` with the line that the command prints. Nothing is kept between calls: the same
arguments and seed give the same bits.
"""

from netsim.api.codesign import Ablation, Claims, ablate, claims
from netsim.api.comparison import Comparison, compare
from netsim.api.fabrics import Collective, Fabric, collective, topology
from netsim.api.models import Models, workload
from netsim.api.operation import Goodput, Sharing, goodput, share
from netsim.api.packets import packets
from netsim.api.serving import Inference, infer
from netsim.api.studies import Design, Study, optimize, sweep
from netsim.api.training import Run, run
from netsim.errors import NetsimError
from netsim.specs.question import Question

__all__ = [
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
