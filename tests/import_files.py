"""Small files of other tools, written by hand after their documented forms: what the tests of importers read."""


def discover(hosts=12, planes=3, leaves=2, spines=2, cables=1, without=(), half=(), speed="NDR", swap=()):
    """`ibnetdiscover` of a fabric of disjoint planes, one adapter of a host in each; hosts spread over the leaves.

    without : cables that are missing, ("node00", plane) or (leaf, spine, plane); half : those at 2x
    swap : pairs of ("node00", plane) whose cables are exchanged
    """
    ports, lines = {}, {}

    def guid(kind, name):
        return f"{kind}-{abs(hash_of(name)):016x}"

    def port(name):
        ports[name] = ports.get(name, 0) + 1
        return ports[name]

    def link(kind_a, a, text_a, port_a, kind_b, b, text_b, port_b, width):
        for kind, near, near_port, other, far, far_text, far_port in (
            (kind_a, a, port_a, kind_b, b, text_b, port_b),
            (kind_b, b, port_b, kind_a, a, text_a, port_a),
        ):
            mark = f"[{near_port}](b8cef60300{near_port:06x})" if kind == "H" else f"[{near_port}]"
            to = f'"{guid(other, far)}"[{far_port}]'
            words = f'lid 1 lmc 0 "{far_text}" lid 2' if kind == "H" else f'"{far_text}" lid 2'
            lines.setdefault((kind, near), []).append(f"{mark}\t{to}\t\t# {words} {width}{speed}")

    places = {}
    for plane in range(planes):
        for h in range(hosts):
            places[f"node{h:02d}", plane] = (f"p{plane}-leaf{h * leaves // hosts}", plane)
    for one, two in swap:
        places[one], places[two] = places[two], places[one]
    for plane in range(planes):
        for h in range(hosts):
            node = f"node{h:02d}"
            if (node, plane) not in without:
                leaf, _ = places[node, plane]
                width = "2x" if (node, plane) in half else "4x"
                text = f"MF0;{leaf}:MQM9700/U1"
                link(
                    "H", f"{node} mlx5_{plane}", f"{node} mlx5_{plane}", 1, "S", leaf, text, port(leaf), width
                )
        for leaf in range(leaves):
            for spine in range(spines):
                for n in range(cables):
                    if (leaf, spine, plane) in without and n == 0:
                        continue
                    low, high = f"p{plane}-leaf{leaf}", f"p{plane}-spine{spine}"
                    width = "2x" if (leaf, spine, plane) in half and n == 0 else "4x"
                    ends = (f"MF0;{low}:MQM9700/U1", f"MF0;{high}:MQM9700/U1")
                    link("S", low, ends[0], port(low), "S", high, ends[1], port(high), width)
    out = ["#", "# Topology file: generated on Mon Nov 30 12:00:00 2026", "#"]
    for (kind, name), rows in lines.items():
        out += ["", "vendid=0x2c9", "devid=0xd2f2"]
        if kind == "S":
            text = f'"MF0;{name}:MQM9700/U1" enhanced port 0 lid 6 lmc 0'
            out += ["switchguid=0x1(1)", f'Switch\t65 "{guid("S", name)}"\t\t# {text}', *rows]
        else:
            out += ["caguid=0x1", f'Ca\t1 "{guid("H", name)}"\t\t# "{name}"', *rows]
    return "\n".join(out) + "\n"


def hash_of(name):
    """The same in every process."""
    value = 7
    for mark in name:
        value = (value * 1000003 + ord(mark)) % (1 << 60)
    return value


def nccl_log(
    times_us, collective="alltoall", hosts=8, width=8, gpu="NVIDIA H800", tag="", named=True, wrong="0"
):
    """A text log of nccl-tests: size in bytes -> microseconds."""
    n = hosts * width
    factor = 2 * (n - 1) / n if collective == "all_reduce" else (n - 1) / n
    lines = ["# nccl-tests version 2.17.1 nccl-headers=22807 nccl-library=22807"] if named else []
    lines += [f"# Collective test starting: {collective}_perf"] if named else []
    lines.append(
        "# nThread 1 nGpus 1 minBytes 8 maxBytes 1 step: 2(factor) warmup iters: 5 iters: 20 agg iters: 1"
    )
    lines.append("#\n# Using devices")
    for rank in range(n):
        host = f"node{rank // width:02d}"
        lines.append(
            f"#  Rank {rank:2d} Group  0 Pid {900 + rank} on {host} device {rank % width:2d} [0000:18:00] {gpu}"
        )
    lines.append(
        "#\n#                                                              out-of-place                       in-place"
    )
    lines.append(
        "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw"
    )
    lines.append(
        "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)"
    )
    for size, us in times_us.items():
        alg = size / us / 1e3
        side = f"{us:9.2f} {alg:7.2f} {alg * factor:7.2f} {wrong:>6}"
        lines.append(f"{size:12d} {size // 4:12d}     float    none      -1 {side} {side}")
    lines += ["# Out of bounds values : 0 OK", "# Avg bus bandwidth    : 41.2"]
    return "\n".join(tag + line for line in "\n".join(lines).split("\n")) + "\n"


def megatron_log(arguments, step_ms=5926.4, iterations=10, batch=None):
    """A log of Megatron-LM with these arguments and iterations of about that time, the first one slow."""
    lines = [
        "using world size: 64, data-parallel size: 8",
        "------------------------ arguments ------------------------",
    ]
    lines += [f"  {name} {'.' * max(3, 46 - len(name))} {value}" for name, value in sorted(arguments.items())]
    lines.append("-------------------- end of arguments ---------------------")
    size = batch or arguments["global_batch_size"]
    for n in range(1, iterations + 1):
        ms = step_ms * (4.0 if n == 1 else 1.0 + 0.001 * (n % 3 - 1))
        lines.append(
            f" [2026-11-30 12:00:{n:02d}] iteration {n:8d}/     100 | consumed samples: {n * size:12d} | elapsed "
            f"time per iteration (ms): {ms:.1f} | throughput per GPU (TFLOP/s/GPU): 220.4 | "
            f"global batch size: {size:5d} |"
        )
    return "\n".join(lines) + "\n"


#: Llama 3.1 8B on 16 GPUs, as Megatron prints it
LLAMA_8B = {
    "num_layers": 32, "hidden_size": 4096, "ffn_hidden_size": 14336, "num_attention_heads": 32, "num_query_groups": 8,
    "group_query_attention": True, "kv_channels": 128, "padded_vocab_size": 128256, "swiglu": True, "seq_length": 8192,
    "micro_batch_size": 1, "global_batch_size": 64, "world_size": 16, "tensor_model_parallel_size": 2,
    "pipeline_model_parallel_size": 2, "context_parallel_size": 1, "expert_model_parallel_size": 1, "bf16": True,
    "use_distributed_optimizer": True, "overlap_grad_reduce": True, "overlap_param_gather": True, "fp8": None,
    "recompute_granularity": "None", "untie_embeddings_and_output_weights": True,
    "num_layers_per_virtual_pipeline_stage": 4,
    "virtual_pipeline_model_parallel_size": 4, "sequence_parallel": True, "add_bias_linear": False,
}  # fmt: skip
