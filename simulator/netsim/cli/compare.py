"""`netsim compare`: fabrics side by side on the same job, as a report."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from netsim.cli.options import Force, Json, Output, Profile, Quiet, Routing, Scaling, Schedule, Seed, Sets

Topologies = Annotated[
    str,
    typer.Option(
        "--topologies", "-t", help="Fabrics, a,b,c: presets, TOMLs or CSVs; the first is the reference."
    ),
]
Workloads = Annotated[str, typer.Option("--workloads", "-w", help="Jobs, a,b,c: presets or TOML files.")]
Sizes = Annotated[str, typer.Option("--gpus", "-n", help="Cluster sizes, 2048,4096.")]
Hardware = Annotated[
    str | None, typer.Option("--hardware", help="Host: a preset or a TOML file. [default: the workload's]")
]
Prices = Annotated[
    str, typer.Option("--prices", help="Price book: a preset (published, street_2026) or a TOML file.")
]
Messages = Annotated[
    str, typer.Option("--sizes", help="Message sizes of the curves: low:high:factor, or a list.")
]
Bind = Annotated[
    bool, typer.Option("--bind/--no-bind", help="Simulate each step again with 10 % more of each resource.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Processes; the numbers stay the same. [default: all cores]"),
]


def compare(
    topologies: Topologies = "mpft,mrft,ft3",
    workloads: Workloads = "deepseek-v3",
    gpus: Sizes = "2048",
    hardware: Hardware = None,
    profile: Profile = None,
    prices: Prices = "published",
    routing: Routing = None,
    schedule: Schedule = None,
    scaling: Scaling = "weak",
    seed: Seed = 0,
    sets: Sets = None,
    sizes: Messages = "64KiB:16GiB:4",
    bind: Bind = True,
    jobs: Jobs = None,
    output: Output = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write the tables as CSV too (with -o).")] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare fabrics on the same job: step, price, power, latency, what binds, what changed and why."""
    from netsim.bench.sizes import parse_counts, parse_sizes
    from netsim.cli.progress import progress_bar
    from netsim.errors import NetsimError
    from netsim.reports.comparison import Question, files
    from netsim.reports.comparison import compare as ask
    from netsim.reports.rundir import to_json
    from netsim.specs.case import parse_overrides

    for option, given in (("--csv", csv), ("--force", force)):
        if given and output is None:
            raise NetsimError(f"{option}: is about a folder with a report; add -o DIR")
    parse_sizes(sizes)
    question = Question(
        topologies=_words(topologies, "--topologies"), workloads=_words(workloads, "--workloads"),
        gpus=tuple(parse_counts(gpus, "--gpus")), hardware=hardware, profile=profile, prices=prices, routing=routing,
        schedule=schedule, scaling=scaling, overrides=parse_overrides(sets or []), seed=seed, sizes=sizes, bind=bind,
    )  # fmt: skip
    if output is not None:
        files.prepare(output, force)
    with progress_bar("comparing", quiet) as report:
        record = ask(question, jobs or os.cpu_count() or 1, report)
    for note in record["notes"]:
        print(f"netsim: warning: {note}", file=sys.stderr)
    if output is not None:
        written = files.write(output, record, csv)
        if not quiet:
            print(f"wrote {', '.join(f.name for f in written)} to {output}", file=sys.stderr)
    if json:
        sys.stdout.write(to_json(record))
    elif not quiet:
        from netsim.cli.comparison_tables import print_comparison

        print_comparison(record)


def _words(text: str, option: str) -> tuple[str, ...]:
    from netsim.errors import NetsimError

    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise NetsimError(f"{option} {text}: must be names with a comma between, such as mpft,ft3")
    return words
