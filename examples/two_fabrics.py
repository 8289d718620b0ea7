"""Parts, price and latency of two fabrics side by side, without a simulation."""

import netsim

for name in ("mpft", "ft3"):
    fabric = netsim.topology(name, gpus=4096)
    parts, cost = fabric.record["topology"], fabric.record["cost"]
    worst = fabric.record["latency_us"]["worst"]
    print(
        f"{name:5} {parts['switches']:4} switches, {cost['network_usd'] / 1e6:6.2f} M$, worst {worst:.2f} us"
    )
