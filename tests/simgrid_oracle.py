"""SimGrid as an oracle: the same links, paths and bytes, zero latency, its raw network model.

SimGrid is optional (``pip install simgrid`` builds it from source, with Boost headers). It keeps one engine in a
process, so each question runs in its own: ``finish_times`` writes the question to a file and starts this file.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def installed():
    return importlib.util.find_spec("simgrid") is not None


def finish_times(capacity, table, src, dst, timeout_s=600.0):
    """Finish times (n_flows,) when all flows start at 0, and the seconds SimGrid took to build and to run.

    `src` and `dst` (n_flows,) name the hosts; each pair has one path. Sizes must be whole bytes, shares 1.
    """
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "question.npz"), Path(folder, "answer.npz")
        np.savez(
            question,
            capacity=capacity,
            link_ptr=table.link_ptr,
            link_ids=table.link_ids,
            size=table.unit_share,
            src=src,
            dst=dst,
        )
        site = str(Path(importlib.util.find_spec("simgrid").origin).parent)  # where its shared library is
        paths = [site, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        subprocess.run(
            [sys.executable, __file__, question, answer],
            env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)},
            timeout=timeout_s,
            check=True,
            capture_output=True,
        )
        with np.load(answer) as found:
            return found["finish"], json.loads(str(found["seconds"]))


def _answer(question, answer):
    from simgrid import Comm, Engine, LinkInRoute

    case = np.load(question)
    begin = time.perf_counter()
    engine = Engine(
        [
            "oracle",
            "--cfg=network/model:raw",
            "--cfg=network/crosstraffic:0",
            "--cfg=precision/timing:1e-12",
            "--cfg=precision/work-amount:1e-9",
            "--log=root.thres:error",
        ]
    )
    zone = engine.netzone_root.add_netzone_full("fabric")
    src, dst, size, ptr = case["src"], case["dst"], case["size"], case["link_ptr"]
    hosts = [zone.add_host(f"h{i}", 1e9) for i in range(int(max(src.max(), dst.max())) + 1)]
    links = [zone.add_link(f"l{i}", float(c)) for i, c in enumerate(case["capacity"])]
    for link in links:
        link.set_latency(0.0)
    hops = [LinkInRoute(link) for link in links]
    seen = set()
    for f in range(src.size):
        pair = (int(src[f]), int(dst[f]))
        if pair not in seen:
            seen.add(pair)
            path = [hops[i] for i in case["link_ids"][ptr[f] : ptr[f + 1]]]
            zone.add_route(hosts[pair[0]], hosts[pair[1]], path, False)
    zone.seal()
    built = time.perf_counter()
    finish = np.zeros(src.size)

    def send_all():
        comms = [
            Comm.sendto_init(hosts[a], hosts[b]) for a, b in zip(src.tolist(), dst.tolist(), strict=True)
        ]
        for comm, amount in zip(comms, size.tolist(), strict=True):
            comm.set_payload_size(int(amount)).start()
        for comm in comms:
            comm.wait()
        finish[:] = [comm.finish_time for comm in comms]

    hosts[0].add_actor("all", send_all)
    engine.run()
    seconds = {"build": built - begin, "run": time.perf_counter() - built}
    np.savez(answer, finish=finish, seconds=json.dumps(seconds))


if __name__ == "__main__":
    _answer(sys.argv[1], sys.argv[2])
