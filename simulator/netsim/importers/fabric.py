"""From named cables to a fabric that runs: a list of cables, its TOML, and hosts that fit it.

Hosts are numbered in the order of their names. Hosts that are not cabled like most (a NIC missing, or in another plane)
cannot take part in a job and are left out, by name; their cables' mistakes are in the findings. Links that are missing
or slow stay as they are, and the fabric runs with what is left.

Left out: cables between hosts, and nodes of which no host is reached.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from netsim.errors import NetsimError
from netsim.importers.cables import Found, tiers
from netsim.importers.cabling import findings, lines_of, most_common, planes, usual_nics
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.words import natural, rate_text, toml
from netsim.specs import HardwareSpec, catalog, load
from netsim.specs.base import read_toml

#: what a cable list cannot hold in a name
_MARKS = re.compile(r"[,;\t\n\r\"#]|^(?=storage|nas|mgmt|management|login|admin)", re.IGNORECASE)
DEFAULT_HOST = "h100"


def make_fabric(kind: str, place: str, found: Found, notes: Notes, wanted: Wanted) -> Imported:
    """The answer of a reader of cables.

    Raises NetsimError when no host or no switch is left.
    """
    if not found.hosts or not found.switches:
        what = "hosts" if not found.hosts else "switches"
        raise NetsimError(f"{place}: no cables between hosts and switches: no {what} in it")
    tier, rows = tiers(found), findings(found)
    kept, nics = _kept(found, notes)
    if not kept:
        raise NetsimError(f"{place}: no host is cabled to a switch")
    notes.findings += lines_of(rows)
    by_tier = Counter(tier.values())
    plane = planes(found)
    stray = [name for name in tier if not tier[name]]
    notes.many("switches that reach no host, left out", stray)
    notes.read.insert(0, f"{len(found.hosts)} hosts, {len(tier)} switches, {len(found.cables)} cables")
    files, question = _files(kept, nics, found, wanted, notes, plane)
    record = {
        "hosts": len(kept), "nics_per_host": len(nics), "switches": len(tier), "cables": len(found.cables),
        "planes": len({plane[name] for name in tier if tier[name]}),
        "tiers": {f"tier{n}": by_tier[n] for n in sorted(by_tier) if n},
        "host_names": kept, "mistakes": rows,
    }  # fmt: skip
    host = (
        f" --hardware {{stem}}{question['hardware']}"
        if "-hosts.toml" in files
        else f" --hardware {question['hardware']}"
    )
    then = (
        f"netsim topology {{stem}}.toml --gpus {question['gpus']}{host}",
        f"netsim run --topology {{stem}}.toml --gpus {question['gpus']} --workload llama-3.1-8b{host}",
    )
    return Imported(kind, place, record, notes, files, question, then=then)


def _kept(found: Found, notes: Notes) -> tuple[list[str], tuple[str, ...]]:
    """Hosts that are cabled like most, and their NICs."""
    usual, plane = usual_nics(found), planes(found)
    cabled = found.nics()
    seats = {
        host: tuple(tuple(sorted(plane[c.b.node] for c in nics[nic])) for nic in usual)
        for host, nics in cabled.items()
        if all(nic in nics for nic in usual)
    }
    common = most_common(seats.values())
    kept = [host for host in seats if seats[host] == common]
    few = [host for host, nics in cabled.items() if 2 * len(nics) <= len(usual)]
    notes.many("nodes with few NICs (storage, login), left out", few)
    odd = [host for host in cabled if host not in kept and host not in few]
    if odd:
        notes.assumed.append(f"hosts not cabled like most hold no ranks: {', '.join(odd[:20])}")
    more = {nic for host in kept for nic in cabled[host]} - set(usual)
    notes.many("NICs that few hosts have, left out", sorted(more, key=natural))
    return kept, usual


def _files(
    kept: list[str], nics: tuple[str, ...], found: Found, wanted: Wanted, notes: Notes, plane: dict[str, int]
) -> tuple[dict[str, str], dict[str, Any]]:
    cabled = found.nics()
    rows, rates = [], []
    for n, host in enumerate(kept):
        for m, nic in enumerate(nics):
            for cable in sorted(cabled[host][nic], key=lambda c: (plane[c.b.node], natural(c.b.node))):
                rows.append((f"host{n}/nic{m}", _plain(cable.b.node), cable.rate, 1))
                rates.append(cable.rate)
    reached = {plane[cable.b.node] for host in kept for nic in nics for cable in cabled[host][nic]}
    between = [
        (_plain(one), _plain(two), rate, n)
        for (one, two), cables in found.between().items() if plane[one] in reached
        for rate, n in sorted(Counter(cable.rate for cable in cables).items())
    ]  # fmt: skip
    ports = Counter(
        end.node for cable in found.live for end in (cable.a, cable.b) if end.node in found.switches
    )
    radix = max([4, *ports.values(), *found.ports.values()])
    names = [f"# host{n} is {host}" for n, host in enumerate(kept)]
    lines = [f"{a},{b},{rate_text(rate)},{count}" for a, b, rate, count in _merged(rows) + between]
    files = {
        ".csv": "\n".join([*names, "a,b,rate,cables", *lines]) + "\n",
        ".toml": toml(_topology(radix + radix % 2, max(rates))),
    }
    of_nic = sum(most_common(c.rate for c in cabled[host][nics[0]]) or 0.0 for host in kept[:1]) * len(
        cabled[kept[0]][nics[0]]
    )
    host, made, gpus = _host(wanted, len(nics), max(of_nic, max(rates)), notes)
    if made:
        files["-hosts.toml"] = made
    return files, {"topology": ".toml", "gpus": len(kept) * gpus, "hardware": host}


def _merged(rows: list[tuple[str, str, float, int]]) -> list[tuple[str, str, float, int]]:
    """Two ports of a NIC on one switch, as one line."""
    count = Counter((a, b, rate) for a, b, rate, _ in rows)
    return [(a, b, rate, n) for (a, b, rate), n in count.items()]


def _plain(name: str) -> str:
    """A switch's name as a cable list can hold it."""
    plain = _MARKS.sub("_", name).strip()
    return f"switch-{plain}" if re.fullmatch(r"host\d+/nic\d+", plain) else plain


def _topology(radix: int, rate: float) -> dict[str, Any]:
    base = read_toml(catalog.find("topology", "custom"))
    base |= {"description": "A fabric read from a file of its owner's", "custom": {"edges": "{stem}.csv"}}
    base["name"] = "{name}"
    base["sources"] = {
        "fabric": "{file}: switches, cables and their rates",
        "latency": base["sources"]["latency"],
    }
    base["switch"] = {"radix": radix, "port_rate": rate_text(rate)}
    return base


def _host(wanted: Wanted, nics: int, rate: float, notes: Notes) -> tuple[str, str, int]:
    """The host preset that fits, or a TOML of one made from it, and its GPUs."""
    name = wanted.hardware or DEFAULT_HOST
    spec = load(HardwareSpec, "hardware", name)
    if wanted.hardware is None:
        notes.assumed.append(
            f"hosts are those of {name}: GPUs stand in no list of cables (--hardware names others)"
        )
    if spec.nics_per_host == nics and abs(spec.nic.line_rate / rate - 1) < 0.01:
        return name, "", spec.gpus_per_host
    gpus = spec.gpus_per_host
    if gpus % nics and nics % gpus:
        gpus = nics
        notes.assumed.append(f"hosts have {nics} NICs: taken as {gpus} GPUs with a NIC each")
    table = read_toml(catalog.find("hardware", name))
    table |= {"name": "{name}-hosts", "description": f"{name} with {nics} NICs of {rate_text(rate)} a host",
              "gpus_per_host": gpus, "nics_per_host": nics}  # fmt: skip
    table.pop("gpus_per_tray", None)
    if table["scale_up"].get("size") and table["scale_up"]["size"] < gpus:
        table["scale_up"].pop("size")
    table["nic"] |= {"line_rate": rate_text(rate)}
    table["sources"]["nic"] = f"line rate: {{file}}; goodput: {table['sources'].get('nic', 'as of ' + name)}"
    return "-hosts.toml", toml(table), gpus
