"""The studies that ship: small versions run, whole ones are slow; what their READMEs say is in their tables."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from netsim.reports.study_plots import pictures
from netsim.specs.catalog import study_names
from netsim.studies.spec import StudySpec, check, find_study, load_study
from netsim.studies.sweep import sweep

ROOT = Path(__file__).parents[1] / "reports/studies"
SMALL: dict[str, Any] = {"schedule": "1f1b", "parallelism.pipeline": 1, "batch.microbatches": 1}


def small(spec: StudySpec) -> StudySpec:
    """The study on 64 GPUs, the first two values of everything."""
    vary = {key: values[:2] for key, values in spec.vary.items()}
    if "gpus" in vary:
        vary["gpus"] = [64, 128]
    base = {**spec.base, **SMALL, **({} if "gpus" in vary else {"gpus": 64})}
    return spec.model_copy(update={"base": base, "vary": vary})


@pytest.mark.parametrize("name", study_names())
def test_a_study_runs_small(name: str, tmp_path: Path) -> None:
    spec = small(load_study(find_study(name)))
    check(spec, name)
    outcome = sweep(spec, tmp_path)
    assert outcome.count("ok") >= 2
    assert outcome.count("failed") == 0
    assert pictures(spec, outcome.records) or name == "network_slack"


@pytest.mark.slow
@pytest.mark.parametrize("name", study_names())
def test_a_study_gives_the_table_that_it_ships(name: str, tmp_path: Path) -> None:
    outcome = sweep(load_study(find_study(name)), tmp_path)
    shipped = pd.read_csv(ROOT / name / "table.csv")
    assert outcome.count("failed") == 0
    found = pd.read_csv(tmp_path / "table.csv")
    assert found["status"].tolist() == shipped["status"].tolist()
    for column in ("step_time_s", "network_usd", "power_kw"):
        assert found[column].to_numpy() == pytest.approx(shipped[column].to_numpy(), rel=1e-6, nan_ok=True)


def test_every_study_ships_its_table_its_finding_and_a_picture() -> None:
    assert study_names() == ["network_slack", "nics_per_host", "scale_up", "switch_radix", "three_layers"]
    for name in study_names():
        assert (ROOT / name / "table.csv").is_file(), name
        text = (ROOT / name / "README.md").read_text("utf-8")
        picture = text.rpartition("](")[2].partition(")")[0]
        assert (ROOT / name / picture).is_file(), name
