"""The files of `netsim infer -o`: the record, every value in use, when each stage ran, and the requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netsim.inference import Deployment, Iteration
from netsim.inference.serve import Served
from netsim.inference.timeline import COMMUNICATION, COMPUTE
from netsim.specs.output import begin_folder, write_text_whole


def write(folder: Path, served: Served) -> list[Path]:
    """Write result.json, spec.toml, spans.csv (when each stage of each layer ran) and requests.csv, and a picture a
    phase; returns the files.

    Raises NetsimError when a file cannot be written.
    """
    import pandas as pd
    import tomli_w

    from netsim.reports.inference_figure import draw
    from netsim.reports.plots import svg

    found, service = served.iterations, served.service
    texts = {
        "spec.toml": tomli_w.dumps(tables(served.deployment)),
        "spans.csv": pd.DataFrame(_spans(found)).to_csv(index=False),
    }
    texts |= {f"{i.phase}.svg": svg(draw(i)) for i in found}
    if service is not None:
        ran, asked = service.served, service.served.requests
        columns = {
            "arrival_s": asked.arrival_s, "prompt": asked.prompt, "output": asked.output,
            "prefill_start_s": ran.prefill_start_s, "first_token_s": ran.first_token_s,
            "last_token_s": ran.last_token_s,
        }  # fmt: skip
        texts["requests.csv"] = pd.DataFrame(columns).to_csv(index=False)
    begin_folder(folder)
    texts["result.json"] = json.dumps(served.record, indent=1, allow_nan=False) + "\n"
    return [write_text_whole(folder / name, text) for name, text in texts.items()]


def _spans(found: Sequence[Iteration]) -> list[dict[str, Any]]:
    queues = {COMPUTE: "compute", COMMUNICATION: "communication"}
    return [
        {
            "phase": i.phase,
            "microbatch": s.microbatch,
            "layer": s.layer,
            "stage": s.stage,
            "queue": queues[s.queue],
            "start_us": s.start_s * 1e6,
            "end_us": s.end_s * 1e6,
        }
        for i in found
        for s in i.timeline.spans
    ]


def tables(deployment: Deployment) -> Mapping[str, Any]:
    """Every value in use, as nested tables."""
    specs = {
        "topology": deployment.topology,
        "workload": deployment.workload,
        "hardware": deployment.hardware,
        "inference": deployment.spec,
        "protocol": deployment.library,
    }
    return {name: spec.model_dump(mode="json", exclude_none=True) for name, spec in specs.items()}
