"""Bandwidth of an all-to-all over message size, as a plot."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import netsim

for gpus in (32, 64, 128):
    table = netsim.collective("all_to_all", gpus=gpus, sizes="1MiB:16GiB").table
    plt.plot(table["size_bytes"], table["algbw_GBps"], label=f"{gpus} GPUs")
plt.xscale("log", base=2)
plt.xlabel("message size (bytes)")
plt.ylabel("algbw (GB/s)")
plt.legend()
plt.savefig("all_to_all.png")
print("wrote all_to_all.png")
