"""Fill the tables of numbers in the documents from `reports/validation.md`, which `netsim validate -o reports` writes.

A document holds `<!-- numbers: NAME -->` and `<!-- end -->`; what stands between them is written here, and a test
compares it. `python docs/tools/evidence.py` renews every document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTION = re.compile(r"(<!-- numbers: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.S)
#: sources of the README's table, and how it calls them
ACCURACY = {
    "isca25_table4": "DeepSeek-V3 step and its phases on 2,048 H800 GPUs",
    "isca25_fig5": "NCCL all-to-all on 32 to 128 GPUs, 1 GiB and larger",
    "isca25_fig7": "DeepEP dispatch and combine on 16 to 64 GPUs",
    "mlperf_h100": "MLPerf jobs on H100 and H200: Llama, GPT-3, LoRA",
    "moe_zoo": "Megatron's Qwen3-235B on H100, GB200 and GB300",
}


def scorecard(report: str) -> dict[str, dict[str, str]]:
    """The rows of the report's scorecard by source; the columns as the report names them."""
    lines = [line for line in report.splitlines() if line.startswith("|")]
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    rows = {}
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(head) and (source := re.search(r"\(`(\w+)`\)$", cells[0])):
            rows[source[1]] = dict(zip(head, cells, strict=True))
    return rows


def accuracy() -> str:
    """Five rows of accuracy, good and bad."""
    rows = scorecard((ROOT / "reports" / "validation.md").read_text("utf-8"))
    table = [
        "| measured by others | numbers | outside their tolerance | median error | worst error |",
        "|---|--:|--:|--:|--:|",
    ]
    for source, name in ACCURACY.items():
        row = rows[source]
        cells = [name, row["with a tolerance"], row["missed"], row["median"], row["worst"]]
        table.append(f"| {' | '.join(cells)} |")
    return "\n".join(table) + "\n"


NUMBERS: dict[str, Callable[[], str]] = {"accuracy": accuracy}


def renew(text: str) -> str:
    """The document with its tables of numbers as the report has them now; KeyError on an unknown name."""
    return SECTION.sub(lambda found: found[1] + NUMBERS[found["name"]]() + found[3], text)


if __name__ == "__main__":
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        old = path.read_text("utf-8")
        if old != (new := renew(old)):
            path.write_text(new, "utf-8")
            print(f"renewed {path}")
