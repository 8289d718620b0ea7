"""What models are, as files: result.json, and a table with a line for each quantity of each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netsim.analysis.models import flat
from netsim.reports.rundir import to_json, write_files


def write(folder: Path, result: dict[str, Any]) -> list[Path]:
    """result.json, and models.csv: a line for each quantity of each model.

    Raises NetsimError when a file cannot be written.
    """
    text = "model,quantity,value\n" + "".join(
        f"{record['name']},{key},{value}\n" for record in result["models"] for key, value in flat(record)
    )
    return write_files(folder, {"result.json": to_json(result), "models.csv": text})
