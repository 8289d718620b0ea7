"""`netsim infer`: prefill and decode of a served model, and the requests that they answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Force, Json, Output, Quiet, Routing, Seed, Sets, TopologyName
from netsim.cli.output import answer, needs_folder, say_written

if TYPE_CHECKING:
    from netsim.inference import Deployment

Model = Annotated[str, typer.Option("--model", "-m", help="Model: a workload preset or a TOML file.")]
Preset = Annotated[
    str | None,
    typer.Option(
        "--deployment", help="How it is served: a preset or a TOML file. [default: the model's name]"
    ),
]
GpuCount = Annotated[
    int | None,
    typer.Option("--gpus", "-n", min=1, help="GPUs of the phase (with both: of decode). [default: one unit]"),
]
PrefillGpus = Annotated[
    int | None,
    typer.Option(
        "--prefill-gpus", min=1, help="With --phase both: GPUs of prefill. [default: to match decode]"
    ),
]
Phase = Annotated[str, typer.Option("--phase", help="prefill, decode or both.")]
Expert = Annotated[
    int | None, typer.Option("--ep", min=1, help="Expert-parallel GPUs of a unit, of a single phase.")
]
Batch = Annotated[
    str | None, typer.Option("--batch", help="Decode: requests a GPU, or max for all that fit.")
]
Context = Annotated[int | None, typer.Option("--context", min=1, help="Decode: tokens cached of a request.")]
Prompt = Annotated[int | None, typer.Option("--prompt", min=1, help="Prefill: tokens of a prompt.")]
Cached = Annotated[
    float | None,
    typer.Option("--cached-share", help="Prefill: part of a prompt whose keys and values are cached."),
]
Acceptance = Annotated[
    float | None,
    typer.Option("--mtp-acceptance", help="Rate at which a drafted token is accepted, 0 to 1."),
]
Drafts = Annotated[
    int | None,
    typer.Option("--draft-tokens", min=0, help="Tokens drafted a step; 0: no speculative decoding."),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Compute profile of both phases. [default: the deployment's]"),
]
Rate = Annotated[
    float | None,
    typer.Option("--rate", help="Serve requests that arrive at this rate a second (phase both)."),
]
Count = Annotated[int | None, typer.Option("--requests", min=1, help="Requests to serve. [default: 20000]")]
Ideal = Annotated[
    bool,
    typer.Option("--ideal", help="The bound: compute free, no latency or headers, links at line rate."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail when something does not fit, or an operator is extrapolated.")
]


def infer(
    model: Model = "deepseek-v3",
    topology: TopologyName = "mpft",
    gpus: GpuCount = None,
    phase: Phase = "both",
    ep: Expert = None,
    batch: Batch = None,
    context: Context = None,
    prompt: Prompt = None,
    cached_share: Cached = None,
    mtp_acceptance: Acceptance = None,
    draft_tokens: Drafts = None,
    profile: Profile = None,
    prefill_gpus: PrefillGpus = None,
    rate: Rate = None,
    requests: Count = None,
    deployment: Preset = None,
    routing: Routing = None,
    seed: Seed = 0,
    ideal: Ideal = False,
    strict: Strict = False,
    sets: Sets = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve a model: time per token, time to the first token, tokens a second, and what bounds them."""
    from netsim.analysis.uncertainty.serving import add_serving_intervals
    from netsim.errors import NetsimError
    from netsim.inference import inference_record as report
    from netsim.inference import refuse_idle
    from netsim.reports.terminal.infer_summary import print_inference
    from netsim.specs.case import parse_overrides

    if phase not in report.PHASES:
        from netsim.errors import did_you_mean

        raise NetsimError(f"--phase {phase}: {did_you_mean(phase, report.PHASES)}")
    needs_folder(output, force=force)
    of_decode = {"--batch": batch, "--context": context, "--mtp-acceptance": mtp_acceptance}
    of_prefill = {"--prompt": prompt, "--cached-share": cached_share}
    of_both = {"--prefill-gpus": prefill_gpus, "--rate": rate}
    idle = {} if phase == "both" else (of_prefill if phase == "decode" else of_decode) | of_both
    for option, value in idle.items():
        if value is not None:
            raise NetsimError(f"{option}: has no effect on {phase}")
    if requests is not None and rate is None:
        raise NetsimError("--requests: has no effect without --rate")
    if ep is not None and phase == "both":
        raise NetsimError("--ep: name a --phase, or --set decode.expert and prefill.expert")
    given: dict[str, tuple[str, Any]] = {
        "--ep": (f"{phase}.expert", ep),
        "--batch": ("decode.batch", None if batch == "max" else _whole(batch)),
        "--context": ("decode.context", context),
        "--prompt": ("prefill.prompt", prompt),
        "--cached-share": ("prefill.cached_share", cached_share),
        "--mtp-acceptance": ("speculative.acceptance", mtp_acceptance),
        "--draft-tokens": ("speculative.draft_tokens", draft_tokens),
        "--requests": ("requests.count", requests),
        "--routing": ("topology.routing", routing),
    }
    found = _deployment(topology, model, deployment, profile, given, sets, seed, ideal)
    if mtp_acceptance is not None and not found.spec.speculative.draft_tokens:
        raise NetsimError("--mtp-acceptance: has no effect without drafted tokens")
    refuse_idle(parse_overrides(sets or []), phase, rate, found)
    if output is not None:
        from netsim.reports.rundir import prepare

        prepare(output, force)
    if batch == "max":
        found = report.at_largest_batch(found)
    result, iterations, service = report.infer(found, phase, gpus, prefill_gpus, rate)
    if not ideal:
        add_serving_intervals(result)
    for warning in result["warnings"]:
        print(f"netsim: warning: {warning}", file=sys.stderr)
    if strict:
        _refuse_doubts(result)
    if output is not None:
        from netsim.reports.inference_files import write

        say_written(output, write(output, found, result, iterations, service), quiet)
    answer(result, json, quiet, print_inference)


def _refuse_doubts(result: dict[str, Any]) -> None:
    """Under --strict: nothing that does not fit, and no compute time beyond what was measured or modelled."""
    from netsim.errors import DomainError, NetsimError

    if result["warnings"]:
        raise NetsimError(f"--strict: {result['warnings'][0]}")
    for phase, origin in result["provenance"]["compute_origin"].items():
        if origin.get("extrapolated"):
            raise DomainError(
                f"--strict: {origin['extrapolated']:.1%} of the compute time of {phase} is extrapolated"
            )


def _whole(text: str | None) -> int | None:
    from netsim.errors import NetsimError

    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise NetsimError(f"--batch {text}: must be a whole number of requests a GPU, or max")
    return int(text)


def _deployment(
    topology: str,
    model: str,
    preset: str | None,
    profile: str | None,
    given: dict[str, tuple[str, Any]],
    sets: list[str] | None,
    seed: int,
    ideal: bool,
) -> Deployment:
    """The specs that the options name; an option and a --set of the same key are a mistake."""
    from netsim.errors import NetsimError
    from netsim.inference import EVERYTHING, IDEAL, make_deployment
    from netsim.specs.case import parse_overrides

    overrides = parse_overrides(sets or [])
    for option, (key, value) in given.items():
        if value is None:
            continue
        clash = {key, f"inference.{key}", key.removeprefix("topology.")} & overrides.keys()
        if clash:
            raise NetsimError(f"{option} {value}: also given by --set {clash.pop()}")
        overrides[key] = value
    assume = IDEAL if ideal else EVERYTHING
    return make_deployment(
        topology, model, preset=preset, profile=profile, overrides=overrides, seed=seed, assume=assume
    )
