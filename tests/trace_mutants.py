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
