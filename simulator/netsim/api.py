"""netsim from Python: the questions of the command line as functions, answers as frozen results.

    >>> import netsim
    >>> netsim.topology("mpft", 2048).record["topology"]["switches"]
    96

Every result has `record`, the JSON of the command, and tidy pandas frames with units in their column names. A mistake
raises `netsim.errors.NetsimError` with the line that the command prints. Nothing is kept between calls: the same
arguments and seed give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import NetsimError

if TYPE_CHECKING:
    import pandas as pd

    from netsim.inference import Iteration
    from netsim.simulate import Step
    from netsim.topologies import Topology

#: a preset, or the path of a TOML (or, for a fabric, a CSV of its cables)
Name = str | Path


@dataclass(frozen=True, eq=False)
class Run:
    """One simulated training step: `record` as `netsim run --json` prints it, and `step` with every detail."""

    record: dict[str, Any]
    step: Step

    @cached_property
    def headline(self) -> pd.DataFrame:
        """One row of what is asked first: step time, tokens/day, MFU, exposed communication, cost and power."""
        import pandas as pd

        from netsim.reports.headline import headline

        return pd.DataFrame([headline(self.record)])

    @cached_property
    def phases(self) -> pd.DataFrame:
        """Seconds of a rank by phase: mean over ranks, least and most."""
        import pandas as pd

        step = self.record["step"]
        rows = [
            {"phase": phase, "mean_s": mean, "least_s": low, "most_s": high}
            for (phase, mean), (low, high) in zip(
                step["phases_s"].items(), step["phases_range_s"].values(), strict=True
            )
        ]
        return pd.DataFrame(rows)

    @cached_property
    def collectives(self) -> pd.DataFrame:
        """A row a kind of collective: count, times, bytes, rates and what bound it."""
        import pandas as pd

        return pd.DataFrame(self.record["collectives"])

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Idle latency of a 64 B message by where the two GPUs are."""
        import pandas as pd

        return pd.DataFrame(self.record["latency_us"].items(), columns=["path", "latency_us"])

    @cached_property
    def bill(self) -> pd.DataFrame:
        """The bill of materials, a row a part."""
        import pandas as pd

        return pd.DataFrame(self.record["cost"]["lines"])

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """Every task that ran (`tasks.parquet` of a run directory)."""
        from netsim.tables import tasks_table

        return tasks_table(self.step)

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """Every task that moved data (`collectives.parquet` of a run directory)."""
        from netsim.tables import collectives_table

        return collectives_table(self.step)

    @cached_property
    def links(self) -> pd.DataFrame:
        """Every link (class) that some flow crosses: capacity, bytes, time busy (`links.parquet`)."""
        from netsim.tables import links_table

        return links_table(self.step)

    def save(self, folder: Name, *, csv: bool = False, force: bool = False) -> list[Path]:
        """Write the run directory of `netsim run -o`; returns its files."""
        from netsim.reports import rundir

        rundir.prepare(Path(folder), force)
        return rundir.write_run(Path(folder), self.step, self.record, csv)


def run(
    topology: Name = "mpft",
    gpus: int = 2048,
    workload: Name = "deepseek-v3",
    *,
    hardware: Name | None = None,
    profile: Name | None = None,
    prices: Name = "published",
    routing: str | None = None,
    schedule: str | None = None,
    scaling: str = "weak",
    placement: str | None = None,
    gpu_hour_usd: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    faults: Sequence[str] = (),
    fault_rate: float | None = None,
    reliability: Name | None = None,
    seed: int = 0,
    folded: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Simulate one training step, as `netsim run` does.

    hardware, profile : in place of what the workload names; overrides : spec keys and values, as `--set`, such as
    {"switch.radix": 128, "nic.line_rate": "800 Gb/s"}; faults : lines as of `--fault`, or TOML files of `[[faults]]`;
    fault_rate, reliability : draw more of them, at this many times the rates of a table; progress : told (done, all)
    tasks

    Raises NetsimError for a name, key or value that is wrong, and for what cannot be built, StalledError for a step
    that faults keep from ever ending.
    """
    from netsim.reports.contract import contract
    from netsim.reports.faults import FaultRequest, step_with_faults
    from netsim.simulate import simulate
    from netsim.specs.case import make_case
    from netsim.workloads.plan import refuse_idle

    given = _plain(overrides)
    refuse_idle(given, scaling)
    case = make_case(
        str(topology), str(workload), hardware=_text(hardware), profile=_text(profile), prices=str(prices),
        routing=routing, schedule=schedule, placement=placement, gpu_hour_usd=gpu_hour_usd, overrides=given,
    )  # fmt: skip
    options: dict[str, Any] = {
        "scaling": scaling, "seed": _count("seed", seed), "folded": folded, "progress": progress,
    }  # fmt: skip
    asked = FaultRequest.of(given, list(faults), fault_rate, _text(reliability))
    if asked:
        step, record = step_with_faults(case, _count("gpus", gpus), asked, **options)
        return Run(record, step)
    step = simulate(case, _count("gpus", gpus), **options)
    return Run(contract(step), step)


@dataclass(frozen=True, eq=False)
class Fabric:
    """A fabric without a run: `record` as `netsim topology --json` prints it, and the built `topology`."""

    record: dict[str, Any]
    topology: Topology

    @cached_property
    def bill(self) -> pd.DataFrame:
        """The bill of materials, a row a part."""
        import pandas as pd

        return pd.DataFrame(self.record["cost"]["lines"])

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Idle latency of a 64 B message by where the two GPUs are."""
        import pandas as pd

        return pd.DataFrame(self.record["latency_us"].items(), columns=["path", "latency_us"])

    @cached_property
    def faults(self) -> pd.DataFrame:
        """What one failed part takes."""
        import pandas as pd

        return pd.DataFrame(self.record["properties"]["faults"])


def topology(
    name: Name = "mpft",
    gpus: int = 2048,
    *,
    hardware: Name = "h800",
    prices: Name = "published",
    overrides: Mapping[str, Any] | None = None,
    years: float = 4.0,
    run_days: float = 54.0,
) -> Fabric:
    """Count, check and price a fabric, as `netsim topology` does.

    Raises NetsimError for a name, key or value that is wrong, and for a size that cannot be built.
    """
    from netsim.reports.fabrics import describe
    from netsim.specs import HardwareSpec, TopologySpec, load
    from netsim.specs.case import sort_overrides
    from netsim.specs.prices import PriceBook

    given = sort_overrides(_plain(overrides))
    for section in ("workload", "profile"):
        for key in given[section]:
            raise NetsimError(f"--set {section}.{key}: has no effect on a fabric")
    built, record = describe(
        load(TopologySpec, "topology", str(name), given["topology"]),
        load(HardwareSpec, "hardware", str(hardware), given["hardware"]),
        load(PriceBook, "prices", str(prices), given["prices"]),
        _count("gpus", gpus), years, run_days,
    )  # fmt: skip
    return Fabric(record, built)


@dataclass(frozen=True, eq=False)
class Collective:
    """A collective on an idle fabric: `record` holds the rows of `netsim collective --json`, `table` the same."""

    record: list[dict[str, Any]]
    topology: Topology

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a message size, or an expert-parallel width."""
        import pandas as pd

        return pd.DataFrame(self.record)


def collective(
    kind: str,
    topology: Name = "mpft",
    gpus: int = 64,
    *,
    sizes: str | Sequence[int] | None = None,
    algorithm: str = "auto",
    protocol: Name | None = None,
    group_size: int | None = None,
    hardware: Name = "h800",
    routing: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    **experts: Any,
) -> Collective:
    """Time a collective on an idle fabric, as `netsim collective` does.

    sizes : bytes, or text such as "128MiB:16GiB"; experts : ep, tokens, gate, load, redundant, beside_compute and
    workload, for dispatch, combine and deepep

    Raises NetsimError for a name, key or value that is wrong or has no effect on the kind.
    """
    from netsim.bench.request import EXPERT_KINDS, collective_rows, make_setup

    library = str(protocol or ("deepep" if kind in EXPERT_KINDS else "nccl"))
    setup = make_setup(
        str(topology), _count("gpus", gpus), library, hardware=str(hardware), routing=routing,
        seed=_count("seed", seed), overrides=_plain(overrides),
    )  # fmt: skip
    rows = collective_rows(setup, kind, sizes=sizes, algorithm=algorithm, group_size=group_size, **experts)
    return Collective(rows, setup.topology)


@dataclass(frozen=True, eq=False)
class Models:
    """Models and their jobs side by side: `record` as `netsim workload --json` prints it."""

    record: dict[str, Any]

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a quantity (dotted key of the record), a column a model."""
        import pandas as pd

        from netsim.reports.models import flat

        return pd.DataFrame({record["name"]: dict(flat(record)) for record in self.record["models"]})


def workload(
    *names: Name,
    sequence_length: int = 4096,
    context: int = 4096,
    batch: int = 128,
    gpus: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Models:
    """Parameters, FLOPs, KV cache, memory and traffic of jobs (or of a config.json), as `netsim workload` counts them.

    sequence_length : tokens, for FLOPs and the intensity of sequences; context, batch : of a decode step; gpus : None
    for those that the job's batch implies

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.reports.models import Question, compare

    if not names:
        raise NetsimError("workload: name one job or model at least")
    sizes = {"sequence_length": sequence_length, "context": context, "batch": batch}
    ask = Question(
        **{key: _count(key, value) for key, value in sizes.items()},
        gpus=None if gpus is None else _count("gpus", gpus),
    )
    return Models(compare([str(name) for name in names], ask, _plain(overrides)))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fabrics side by side: `record` as `netsim compare --json` prints it, and its tables as frames."""

    record: dict[str, Any]

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.record["tables"][name])

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a fabric, job and size: step, throughput, price, power, latency; `error` says why one is left out."""
        return self._frame("comparison")

    @cached_property
    def breakdown(self) -> pd.DataFrame:
        """Compute, exposed communication, bubble and tail of each step, in seconds."""
        return self._frame("breakdown")

    @cached_property
    def binding(self) -> pd.DataFrame:
        """The gain in step time from 10 % more of each resource."""
        return self._frame("binding")

    @cached_property
    def collectives(self) -> pd.DataFrame:
        """Collectives inside the step, a row a fabric and kind."""
        return self._frame("collectives")

    @cached_property
    def bandwidth(self) -> pd.DataFrame:
        """All-to-all and all-reduce on the idle fabrics over message sizes."""
        return self._frame("bandwidth")

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Idle latency of a 64 B message by where the two GPUs are."""
        return self._frame("latency")

    @cached_property
    def bill(self) -> pd.DataFrame:
        """The bills of materials, a row a part."""
        return self._frame("bill")

    @cached_property
    def recommendations(self) -> list[str]:
        """What to take, a sentence for each job and size."""
        return [advice["sentence"] for advice in self.record["recommendations"]]

    @cached_property
    def findings(self) -> list[str]:
        """What changed and why, in sentences."""
        return [finding["text"] for finding in self.record["findings"]]

    def save(self, folder: Name, *, csv: bool = False, force: bool = False) -> list[Path]:
        """Write the report of `netsim compare -o`; returns its files."""
        from netsim.reports.comparison import files

        files.prepare(Path(folder), force)
        return files.write(Path(folder), self.record, csv)


def compare(
    topologies: Sequence[Name],
    workloads: Sequence[Name] | Name = "deepseek-v3",
    gpus: Sequence[int] | int = 2048,
    *,
    hardware: Name | None = None,
    profile: Name | None = None,
    prices: Name = "published",
    routing: str | None = None,
    schedule: str | None = None,
    scaling: str = "weak",
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    sizes: str | None = None,
    bind: bool = True,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Simulate the same jobs on several fabrics and say what differs, as `netsim compare` does.

    sizes : message sizes of the curves on idle fabrics; bind : also simulate each step with 10 % more of each resource;
    jobs : processes, which change nothing but the time; progress : told (done, all) parts

    Raises NetsimError for a name, key or value that is wrong, and when nothing can be simulated.
    """
    from netsim.reports.comparison import Question
    from netsim.reports.comparison import compare as ask
    from netsim.reports.comparison.question import SIZES

    several = gpus if isinstance(gpus, Iterable) else [gpus]
    question = Question(
        topologies=_names(topologies), workloads=_names(workloads), gpus=tuple(_count("gpus", n) for n in several),
        hardware=_text(hardware), profile=_text(profile), prices=str(prices), routing=routing, schedule=schedule,
        scaling=scaling, overrides=_plain(overrides), seed=_count("seed", seed), sizes=sizes or SIZES, bind=bind,
    )  # fmt: skip
    return Comparison(ask(question, _count("jobs", jobs), progress))


@dataclass(frozen=True, eq=False)
class Inference:
    """A served model: `record` as `netsim infer --json` prints it, and `iterations` with every detail."""

    record: dict[str, Any]
    iterations: tuple[Iteration, ...]

    @cached_property
    def parts(self) -> pd.DataFrame:
        """A row a phase and part of its iteration: milliseconds, share of the iteration, what bounds it."""
        import pandas as pd

        rows = [
            {"phase": phase, **row}
            for phase in ("prefill", "decode")
            for row in self.record.get(phase, {}).get("parts", ())
        ]
        return pd.DataFrame(rows)


def infer(
    model: Name = "deepseek-v3",
    topology: Name = "mpft",
    gpus: int | None = None,
    *,
    phase: str = "both",
    prefill_gpus: int | None = None,
    rate: float | None = None,
    deployment: Name | None = None,
    hardware: Name | None = None,
    profile: Name | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    ideal: bool = False,
) -> Inference:
    """Serve a model, as `netsim infer` does; overrides (`decode.batch`, `speculative.acceptance`, ...) set the rest.

    gpus : of the phase (with both: of decode), one unit by default; rate : requests a second, with both phases; ideal :
    the bound, without compute, latency and headers and at line rate

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.inference import EVERYTHING, IDEAL, make_deployment
    from netsim.reports import inference as report

    made = make_deployment(
        str(topology), str(model), preset=_text(deployment), hardware=_text(hardware), profile=_text(profile),
        overrides=_plain(overrides), seed=_count("seed", seed), assume=IDEAL if ideal else EVERYTHING,
    )  # fmt: skip
    record, found, _ = report.infer(
        made,
        phase,
        None if gpus is None else _count("gpus", gpus),
        None if prefill_gpus is None else _count("prefill_gpus", prefill_gpus),
        rate,
    )
    return Inference(record, tuple(found))


def _names(names: Sequence[Name] | Name) -> tuple[str, ...]:
    """One name, or several."""
    return (str(names),) if isinstance(names, str | Path) else tuple(str(name) for name in names)


def _text(name: Name | None) -> str | None:
    return None if name is None else str(name)


def _plain(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Overrides with numpy scalars as Python numbers, which is what strict specs take."""
    return {
        key: value.item() if hasattr(value, "dtype") and not value.shape else value
        for key, value in (overrides or {}).items()
    }


def _count(name: str, value: int) -> int:
    """A whole number, also one of numpy's.

    Raises NetsimError for anything else, and for a negative one.
    """
    import operator

    try:
        whole = operator.index(value)
    except TypeError:
        raise NetsimError(f"{name} = {value!r}, must be a whole number") from None
    if whole < 0:
        raise NetsimError(f"{name} = {whole}, must be at least 0")
    return whole
