"""A fabric from a list of cables: eight hosts, two leaf switches, and half the uplinks that they would need."""

from pathlib import Path

import netsim

cables = ["a,b,rate,cables"]
for host in range(8):
    cables += [f"host{host}/nic{nic},leaf{host // 4},400 Gb/s,1" for nic in range(8)]
cables += [f"leaf{leaf},spine,400 Gb/s,16" for leaf in range(2)]
Path("cables.csv").write_text("\n".join(cables) + "\n")

run = netsim.run("cables.csv", workload="llama-3.1-8b", gpus=64)
print(f"step {run.record['step']['time_s']:.3f} s on {run.record['topology']['switches']} switches")
