"""The picture of the slack: the pair of the trace, netsim's pair and netsim's step against the stretch of transfers.

python reports/studies/network_slack/run.py      after `netsim sweep network_slack -o reports/studies/network_slack`
"""

import csv
from pathlib import Path

from netsim.analysis.slack import replayed_s, simulated_s, slack
from netsim.reports.plots import MEASURED, SECOND, SIMULATED, canvas, save_png

HERE = Path(__file__).parent
SHARES = (0.0025, 0.005, 0.01, 0.02)


def main() -> None:
    """Draw slack.png beside table.csv, and print the slack at several shares."""
    with (HERE / "table.csv").open() as file:
        rows = [
            (float(row["communication.slowdown"]), float(row["step_time_s"])) for row in csv.DictReader(file)
        ]
    at = [stretch for stretch, _ in rows if stretch <= 2.0]
    fig, axes = canvas(width=6.4, height=3.6)
    for name, ink, seconds in (
        ("pair, blocks of the trace", MEASURED, [replayed_s(s) for s in at]),
        ("pair, netsim", SIMULATED, [simulated_s(s) for s in at]),
        ("whole step of 2,048 GPUs, netsim", SECOND, [step for stretch, step in rows if stretch <= 2.0]),
    ):
        axes.plot(
            at, [100 * (s / seconds[0] - 1) for s in seconds], "o-", ms=4, lw=1.4, color=ink, label=name
        )
    axes.axvline(1.35, color="#8a8a8a", lw=1, ls="--")
    axes.annotate(
        "1.35, published analysis", (1.35, 25), (-4, 0), textcoords="offset points", ha="right", fontsize=8
    )
    axes.set(xlabel="every transfer takes this many times as long", ylabel="longer by (%)")
    axes.legend()
    save_png(fig, HERE / "slack.png")
    for share in SHARES:
        print(
            f"{share:.2%} longer: trace {slack(replayed_s, share):.2f}, netsim {slack(simulated_s, share):.2f}"
        )


if __name__ == "__main__":
    main()
