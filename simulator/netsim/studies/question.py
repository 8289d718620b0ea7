"""One point of a study: what is asked of the simulator, as plain values that travel to any worker.

A point is known by a fingerprint of its settings, its seed and the version of netsim. Which files its answer depends on
is noted while it is computed (`netsim.specs.files`), so that no key that names a file can be forgotten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import netsim
from netsim.errors import NetsimError, SpecError, did_you_mean
from netsim.specs import catalog
from netsim.specs.case import Case, sort_overrides
from netsim.specs.question import Question

#: settings that are options of `netsim run` and not keys of a spec; those that name a file, and their kind of preset
OPTIONS = ("topology", "workload", "hardware", "profile", "prices", "gpus", "scaling", "seed")
PRESETS = ("topology", "workload", "hardware", "profile", "prices")
#: short words for spec keys, as the options of `netsim run` have them
ALIASES = {"routing": "topology.routing", "schedule": "workload.schedule.name"}


@dataclass(frozen=True)
class StudyPoint(Question):
    """One run of a study: a question whose overrides may use the short words of `ALIASES`."""

    @cached_property
    def id(self) -> str:
        """The fingerprint, 20 hexadecimal digits."""
        told = [netsim.__version__, self.as_values()]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:20]

    @property
    def spec_overrides(self) -> dict[str, Any]:
        """Overrides as `--set` spells them."""
        return {ALIASES.get(key, key): value for key, value in self.overrides.items()}

    @property
    def full_overrides(self) -> dict[str, Any]:
        """Overrides by their whole key, `topology.latency.endpoint` and not `latency.endpoint`; Raises NetsimError."""
        by_section = sort_overrides(self.spec_overrides)
        return {f"{name}.{key}": value for name, keys in by_section.items() for key, value in keys.items()}

    def case(self) -> Case:
        """The checked specs; Raises NetsimError."""
        return Question(**{**self.as_values(), "overrides": self.spec_overrides}).case()


def make_point(settings: Mapping[str, Any]) -> StudyPoint:
    """A point from settings by key: options of `netsim run`, and keys of a spec.

    Raises SpecError for an option whose value is of the wrong kind.
    """
    options = {key: value for key, value in settings.items() if key in OPTIONS}
    for key, value in options.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if key in ("gpus", "seed"):
            if not whole or value < (0 if key == "seed" else 1):
                raise SpecError("study", key, value, "must be a whole number, and positive")
        elif not isinstance(value, str):
            raise SpecError("study", key, value, "must be a name or a path")
    if options.get("scaling", "weak") not in ("weak", "strong"):
        raise SpecError("study", "scaling", options["scaling"], "must be weak or strong")
    overrides = {key: value for key, value in settings.items() if key not in OPTIONS}
    return StudyPoint(**options, overrides=overrides)


def check_keys(settings: Mapping[str, Any], place: str) -> None:
    """Refuse a key that no spec knows, or that is given twice under two names.

    Raises NetsimError naming the file and the nearest key.
    """
    for key in settings:
        if key not in OPTIONS and "." not in key:
            near = did_you_mean(key, (*OPTIONS, *ALIASES))
            if near.startswith("did") and not _known(key):
                raise NetsimError(f"{place}: {key}: unknown key: {near}")
    keys: dict[str, Any] = {}
    for key in settings:
        if key in OPTIONS:
            continue
        real = ALIASES.get(key, key)
        if real in keys:
            raise NetsimError(f"{place}: {key}: given twice, also as {real}")
        keys[real] = None
    try:
        sort_overrides(keys)
    except NetsimError as error:
        raise NetsimError(f"{place}: {str(error).removeprefix('--set ')}") from None


def _known(key: str) -> bool:
    try:
        sort_overrides({ALIASES.get(key, key): None})
    except NetsimError as error:
        return "known to several" in str(error)
    return True


def check_presets(values: Mapping[str, list[Any]], place: str) -> None:
    """Refuse the name of a preset or file that does not exist; `values` : those a setting takes, by key."""
    for kind in PRESETS:
        for name in values.get(kind, ()):
            if isinstance(name, str):
                try:
                    catalog.find(kind, name)
                except NetsimError as error:
                    raise NetsimError(f"{place}: {kind}: {error}") from None
