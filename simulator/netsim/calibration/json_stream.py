"""A JSON document of one long array, value by value, in bounded memory.

Trace files are one object whose `traceEvents` array holds nearly all of it, or that array alone. The file (plain or
gzipped) is read a window at a time; each value of the array goes to the caller and is forgotten, and no single value
may be longer than `LARGEST`. So neither a gzip bomb nor a value that never ends takes memory; what the file holds
once decompressed is capped.

Left out: text other than UTF-8.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from netsim.errors import NetsimError

WINDOW = 1 << 20
#: characters of one value: an event, or a field beside the array
LARGEST = 16 << 20
#: fields beside the array
FIELDS = 1000
DEFAULT_LIMIT = 1 << 30

_SPACE = re.compile(r"[ \t\n\r]*")

Take = Callable[[int, Any], None]


def read_stream(
    path: Path, array: str, take: Take, limit_bytes: int = DEFAULT_LIMIT
) -> dict[str, Any] | None:
    """Give each value of an array to `take` with its number; return the other fields of the document.

    array : name of the field that holds it; a document that is an array is taken as that array
    limit_bytes : most that the file may hold once decompressed

    None when the document holds no such array.

    Raises NetsimError when the file cannot be read, is no whole JSON document, or holds more than the limit.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else raw as stream:
                return _document(_Text(path, stream, limit_bytes), array, take)  # type: ignore[arg-type]
    except EOFError:
        raise NetsimError(f"{path}: the gzip stream ends early: a truncated trace") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise NetsimError(f"{path}: the gzip stream is damaged ({error})") from None
    except OSError as error:
        raise NetsimError(f"{path}: cannot be read: {error.strerror or error}") from None


def _document(text: _Text, array: str, take: Take) -> dict[str, Any] | None:
    start = text.peek()
    if start == "[":
        _array(text, take)
        text.end()
        return {}
    if start != "{":
        text.value()
        text.end()
        return None
    found: dict[str, Any] = {}
    seen = False
    for _ in text.members("{", "}"):
        name = text.value()
        if not isinstance(name, str):
            raise text.broken("a field has no name")
        text.skip(":")
        if name == array and text.peek() == "[":
            _array(text, take)
            seen = True
        else:
            found[name] = text.value()
        if len(found) > FIELDS:
            raise text.broken(f"more than {FIELDS} fields beside {array}")
    text.end()
    return found if seen else None


def _array(text: _Text, take: Take) -> None:
    for number in text.members("[", "]"):
        take(number, text.value())


class _Text:
    """The decoded text of a file from the place that was read to; older text is dropped."""

    def __init__(self, path: Path, stream: IO[bytes], limit_bytes: int) -> None:
        self._path, self._stream, self._limit = path, stream, limit_bytes
        self._read, self._ended = 0, False
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._buffer, self._at = "", 0

    def broken(self, why: str) -> NetsimError:
        """The error of a document that is not whole."""
        return NetsimError(f"{self._path}: not a whole JSON document ({why}): a truncated trace?")

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def skip(self, character: str) -> None:
        """Past a character that must come next."""
        if self.peek() != character:
            raise self.broken(f"expected {character!r}, found {self.peek()[:1]!r}")
        self._at += 1

    def end(self) -> None:
        """Nothing may follow."""
        if self.peek():
            raise self.broken(f"{self.peek()!r} after its end")

    def members(self, opening: str, closing: str):  # type: ignore[no-untyped-def]
        """Numbers of the members of an array or object; the caller reads each."""
        self.skip(opening)
        if self.peek() == closing:
            self._at += 1
            return
        number = 0
        while True:
            yield number
            number += 1
            if self.peek() == closing:
                self._at += 1
                return
            self.skip(",")

    def value(self) -> Any:
        """The next value, which is dropped from the text."""
        self.peek()
        while True:
            why = "the text ends"
            try:
                found, end = self._json.raw_decode(self._buffer, self._at)
                # a number may go on behind the window
                if end < len(self._buffer) or not self._more():
                    self._at = end
                    return found
                continue
            except RecursionError:
                raise self.broken("values nested too deep") from None
            except json.JSONDecodeError as error:
                why = error.msg
            except ValueError:
                raise self.broken("a number of thousands of digits") from None
            if len(self._buffer) - self._at > LARGEST:
                raise self.broken(f"{why}, or one value of more than {LARGEST >> 20} MiB")
            if not self._more():
                raise self.broken(why)

    def _more(self) -> bool:
        """Whether there was more to read; what lies behind is dropped."""
        if self._ended:
            return False
        kept = self._buffer[self._at :]
        data = self._stream.read(max(WINDOW, len(kept)))
        self._read += len(data)
        if self._read > self._limit:
            raise NetsimError(
                f"{self._path}: holds more than {self._limit / 2**20:g} MiB once decompressed; "
                "--max-size raises the limit"
            )
        self._ended = not data
        try:
            self._buffer = kept + self._decoder.decode(data, self._ended)
        except UnicodeDecodeError as error:
            raise self.broken(f"not UTF-8 text: {error.reason}") from None
        self._at = 0
        return True
