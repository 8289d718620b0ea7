"""Which ways to train Llama 3.1 8B fit into the memory of 64 GPUs, and how fast they are."""

import netsim

WAYS = {
    "two sequences": {},
    "one sequence": {"batch.microbatch_sequences": 1},
    "two, layers recomputed": {"storage.recompute": ["layer"]},
    "two, tensor parallel": {"parallelism.tensor": 2},
}
print(f"{'way':24}tokens/day     GB")
for way, overrides in WAYS.items():
    record = netsim.run("ft2", workload="llama-3.1-8b", gpus=64, overrides=overrides).record
    memory = record["memory"]
    note = "" if memory["fits"] else f"  does not fit into {memory['capacity_gb']:.0f}"
    print(f"{way:24}{record['step']['tokens_per_day'] / 1e9:7.1f} B  {memory['total_gb']:5.1f}{note}")
