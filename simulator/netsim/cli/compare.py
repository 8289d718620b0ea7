"""`netsim compare`: fabrics side by side on the same job, as a report; or one job with and without its choices."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.asking import asking
from netsim.cli.options import Csv, Force, Json, Output, Processes, Quiet
from netsim.cli.output import answer, needs_folder, say_written

if TYPE_CHECKING:
    from netsim.specs.question import Question

Topologies = Annotated[
    str | None,
    typer.Option(
        "--topologies",
        "-t",
        help="Fabrics, a,b,c: presets, TOMLs or CSVs; the first is the reference. "
        "[default: mpft,mrft,ft3; with --ablate: mpft]",
    ),
]
Workloads = Annotated[str, typer.Option("--workloads", "-w", help="Jobs, a,b,c: presets or TOML files.")]
Sizes = Annotated[str, typer.Option("--gpus", "-n", help="Cluster sizes, 2048,4096.")]
Messages = Annotated[
    str | None,
    typer.Option(
        "--sizes",
        help="Message sizes of the curves: low:high:factor, or a list. [default: 64KiB:16GiB:4]",
    ),
]
Bind = Annotated[
    bool | None,
    typer.Option(
        "--bind/--no-bind",
        help="Simulate each step again with 10 % more of each resource. [default: bind]",
    ),
]
Ablate = Annotated[
    str | None,
    typer.Option(
        "--ablate",
        help="Instead of fabrics, compare one job with and without each of these choices: "
        "mla,moe,fp8,mtp,node_limit,overlap,mpft, or all.",
    ),
]


Against = Annotated[
    Path | None,
    typer.Option(
        "--against", help="Instead: results of htsim or SimAI in a folder of netsim export, beside netsim's."
    ),
]


@asking(
    "hardware", "profile", "prices", "routing", "schedule", "scaling", "gpu_hour_usd", "seed", "overrides"
)  # fmt: skip
def compare(
    question: Question,
    topologies: Topologies = None,
    workloads: Workloads = "deepseek-v3",
    gpus: Sizes = "2048",
    sizes: Messages = None,
    bind: Bind = None,
    ablate: Ablate = None,
    against: Against = None,
    jobs: Processes = None,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare fabrics on the same job: step, price, power, latency, what binds, what changed and why; or, with
    --ablate, what each choice of the job is worth."""
    from netsim.analysis.comparison import CompareRequest
    from netsim.analysis.comparison import compare as ask
    from netsim.analysis.comparison.question import SIZES
    from netsim.cli.progress import progress_bar
    from netsim.collectives.sizes import parse_counts, parse_sizes
    from netsim.errors import NetsimError
    from netsim.reports.comparison import files
    from netsim.reports.terminal.comparison_tables import print_comparison

    if against is not None:
        from netsim.importers.results import compare_results, print_results

        answer(compare_results(against), json, quiet, print_results)
        return
    needs_folder(output, csv=csv, force=force)
    if ablate is not None:
        for option, without in (("--sizes", sizes), ("--bind/--no-bind", bind)):
            if without is not None:
                raise NetsimError(f"{option}: has no effect with --ablate")
        one = question.changed(**_one(topologies or "mpft", workloads, gpus))
        _ablate(ablate, one, jobs or os.cpu_count() or 1, output, csv, force, json, quiet)
        return
    if question.gpu_hour_usd is not None:
        raise NetsimError("--gpu-hour-usd: has no effect without --ablate")
    sizes = sizes or SIZES
    parse_sizes(sizes)
    request = CompareRequest(
        _words(topologies or "mpft,mrft,ft3", "--topologies"), _words(workloads, "--workloads"),
        tuple(parse_counts(gpus, "--gpus")), question, sizes, bind is not False,
    )  # fmt: skip
    if output is not None:
        files.prepare(output, force)
    with progress_bar("comparing", quiet) as report:
        record = ask(request, jobs or os.cpu_count() or 1, report)
    for note in record["notes"]:
        print(f"netsim: warning: {note}", file=sys.stderr)
    if output is not None:
        say_written(output, files.write(output, record, csv), quiet)
    answer(record, json, quiet, print_comparison)


def _one(topologies: str, workloads: str, gpus: str) -> dict[str, Any]:
    """The one fabric, job and size that an ablation is about."""
    from netsim.collectives.sizes import parse_counts
    from netsim.errors import NetsimError

    sizes = tuple(parse_counts(gpus, "--gpus"))
    given = {
        "topology": ("--topologies", _words(topologies, "--topologies")),
        "workload": ("--workloads", _words(workloads, "--workloads")),
        "gpus": ("--gpus", sizes),
    }
    for option, values in given.values():
        if len(values) > 1:
            raise NetsimError(f"{option} {','.join(map(str, values))}: with --ablate there must be one")
    return {key: values[0] for key, (_, values) in given.items()}


def _ablate(
    choices: str,
    question: Question,
    jobs: int,
    output: Path | None,
    csv: bool,
    force: bool,
    json: bool,
    quiet: bool,
) -> None:
    from netsim.analysis.codesign.ablation import ablate
    from netsim.analysis.codesign.choices import CHOICES, AblationRequest
    from netsim.cli.progress import progress_bar
    from netsim.reports.codesign.ablation_page import document
    from netsim.reports.comparison import files
    from netsim.reports.terminal.ablation_tables import print_ablation

    names = tuple(CHOICES) if choices == "all" else _words(choices, "--ablate")
    request = AblationRequest(**question.as_values(), choices=names)
    if output is not None:
        files.prepare(output, force)
    with progress_bar("ablating", quiet) as report:
        record = ablate(request, jobs, report)
    if output is not None:
        say_written(output, files.write(output, record, csv, document), quiet)
    answer(record, json, quiet, print_ablation)


def _words(text: str, option: str) -> tuple[str, ...]:
    from netsim.errors import NetsimError

    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise NetsimError(f"{option} {text}: must be names with a comma between, such as mpft,ft3")
    return words
