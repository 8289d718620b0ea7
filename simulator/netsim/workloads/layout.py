"""Layout strings of Megatron-LM: which layers each stage of a pipeline holds, in order.

`E` is the embedding, `t` a layer, `m` a multi-token-prediction module, `L` the output head with the loss, and `|` ends
a stage; `t*3` repeats a letter, `(t*4|)*14` a group. A module may stand on a stage of its own: the head that it shares
with the model stays with `L`.

Source: NVIDIA/Megatron-LM, core/transformer/pipeline_parallel_layer_layout.py.
"""

from __future__ import annotations

import re

from netsim.errors import SpecError
from netsim.specs import ModelSpec
from netsim.workloads.model import last_kind

_MOST = 1 << 16  # letters


def expand(layout: str) -> list[str]:
    """The letters of each stage.

    >>> expand("Et*2|(t*3|)*2mL")
    ['Ett', 'ttt', 'ttt', 'mL']

    Raises SpecError for anything but those letters and repeats.
    """
    text = re.sub(r"[\s,]", "", layout)
    while found := re.search(r"\(([^()]*)\)\*(\d+)", text):
        text = _repeated(layout, text, found)
    while found := re.search(r"([EtmL|])\*(\d+)", text):
        text = _repeated(layout, text, found)
    if wrong := re.search(r"[^EtmL|]", text):
        rule = f"{wrong.group()!r} is none of E, t, m, L, | and repeats such as t*4 and (t*4|)*14"
        raise SpecError("parallelism.layout", "", None, f"{layout!r}: {rule}")
    return text.split("|")


def _repeated(layout: str, text: str, found: re.Match[str]) -> str:
    part, times = found.group(1), int(found.group(2))
    if len(text) + len(part) * times > _MOST:
        raise SpecError("parallelism.layout", "", None, f"{layout!r}: more than {_MOST} letters")
    return text[: found.start()] + part * times + text[found.end() :]


def layout_stages(model: ModelSpec, layout: str) -> tuple[tuple[str, ...], ...]:
    """The layer kinds of each stage that a layout string says.

    Raises SpecError where it does not hold every layer of the model once, in order.
    """
    stages = expand(layout)
    letters = "".join(stages)
    wanted = {"E": 1, "t": model.layers, "m": model.mtp_depth, "L": 1}
    for letter, count in wanted.items():
        if letters.count(letter) != count:
            rule = f"has {letters.count(letter)} of {letter}, {model.name} needs {count}"
            raise SpecError("parallelism.layout", "", None, f"{layout!r}: {rule}")
    if letters[0] != "E" or letters[-1] != "L" or letters.index("L") != len(letters) - 1:
        raise SpecError("parallelism.layout", "", None, f"{layout!r}: must begin with E and end with L")
    if "m" in letters and letters.index("m") < letters.rindex("t"):
        raise SpecError("parallelism.layout", "", None, f"{layout!r}: m stands before the last t")
    if "" in stages:
        raise SpecError("parallelism.layout", "", None, f"{layout!r}: stage {stages.index('')} is empty")
    body = iter(model.kinds)
    kinds = {"E": ("embedding",), "m": ("mtp_in", last_kind(model)), "L": ("head",) * (1 + model.mtp_depth)}
    return tuple(
        tuple(kind for letter in stage for kind in (kinds.get(letter) or (next(body),))) for stage in stages
    )
