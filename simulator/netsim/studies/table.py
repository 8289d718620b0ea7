"""The rows of a study as one tidy table: the same bytes whoever computed them, and in whatever order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.specs.borders import write_csv
from netsim.specs.output import write_whole
from netsim.studies.evaluate import FILES
from netsim.studies.points import Point

if TYPE_CHECKING:
    import pandas as pd

#: columns before the settings
FIRST = ("point", "id", "status", "reason", "seed", "topology", "gpus")


def tidy(points: Iterable[Point], rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A record a point in the order of the study, settings first; a point without a row is left out."""
    found = []
    for point in points:
        question = point.question
        if question.id not in rows:
            continue
        row = dict(rows[question.id])
        status, reason = row.pop("status"), row.pop("reason")
        row.pop("id"), row.pop(FILES, None)
        first = (point.index, question.id, status, reason, question.seed, question.topology, question.gpus)
        settings = {key: value for key, value in point.varied.items() if key not in FIRST}
        found.append(dict(zip(FIRST, first, strict=True)) | settings | row)
    return found


def frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The records as a frame; a setting that is a list, or of several kinds, becomes text."""
    import pandas as pd

    columns = list(dict.fromkeys(key for record in records for key in record))
    data = {}
    for column in columns:
        values = [record.get(column) for record in records]
        kinds = {type(value) for value in values if value is not None}
        if kinds & {list, dict} or (len(kinds) > 1 and not kinds <= {int, float}):
            values = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        elif kinds == {int, float}:
            values = [None if value is None else float(value) for value in values]
        data[column] = pd.Series(values, dtype=_dtype(kinds, values))
    return pd.DataFrame(data)


def _dtype(kinds: set[type], values: list[Any]) -> str:
    if kinds == {int}:
        return "Int64" if None in values else "int64"
    if kinds == {bool}:
        return "boolean" if None in values else "bool"
    return "float64" if kinds <= {int, float} and kinds else "object"


def write_tables(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write table.parquet, table.csv and table.json, each whole or not at all.

    Raises NetsimError when one cannot be written.
    """
    whole = frame(records)
    text = json.dumps(list(records), indent=1, allow_nan=False) + "\n"
    makers = {
        "table.parquet": lambda path: whole.to_parquet(path, index=False),
        "table.csv": lambda path: write_csv(whole, path),
        "table.json": lambda path: path.write_text(text, "utf-8"),
    }
    return [write_whole(folder / name, make) for name, make in makers.items()]
