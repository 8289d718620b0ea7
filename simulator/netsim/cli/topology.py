"""`netsim topology`: what a fabric is, can do and costs, without running anything."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Gpus, HostName, Json, Prices, Sets, refuse_beside_list

if TYPE_CHECKING:
    from netsim.specs import HardwareSpec, TopologySpec
    from netsim.specs.prices import PriceBook
    from netsim.topologies import Topology

Years = Annotated[float, typer.Option("--years", min=0.0, help="Years of ownership.")]
RunDays = Annotated[
    float, typer.Option("--run-days", min=0.0, help="Days of a training run, for its energy.")
]
Export = Annotated[
    str | None,
    typer.Option(
        "--export", help="Write the fabric: a file ending in .graphml, .json or .csv, or - for CSV."
    ),
]
Draw = Annotated[
    Path | None, typer.Option("--draw", help="Draw the fabric (or the curve) into .svg or .png.")
]


def topology(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A preset, a TOML or CSV file; or `list`, or `compare`.")],
    others: Annotated[str | None, typer.Argument(help="With compare: fabrics, a,b,c. [default: all]")] = None,
    gpus: Gpus = 2048,
    hardware: HostName = "h800",
    prices: Prices = "published",
    years: Years = 4.0,
    run_days: RunDays = 54.0,
    sets: Sets = None,
    export: Export = None,
    draw: Draw = None,
    json: Json = False,
) -> None:
    """Count, check and price a fabric; list the presets; or compare several at one size."""
    from netsim.errors import NetsimError

    if name != "compare" and others is not None:
        raise NetsimError(f"{others}: a second fabric has no effect without compare")
    if export is not None and name == "compare":
        raise NetsimError("--export: has no effect on compare")
    if name == "list":
        refuse_beside_list(context, "name")
        _list(json)
        return
    from netsim.specs.case import parse_overrides, sort_overrides

    given = sort_overrides(parse_overrides(sets or []))
    host, book = _host_and_book(hardware, prices, given)
    specs = _specs([name] if name != "compare" else others.split(",") if others else None, given)
    if name == "compare":
        _compare(specs, (host, book), gpus, (years, run_days), draw, json)
        return
    from netsim.analysis.fabrics import describe

    fabric, record = describe(specs[0], host, book, gpus, years, run_days)
    if export is not None:
        _export(fabric, export)
        if export == "-":
            return
    if draw is not None:
        from netsim.reports.drawing import draw as picture

        _save(picture(fabric), draw)
    if json:
        print(jsonlib.dumps(record, indent=1))
        return
    _print(record)


def _host_and_book(
    hardware: str, prices: str, given: dict[str, dict[str, Any]]
) -> tuple[HardwareSpec, PriceBook]:
    """Host and price book; `given` are the overrides by spec."""
    from netsim.specs import HardwareSpec, load
    from netsim.specs.idle import FABRIC, idle_prices, refuse, refuse_unread
    from netsim.specs.prices import PriceBook

    refuse_unread(given, FABRIC, "a fabric")
    host = load(HardwareSpec, "hardware", hardware, given["hardware"])
    book = load(PriceBook, "prices", prices, given["prices"])
    refuse(idle_prices(given, book))
    return host, book


def _specs(names: list[str] | None, given: dict[str, dict[str, Any]]) -> list[TopologySpec]:
    """The fabrics by name, or all that need no cables of somebody's own; a price that none of them reads is refused."""
    from netsim.specs import TopologySpec, catalog, load
    from netsim.specs.idle import idle_on, refuse

    names = names or [name for name in catalog.names("topology") if name != "custom"]
    specs = [load(TopologySpec, "topology", name.strip(), given["topology"]) for name in names]
    if all(idle_on(given, spec) for spec in specs):
        refuse(idle_on(given, specs[0]))
    return specs


def _list(json: bool) -> None:
    from netsim.specs import TopologySpec, catalog, load

    presets = {name: load(TopologySpec, "topology", name).description for name in catalog.names("topology")}
    if json:
        print(jsonlib.dumps(presets, indent=1))
        return
    for name, words in presets.items():
        print(f"{name:<12} {words}")


def _compare(
    chosen: list[TopologySpec],
    specs: tuple[HardwareSpec, PriceBook],
    gpus: int,
    spans: tuple[float, float],
    draw: Path | None,
    json: bool,
) -> None:
    from netsim.analysis import fabrics

    host, book = specs
    rows = fabrics.compare(chosen, host, book, gpus, *spans)
    if draw is not None:
        sizes = [round(gpus * 2 ** (n / 8)) for n in range(-32, 25)]  # a sixteenth of it to eight times
        from netsim.reports.fabric_figures import curve_figure

        _save(curve_figure(fabrics.cost_curve(chosen, host, book, sizes), book), draw)
    if json:
        print(jsonlib.dumps(rows, indent=1))
        return
    from netsim.reports.terminal.fabric_tables import print_comparison

    print_comparison(rows, book.name)


def _export(fabric: Topology, target: str) -> None:
    from netsim.errors import NetsimError, did_you_mean
    from netsim.topologies.export import EXPORTS

    suffix = "csv" if target == "-" else target.rpartition(".")[2]
    if suffix not in EXPORTS or (target != "-" and "." not in target):
        raise NetsimError(f"--export {target}: must be a file ending in .graphml, .json or .csv: "
                          f"{did_you_mean(suffix, EXPORTS)}")  # fmt: skip
    text = EXPORTS[suffix](fabric)
    if target == "-":
        sys.stdout.write(text)
        return
    _write(Path(target), text)


def _write(path: Path, text: str) -> None:
    from netsim.specs.output import write_text_whole

    write_text_whole(path, text)
    print(f"wrote {path}", file=sys.stderr)


def _save(figure: Any, path: Path) -> None:
    from netsim.errors import NetsimError
    from netsim.reports.plots import save_png, svg

    if path.suffix == ".svg":
        _write(path, svg(figure))
    elif path.suffix == ".png":
        from netsim.specs.output import write_whole

        write_whole(path, lambda partial: save_png(figure, partial))
        print(f"wrote {path}", file=sys.stderr)
    else:
        raise NetsimError(f"--draw {path}: must end in .svg or .png")


def _print(record: dict[str, Any]) -> None:
    from netsim.reports.terminal.fabric_tables import print_fabric

    print_fabric(record)
