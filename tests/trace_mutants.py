"""Broken traces: values swapped for nasty ones, keys lost, bytes flipped, streams cut. One seed, the same mutants."""

import copy
import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

NASTY: list[Any] = [
    None, True, -1, 0, 0.5, 10**30, -(10**30), 1e308, float("nan"), float("inf"), "", "x" * 5000, "NaN", [], [1, 2],
    [[]], {}, {"a": []}, [None], "\x00", "٣", 2**63,
]  # fmt: skip


def mutants(document: dict[str, Any], count: int, seed: int) -> Iterator[bytes]:
    """Files made from a document by one to three changes each."""
    rng = random.Random(seed)
    plain = json.dumps(document).encode()
    packed = gzip.compress(plain, mtime=0)
    for number in range(count):
        way = number % 4
        if way < 2:
            changed = json.loads(plain)
            for _ in range(rng.randint(1, 3)):
                swap(changed, rng)
            yield json.dumps(changed).encode()
        else:
            data = bytearray(plain if way == 2 else packed)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            yield bytes(data[: rng.randrange(len(data))] if rng.random() < 0.3 else data)


def swap(document: Any, rng: random.Random) -> None:
    """Change one place of a document: a value replaced, a key dropped or doubled under another name."""
    here, depth = document, 0
    while depth < 12:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return
        key = rng.choice(keys)
        below = here[key]
        if isinstance(below, dict | list) and below and rng.random() < 0.85:
            here, depth = below, depth + 1
            continue
        if isinstance(here, dict) and rng.random() < 0.25:
            del here[key]
        else:
            here[key] = copy.deepcopy(rng.choice(NASTY))
        return


#: names and values that mean something to the reader, where they do not belong
MISPLACED: list[Any] = [
    *NASTY, "True", [[1, 2], [3]], [[2, 3], [3, 4]], [[0, 0], [0, 0]], [[2**39, 2**39], [2**39, 2]],
    ["c10::BFloat16"] * 2, ["TensorList"], [[[1, 2]], [3]], "allreduce", ["1" * 18] * 4, 1e17, 5,
]  # fmt: skip
NAMES = (
    "aten::mm", "aten::linear", "aten::_grouped_mm", "ProfilerStep#" + "9" * 30, "Optimizer.step", "nvjet_x",
    "autograd::engine::evaluate_function: x", "\x1b[31m|x", "aten::_scaled_dot_product_attention",
    "TensorListMetadata<99999999999>",
)  # fmt: skip


def rearranged(document: dict[str, Any], count: int, seed: int) -> Iterator[bytes]:
    """Files of events that are whole, with arguments, times and names that are not theirs: most are read."""
    rng, plain = random.Random(seed), json.dumps(document)
    for _ in range(count):
        changed = json.loads(plain)
        events = changed["traceEvents"]
        for _ in range(rng.randint(1, 6)):
            rearrange(rng.choice(events), rng)
        if rng.random() < 0.3:
            events.pop(rng.randrange(len(events)))
        yield json.dumps(changed).encode()


def rearrange(event: dict[str, Any], rng: random.Random) -> None:
    """Change an argument, a time or the name of an event."""
    args = event["args"]
    if args and rng.random() < 0.7:
        key = rng.choice(list(args))
        if isinstance(args[key], list) and args[key] and rng.random() < 0.7:
            args[key][rng.randrange(len(args[key]))] = copy.deepcopy(rng.choice(MISPLACED))
        elif rng.random() < 0.3 or key in ("stream", "device", "correlation"):
            del args[key]
        else:
            args[key] = copy.deepcopy(rng.choice(MISPLACED))
    elif rng.random() < 0.5:
        event[rng.choice(["ts", "dur"])] = rng.choice([0, 1e17, 1e-9, 5000, 1000.5])
    else:
        event["name"] = rng.choice(NAMES)
