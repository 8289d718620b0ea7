"""Quantities in text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from netsim.units import Rate, parse, size


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("400 Gb/s", "bytes/s", 50e9),
        ("50GB/s", "bytes/s", 50e9),
        ("3.35 TB/s", "bytes/s", 3.35e12),
        ("128 MiB", "bytes", 2**27),
        ("0.45 us", "seconds", 0.45e-6),
        ("3 min", "seconds", 180.0),
        ("989 TFLOPS", "FLOP/s", 989e12),
        ("747 W", "watts", 747.0),
        ("2.5 m", "metres", 2.5),
        ("80 kUSD", "USD", 80e3),
        ("1e3 B", "bytes", 1000.0),
    ],
)
def test_quantities(text: str, dimension: str, value: float) -> None:
    assert parse(text, dimension) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "dimension"),
    [("400", "bytes/s"), (400, "bytes/s"), ("400 Gb", "bytes/s"), ("400 Gbps", "bytes/s"), ("ms", "seconds"),
     ("3 Gs", "seconds"), ("1 mB", "bytes"), ("", "bytes"), ("nan B", "bytes"), (None, "watts")],
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(text: object, dimension: str) -> None:
    with pytest.raises(ValueError, match="written with its unit, such as"):
        parse(text, dimension)


class Wire(BaseModel):
    rate: Rate


@given(st.floats(1.0, 1e15, allow_nan=False))
def test_what_is_written_reads_back_bit_for_bit(value: float) -> None:
    text = Wire(rate=f"{value!r} B/s").model_dump(mode="json")["rate"]  # type: ignore[arg-type]
    assert parse(text, "bytes/s") == value


def test_bare_sizes_are_bytes() -> None:
    assert size("4096") == 4096
    assert size("16GiB") == 2**34
