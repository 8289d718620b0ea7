"""How much an all-reduce depends on the ECMP hash: the same question with ten seeds."""

import numpy as np

import netsim

question = {"topology": "ft2", "gpus": 256, "hardware": "h100", "sizes": "1GiB", "routing": "ecmp"}
busbw = [netsim.collective("all_reduce", **question, seed=seed).table["busbw_GBps"][0] for seed in range(10)]
low, middle, high = np.percentile(busbw, [5, 50, 95])
print(f"busbw of ten seeds: 5 % {low:.1f}, median {middle:.1f}, 95 % {high:.1f} GB/s")
