"""What the uncertainty of an answer is made of: one generated file of netsim's own errors, and nothing else.

`netsim validate -o reports` writes `reports/errors.json`: the error of every published step that netsim predicts, what
held-out kernels of each class were missed by, and how far the network's and the power limit's constants are from the
rows that they were not set on. An error is ln(published / simulated), so what an answer has to be multiplied by is
its exponential.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic import ValidationError

from netsim.errors import NetsimError
from netsim.specs.base import Strict
from netsim.specs.catalog import root

#: below the collections
FILE = "reports/errors.json"


class Kind(Strict):
    """What is known of a job before its answer: whose framework, which GPU, which kind of model."""

    framework: str
    """Framework preset that runs it."""
    gpu: str
    """The GPU."""
    generation: str
    """Its generation."""
    model: str
    """dense, MoE or adapter."""


class StepError(Strict):
    """A published step and how far netsim is from it."""

    id: str
    """The row of `netsim validate`."""
    cluster: str
    """The machine that ran it."""
    kind: Kind
    """What kind of job it is."""
    gpus: int
    """GPUs of the job."""
    job: str
    """Model and software: rows of one job on one cluster are no independent evidence."""
    error: float
    """ln(published / simulated)."""
    constants: float = 0.0
    """What of it the spread of constants explains: one standard deviation."""
    noise: float = 0.0
    """What cannot be told from a right answer: one standard deviation of the measurement."""
    sets_constant: bool = False
    """Whether a constant was set with the row, so that its error says nothing."""


class Spread(Strict):
    """A constant or a class of kernels against rows that it was not set on: mean and standard deviation of errors."""

    rows: int
    """How many rows."""
    bias: float
    """Mean error."""
    spread: float
    """Standard deviation about the mean."""
    source: str
    """Which rows."""


class Evidence(Strict):
    """The whole file."""

    schema_version: int
    """Version of its form."""
    version: str
    """The netsim that wrote it."""
    made_by: str
    """The command that writes it."""
    steps: list[StepError]
    """Published steps."""
    classes: dict[str, dict[str, Spread]]
    """Kernel classes by profile; `all` over the profiles."""
    constants: dict[str, Spread]
    """Constants of the network, repeated measurements, and the power limit."""


@lru_cache(maxsize=1)
def evidence() -> Evidence:
    """The file that ships.

    Raises NetsimError where it is missing or broken.
    """
    path = root() / FILE
    try:
        return Evidence.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise NetsimError(f"{FILE}: {error.strerror}; netsim validate -o reports writes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise NetsimError(f"{FILE}: {place}: {first['msg']}; netsim validate -o reports writes it") from None
