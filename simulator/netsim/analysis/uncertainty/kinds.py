"""The kind of a job, as it is known before its answer."""

from __future__ import annotations

from netsim.analysis.uncertainty.evidence import Kind
from netsim.specs.case import Case

_GENERATIONS = (
    ("Hopper", ("H100", "H200", "H800", "H20", "GH200")),
    ("Blackwell", ("B200", "B300", "GB200", "GB300")),
)


def generation(gpu: str) -> str:
    """The generation of a GPU by its name.

    >>> generation("NVIDIA H800"), generation("GB300"), generation("MI300X")
    ('Hopper', 'Blackwell', 'other')
    """
    plain = gpu.removeprefix("NVIDIA ").split(" ")[0].split("-")[0].upper()
    return next((name for name, gpus in _GENERATIONS if plain in gpus), "other")


def kind_of(case: Case) -> Kind:
    """What kind of job a case is."""
    job, gpu = case.workload, case.hardware.gpu.name
    model = "adapter" if job.adapter is not None else "MoE" if job.model.moe is not None else "dense"
    return Kind(framework=job.framework, gpu=gpu, generation=generation(gpu), model=model)


def words(kind: Kind) -> str:
    """A kind in words.

    >>> words(Kind(framework="deepseek", gpu="H800", generation="Hopper", model="MoE"))
    'MoE models with deepseek on Hopper'
    """
    models = {"adapter": "adapters of models"}.get(kind.model, f"{kind.model} models")
    return f"{models} with {kind.framework} on {kind.generation}"
