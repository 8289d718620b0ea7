"""The wire format of protocol buffers, as far as traces need it: numbers, texts, messages within messages.

A field is a key, (number << 3) | kind, and a value; numbers are written seven bits a byte, low bits first. Messages
of a file stand one behind the other, each behind its length.

Source: protobuf.dev, Encoding.
"""

from __future__ import annotations

from collections.abc import Iterable


def varint(value: int) -> bytes:
    """A number below 2^64.

    >>> varint(300).hex()
    'ac02'
    """
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def integer(field: int, value: int) -> bytes:
    """A whole number that is not negative: int32, int64, uint64 or an enum."""
    if not 0 <= value < 1 << 64:
        raise AssertionError(f"field {field}: {value}")
    return varint(field << 3) + varint(value)


def boolean(field: int, value: bool) -> bytes:
    """A flag."""
    return integer(field, int(value))


def packed(field: int, data: bytes) -> bytes:
    """A message, or anything else that has a length."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A text."""
    return packed(field, value.encode())


def uint64(field: int, values: Iterable[int]) -> bytes:
    """A repeated number, packed."""
    return packed(field, b"".join(map(varint, values)))


def message(data: bytes) -> bytes:
    """A message of a file, behind its length."""
    return varint(len(data)) + data
