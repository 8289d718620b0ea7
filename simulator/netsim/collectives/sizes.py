"""Message sizes from text: `64B:16GiB` doubling, `1MiB:1GiB:4` by a factor, or a list."""

from __future__ import annotations

from netsim import units
from netsim.errors import NetsimError
from netsim.units import whole

MAX_SIZES = 1000


def parse_sizes(text: str) -> list[int]:
    """Sizes in bytes, ascending within a range, in the order given.

    Raises NetsimError when a part is no size, a range runs backwards, or there are too many.

    >>> parse_sizes("1KiB:8KiB"), parse_sizes("64,1MiB"), parse_sizes("1KB:1MB:1000")
    ([1024, 2048, 4096, 8192], [64, 1048576], [1000, 1000000])
    """
    found: list[int] = []
    for part in text.split(","):
        found += _range(part) if ":" in part else [_size(part)]
        if len(found) > MAX_SIZES:
            raise NetsimError(f"--sizes {text}: more than {MAX_SIZES} sizes")
    return found


def parse_counts(text: str, option: str) -> list[int]:
    """Whole numbers: `8:256` doubling, or a list.

    >>> parse_counts("8:64", "--ep"), parse_counts("16,48", "--ep")
    ([8, 16, 32, 64], [16, 48])
    """
    found: list[int] = []
    for part in text.split(","):
        ends = part.split(":")
        if not all(whole(end) for end in ends) or len(ends) > 2:
            raise NetsimError(f"{option} {text}: must be whole numbers, such as 8:256 or 16,32,64")
        at, last = int(ends[0]), int(ends[-1])
        if at > last:
            raise NetsimError(f"{option} {text}: the range {part} runs backwards")
        while at <= last:
            found.append(at)
            at *= 2
    return found


def _range(part: str) -> list[int]:
    ends = part.split(":")
    factor = ends[2].strip() if len(ends) == 3 else "2"
    if len(ends) > 3 or (whole(factor) or 0) < 2:
        raise NetsimError(f"--sizes {part}: must be written low:high or low:high:factor, such as 64B:16GiB")
    low, high = _size(ends[0]), _size(ends[1])
    if low > high:
        raise NetsimError(f"--sizes {part}: the range runs backwards")
    sizes = [low]
    while sizes[-1] * int(factor) <= high:
        sizes.append(sizes[-1] * int(factor))
    return sizes


def _size(text: str) -> int:
    try:
        size = units.size(text.strip())
    except ValueError:
        raise NetsimError(f"--sizes {text}: must be bytes, such as 64B, 1MiB or 16GiB") from None
    if not 1 <= size < 2**60 or size != int(size):
        raise NetsimError(f"--sizes {text}: must be a whole number of bytes, from 1 to 1 EiB")
    return int(size)
