"""Kernel timings of the GPU at hand, as one CSV: what `netsim calibrate` and the shipped profiles start from.

Measured: dense GEMMs (BF16; FP8 with one scale a tensor, a row, or a block of 1x128 / 128x128), their weight
gradients into FP32, grouped expert GEMMs with balanced and skewed rows, the attention core at MLA widths
forward and backward, the memory-bound kernels of a training step, top-k gate, optimizer, copies and launch
latency; at the shapes of a workload (`set` = workload), at those shapes with other row counts (grid), and at
seeded random shapes to fit (random) or to test a fit with (holdout: never fit these).

Protocols (`mode`). *cool*: at most 25 % duty; before each repetition the L2 is flushed by reading a buffer, and
the GPU sleeps for three times the kernel. *hot*: back to back after 90 ms of the same kernel, L2 warm, so
that a power-limited card runs at its sustained clock. With `side` = spin or copy, `side_sms` SMs are held
throughout by a resident kernel (two-CTA clusters, all shared memory) that waits or streams a copy; a row is
kept only when that kernel was still resident at the end. The library is not told of the held SMs.

Columns: `kernel`, `kind` (the kernel class of a compute profile), `dtype` and `out_dtype`; `m`, `n`, `k`,
`groups` (GEMM: m x k by n x k; grouped: m rows of all groups; weight gradient: m x n over k rows; attention:
m length, n heads, k query width; memory-bound: m rows of n columns; flat kernels: m bytes or values);
`batch` (sequences), `v_dim` (value width), `group_rows` (rows of each group, spaces between); `set`, `operator`
(a workload operator of that shape), `mode`, `side`, `side_sms`; `time_us` (median over `reps` of CUDA event
times, about 3 us of event and launch included; rows `empty_kernel` and `empty_pair` show them), `p10_us`,
`p90_us`, `min_us`; `sm_clock_GHz` (clock64 over globaltimer around the kernel, inside the measurement: what NVML
reports is no guide), `side_GBps` (what the side copy moved, read and written); `flops`, `bytes` (of this kernel:
every tensor touched once), `tflops`, `GBps`; `error_rel` (against float32 on sampled rows); `gpu`, `torch`. What
else must be known of the machine stands in a TOML beside the CSV.

Left out: communication kernels, libraries other than torch's and Triton kernels of our own (no DeepGEMM, no
grouped block-scaled FP8), FP32 accumulation onto an existing weight gradient, carve-outs told to cuBLAS.
"""
