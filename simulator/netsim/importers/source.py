"""A file of somebody else's, opened with bounds: so much and no more, text, and no format that can run code.

YAML is read by the safe loader, XML without entities or external parts, JSON and TOML as data. Each fault is one line
that names the file. Left out: pickles, which cannot be read safely.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from netsim.errors import NetsimError
from netsim.importers.words import human_size
from netsim.specs import catalog

#: most that is read of a text; of formats whose parsers build trees
LIMIT_BYTES = 40 << 20
TREE_LIMIT_BYTES = 8 << 20
#: what a kind is recognised by
HEAD_CHARACTERS = 1 << 16


@dataclass(frozen=True)
class Source:
    """The text of a file, and its name as a person knows it."""

    path: Path
    place: str
    text: str

    @property
    def head(self) -> str:
        """The beginning, by which a kind is recognised."""
        return self.text[:HEAD_CHARACTERS]

    @cached_property
    def lines(self) -> list[str]:
        """Lines without their ends."""
        return self.text.splitlines()

    def fail(self, rule: str, line: int | None = None) -> NetsimError:
        """The complaint about this file, for a caller to raise."""
        at = f"{self.place}: line {line}" if line is not None else self.place
        return NetsimError(f"{at}: {' '.join(rule.split())}")

    def json(self) -> Any:
        """The document. Raises NetsimError for one that is not whole JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise self.fail(f"not whole JSON: {_short(error)}") from None

    def yaml(self) -> Any:
        """The document, by the safe loader. Raises NetsimError for one that is not whole, or that names code."""
        import yaml

        self._small("YAML")
        try:
            return yaml.load(self.text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise self.fail(f"not plain YAML: {_short(error)}") from None

    def toml(self) -> dict[str, Any]:
        """The tables. Raises NetsimError for a file that is not TOML."""
        try:
            return tomllib.loads(self.text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise self.fail(f"not valid TOML: {_short(error)}") from None

    def xml(self) -> Element:
        """The root. Raises NetsimError for a document that is not whole, or that has entities."""
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring

        self._small("XML")
        try:
            root: Element = fromstring(self.text, forbid_dtd=True)
        except DefusedXmlException:
            raise self.fail("has a DTD or entities, which are not read") from None
        except (ParseError, ValueError) as error:
            raise self.fail(f"not whole XML: {_short(error)}") from None
        return root

    def _small(self, what: str) -> None:
        if len(self.text) > TREE_LIMIT_BYTES:
            size, limit = human_size(len(self.text)), human_size(TREE_LIMIT_BYTES)
            raise self.fail(f"{size} of {what}, at most {limit} are read")


def open_source(path: Path) -> Source:
    """Read a text file whole.

    Raises NetsimError for a file that is not there, is empty, is too large, or is not text.
    """
    place = catalog.display(path)
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise NetsimError(f"{place}: cannot be read: {error.strerror}") from None
    if len(data) > LIMIT_BYTES:
        raise NetsimError(f"{place}: more than {human_size(LIMIT_BYTES)}: cut out the part that matters")
    if not data.strip():
        raise NetsimError(f"{place}: empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NetsimError(f"{place}: not UTF-8 text") from None
    if "\0" in text:
        raise NetsimError(f"{place}: not text: it has zero bytes")
    return Source(path, place, text)


def _short(error: Exception) -> str:
    words = " ".join(str(error).split())
    return words if len(words) <= 160 else words[:157] + "..."
