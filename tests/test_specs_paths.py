"""Files that a spec file names are beside it, wherever one stands; files that are typed are where one stands."""

from pathlib import Path
from typing import Any

import pytest

import netsim
from netsim.analysis.sharing import make_tenants
from netsim.specs import catalog
from netsim.specs.base import load
from netsim.specs.case import make_case, read_run
from netsim.specs.inference import InferenceSpec
from netsim.specs.paths import near
from netsim.specs.question import Question
from netsim.studies.spec import load_study

LOADS = "\n".join(str(1 + n % 3) for n in range(256))
RANKS = "rank,host,gpu\n" + "\n".join(f"{n},{7 - n // 8},{n % 8}" for n in range(64))
SMALL: dict[str, Any] = {"parallelism.pipeline": 1, "schedule.name": "1f1b", "batch.microbatches": 2}


def preset(kind: str, name: str) -> str:
    return (catalog.folder(kind) / f"{name}.toml").read_text()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a job, its files, a host and a fabric, and another one to stand in."""
    folder = tmp_path / "mine"
    folder.mkdir()
    job = preset("workload", "deepseek-v3").replace('hardware = "h800"', 'hardware = "host.toml"')
    job += '\n[variation]\nexpert_load = "loads.txt"\n\n[placement]\npolicy = "file"\nfile = "ranks.csv"\n'
    fabric = preset("topology", "custom").replace('"example.csv"', '"cables.csv"')
    for name, text in {
        "job.toml": job, "loads.txt": LOADS, "ranks.csv": RANKS, "host.toml": preset("hardware", "h800"),
        "fabric.toml": fabric, "cables.csv": (catalog.folder("topology") / "example.csv").read_text(),
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def test_a_job_finds_its_files_beside_it(mine: Path, tmp_path: Path) -> None:
    job = str(mine / "job.toml")
    case = make_case(workload=job, overrides=SMALL)
    assert case.hardware.name == "h800"
    assert case.workload.variation.expert_load == str(mine / "loads.txt")
    asked = netsim.run(gpus=64, workload=job, overrides=SMALL)
    even = netsim.run(gpus=64, overrides=SMALL)
    assert asked.record["step"]["time_s"] > even.record["step"]["time_s"]
    # the run directory asks the same again
    asked.save(tmp_path / "out")
    spec = str(tmp_path / "out" / "spec.toml")
    assert read_run(Path(spec)).gpus == 64
    assert (
        make_case(spec, spec, hardware=spec, profile=spec, prices=spec).sha256() == asked.step.case.sha256()
    )


def test_relative_to_where_one_stands_too(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    case = make_case(workload="mine/job.toml", overrides=SMALL)
    assert case.workload.placement.file == "mine/ranks.csv"
    # what is typed is where one stands
    Path("ranks.csv").write_text(RANKS)
    typed = make_case(workload="mine/job.toml", placement="ranks.csv", overrides=SMALL)
    assert typed.workload.placement.file == "ranks.csv"


def test_a_fabric_finds_its_cables(mine: Path) -> None:
    assert netsim.topology(mine / "fabric.toml", 64).record["topology"]["gpus"] == 64
    # that of the collection says the same on every machine
    assert make_case("custom").topology.custom.edges == "example.csv"


def test_a_deployment_finds_its_library(mine: Path) -> None:
    text = preset("inference", "deepseek-v3").replace('library = "deepep"', 'library = "mine.toml"')
    (mine / "serve.toml").write_text(text)
    (mine / "mine.toml").write_text(preset("protocol", "deepep"))
    assert load(InferenceSpec, "inference", str(mine / "serve.toml")).library == str(mine / "mine.toml")


def test_a_study_and_its_points_find_their_files(mine: Path) -> None:
    study = mine / "study.toml"
    study.write_text('[base]\nworkload = "job.toml"\n[vary]\ntopology = ["fabric.toml", "mpft"]\n')
    spec = load_study(study)
    assert spec.base["workload"] == str(mine / "job.toml")
    assert spec.vary["topology"] == [str(mine / "fabric.toml"), "mpft"]


def test_shared_jobs_find_their_files(mine: Path) -> None:
    jobs = mine / "jobs.toml"
    rest = '"parallelism.pipeline" = 1, "schedule.name" = "1f1b", "batch.microbatches" = 2'
    jobs.write_text(
        f'[[jobs]]\nname = "a"\ngpus = 64\nset = {{ {rest}, "variation.expert_load" = "loads.txt" }}\n'
    )
    _, (tenant,) = make_tenants(str(jobs), Question(topology="ft2", gpus=64))
    assert tenant.case.workload.variation.expert_load == str(mine / "loads.txt")


def test_a_name_stays_a_name(tmp_path: Path) -> None:
    assert near("zipf:1.2", tmp_path) == "zipf:1.2"
    assert near("h800", tmp_path) == "h800"
    assert near("x" * 5000, tmp_path) == "x" * 5000
    assert near(None, tmp_path) is None
    assert near("/etc/hosts", tmp_path) == "/etc/hosts"
