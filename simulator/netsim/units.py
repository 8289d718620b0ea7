"""Quantities in text to SI floats: "400 Gb/s" is 50e9 bytes per second.

Prefixes are decimal (k, M, G, T, P) or binary (Ki, Mi, Gi, Ti); `b` is a bit, `B` a byte. Bits exist only
in text: everything inside is bytes, seconds, floating-point operations, watts, metres and dollars.
A bare number is refused, because nobody can see its unit.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_PREFIX = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
           "P": 1e15, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}  # fmt: skip
_BIG = ("", "k", "K", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti")
_SMALL = ("", "n", "u", "µ", "m")

#: dimension -> {unit: (factor to SI, prefixes it takes)}
_UNITS: dict[str, dict[str, tuple[float, tuple[str, ...]]]] = {
    "bytes": {"B": (1.0, _BIG), "b": (0.125, _BIG)},
    "bytes/s": {"B/s": (1.0, _BIG), "b/s": (0.125, _BIG)},
    "seconds": {"s": (1.0, _SMALL), "min": (60.0, ("",)), "h": (3600.0, ("",)), "day": (86400.0, ("",))},
    "FLOP/s": {"FLOPS": (1.0, ("", "M", "G", "T", "P")), "FLOP/s": (1.0, ("", "M", "G", "T", "P"))},
    "hertz": {"Hz": (1.0, ("", "k", "M", "G"))},
    "watts": {"W": (1.0, ("", "m", "k", "M"))},
    "metres": {"m": (1.0, ("", "k", "m"))},
    "USD": {"USD": (1.0, ("", "k", "M")), "$": (1.0, ("", "k", "M"))},
}
_EXAMPLE = {"bytes": "80 GB", "bytes/s": "400 Gb/s", "seconds": "2.8 us", "FLOP/s": "989 TFLOPS", "hertz": "1.98 GHz",
            "watts": "747 W", "metres": "30 m", "USD": "1090 USD"}  # fmt: skip
#: digits are ASCII; a single underscore may stand between two, as in Python
_NUMBER = re.compile(
    r"^\s*([-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?)\s*([^\s\d_].*?)\s*$", re.ASCII
)


def parse(text: object, dimension: str) -> float:
    """A quantity written as text, in SI.

    Raises ValueError when the text has no unit, a unit of another dimension, or no number.

    >>> parse("400 Gb/s", "bytes/s"), parse("2.8 us", "seconds"), parse("128MiB", "bytes")
    (50000000000.0, 2.8e-06, 134217728.0)
    >>> parse("400", "bytes/s")
    Traceback (most recent call last):
    ...
    ValueError: must be a quantity of bytes/s written with its unit, such as '400 Gb/s'
    """
    match = _NUMBER.match(text) if isinstance(text, str) else None
    factor = _factor(match.group(2), dimension) if match else None
    if match is None or factor is None:
        raise ValueError(
            f"must be a quantity of {dimension} written with its unit, such as {_EXAMPLE[dimension]!r}"
        )
    return float(match.group(1).replace("_", "")) * factor


def _factor(unit: str, dimension: str) -> float | None:
    for symbol, (scale, prefixes) in _UNITS[dimension].items():
        head = unit.removesuffix(symbol)
        if unit.endswith(symbol) and head in prefixes:
            return _PREFIX[head] * scale
    return None


def whole(text: str) -> int | None:
    """A whole number of at most 18 ASCII digits, or None: `int` takes other digits, underscores and any length.

    >>> whole("64"), whole("-1"), whole("1_0"), whole("9" * 19)
    (64, None, None, None)
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def size(text: str) -> float:
    """Bytes from text; a bare integer is bytes, as the nccl-tests write it."""
    number = whole(text)
    return parse(text, "bytes") if number is None else float(number)


#: dimension -> (least above zero, most) that a spec may say: far beyond any machine, short of numbers that overflow
_SPAN = {"bytes": ("1 B", "1000 PB"), "bytes/s": ("1 B/s", "1 PB/s"), "seconds": ("0.000001 ns", "100000000 h"),
         "FLOP/s": ("1 FLOPS", "1000000 PFLOPS"), "hertz": ("1 Hz", "1000 GHz"), "watts": ("1 mW", "1000 MW"),
         "metres": ("1 mm", "1000 km"), "USD": ("0.000001 USD", "1000000 MUSD")}  # fmt: skip


def bounded(text: object, dimension: str) -> float:
    """A quantity as `parse` reads it, within what any machine may have: nothing that overflows later.

    Raises ValueError.
    """
    found = parse(text, dimension)
    least, most = _SPAN[dimension]
    if found > parse(most, dimension):
        raise ValueError(f"must be at most {most}")
    if 0 < found < parse(least, dimension):
        raise ValueError(f"must be at least {least}")
    return found


def _quantity(dimension: str) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    # a float is only ever seen when an already resolved spec is read back
    def read(value: object) -> float:
        return bounded(value, dimension)

    def write(value: float) -> str:
        unit = next(iter(_UNITS[dimension]))
        text = f"{value:.15g}"  # exact where it can be, or every digit
        return f"{text if float(text) == value else repr(value)} {unit}"

    said = {"type": "string", "unit": dimension, "examples": [_EXAMPLE[dimension]]}
    return BeforeValidator(read), PlainSerializer(write), WithJsonSchema(said)


Bytes = Annotated[float, *_quantity("bytes"), Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, *_quantity("bytes/s"), Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, *_quantity("seconds"), Field(ge=0, allow_inf_nan=False)]
FlopRate = Annotated[float, *_quantity("FLOP/s"), Field(gt=0, allow_inf_nan=False)]
Hertz = Annotated[float, *_quantity("hertz"), Field(gt=0, allow_inf_nan=False)]
Watts = Annotated[float, *_quantity("watts"), Field(ge=0, allow_inf_nan=False)]
Metres = Annotated[float, *_quantity("metres"), Field(ge=0, allow_inf_nan=False)]
Dollars = Annotated[float, *_quantity("USD"), Field(ge=0, allow_inf_nan=False)]
