"""Specs: what a user may write, and what is said when it is wrong."""

from pathlib import Path

import pytest
import tomli_w
from pydantic import BaseModel

from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, all_keys, catalog, load
from netsim.specs.case import SECTIONS, RunTable, make_case, parse_overrides, read_run, sort_overrides
from netsim.specs.keys import keys

KINDS = {"topology": TopologySpec, "workload": WorkloadSpec, "hardware": HardwareSpec}


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in SECTIONS for n in catalog.names(k)])
def test_every_preset_loads_and_has_sources(kind: str, name: str) -> None:
    model: type[BaseModel] = SECTIONS[kind]
    preset = load(model, kind, name)
    assert preset.name == name  # type: ignore[attr-defined]
    assert preset.sources  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"switch.radx": 64}, "switch.radx: unknown key: did you mean 'switch.radix'?"),
        ({"topology.plains": 8}, "topology.plains: unknown key of topology: did you mean 'planes'?"),
        ({"switch.port_rate": "400 Gbps"}, "must be a quantity of bytes/s written with its unit, such as"),
        ({"switch.radix": 63}, "switch.radix = 63, must be even"),
        ({"switch.radix": "64"}, "switch.radix = '64', input should be a valid integer"),
        ({"name": "x"}, "known to several specs, write one of topology.name"),
        ({"nics_per_host": 3}, "nics_per_host = 3, must divide gpus_per_host = 8"),
        ({"model.moe.top_k": 999}, "top_k = 999, must fit into"),
        ({"nic.line_rate": "1e300 Gb/s"}, "nic.line_rate = '1e300 Gb/s', must be at most 1 PB/s"),
        ({"nic.line_rate": "1e-300 Gb/s"}, "must be at least 1 B/s"),
        (
            {"batch.sequence_length": 10**11},
            "batch.sequence_length = 100000000000, input should be less than",
        ),
        ({"batch.microbatches": 10**9}, "batch.microbatches = 1000000000, input should be less than"),
        ({"profile.classes.gemm_fp8.efficency": 0.5}, "did you mean 'classes.*.efficiency'?"),
        ({"profile.classes.gemm_fp9.efficiency": 0.5}, "classes.gemm_fp9"),
    ],
)
def test_a_wrong_override_is_one_clear_line(overrides: dict[str, object], line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        make_case(overrides=overrides)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_inside_a_collection_of_tables() -> None:
    faster = make_case(overrides={"profile.classes.gemm_fp8.efficiency": 0.99})
    assert faster.profile.classes["gemm_fp8"].efficiency == 0.99
    assert faster.profile.classes["gemm_bf16"] == make_case().profile.classes["gemm_bf16"]


def test_overrides_reach_the_spec_that_they_name() -> None:
    case = make_case(overrides={"workload.parallelism.pipeline": 4, "switch.radix": 128})
    assert case.workload.parallelism.pipeline == 4
    assert case.topology.switch.radix == 128
    assert case.sha256() != make_case().sha256()


def test_bare_keys_are_found_in_the_one_spec_that_has_them() -> None:
    found = sort_overrides({"nic.line_rate": "800 Gb/s", "batch.sequences": 1})
    assert found["hardware"] == {"nic.line_rate": "800 Gb/s"}
    assert found["workload"] == {"batch.sequences": 1}


@pytest.mark.parametrize("item", ["radix", "=3", "radix=", ""])
def test_override_syntax(item: str) -> None:
    with pytest.raises(NetsimError, match="must be written key=value"):
        parse_overrides([item])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name = 'x'\nfamily =", "not valid TOML"),
        ("name = 'x'", "is missing"),
        ("\x00", "not valid TOML"),
        # the misspelt key is why radix is missing, and it is the one to name
        ("[switch]\nradx = 64", "switch.radx = 64, unknown key: did you mean 'radix'?"),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(NetsimError) as caught:
        load(TopologySpec, "topology", str(path))
    assert line in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(catalog.find("topology", "mpft").read_text("utf-8"), "utf-8-sig")
    assert load(TopologySpec, "topology", str(path)) == load(TopologySpec, "topology", "mpft")


@pytest.mark.parametrize("model", SECTIONS.values(), ids=SECTIONS)
def test_every_key_says_what_it_takes_and_means(model: type[BaseModel]) -> None:
    found = keys(model)
    assert [key.name for key in found] == all_keys(model)
    for key in found:
        assert key.takes, key.name
        assert key.meaning.endswith("."), key.name
        assert key.meaning[0].isupper(), key.name


def test_keys_of_units_choices_and_ranges() -> None:
    found = {key.name: key for key in [*keys(TopologySpec), *keys(WorkloadSpec)]}
    assert found["switch.port_rate"].takes == "bytes/s, as '400 Gb/s'"
    assert found["routing"] == ("routing", "ecmp | adaptive | static | valiant | ugal", '"adaptive"',
                                "Paths of a flow: ecmp (hashed), adaptive (sprayed), static (by destination); "
                                "valiant, ugal on a Dragonfly.")  # fmt: skip
    assert found["model.attention.kind"].takes == "mla | gqa | mqa | mha | recurrent"
    assert found["model.attention.kv_rank"].meaning.endswith("(kind mla).")


def test_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(NetsimError, match="is a folder, not a file"):
        catalog.find("topology", f"{tmp_path}/")
    with pytest.raises(NetsimError, match="did you mean 'mpft'"):
        catalog.find("topology", "mpftt")
    with pytest.raises(NetsimError, match="no such topology file"):
        catalog.find("topology", "nowhere/mine.toml")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("[workload]", "[worklod]", "[worklod]: unknown table: did you mean 'workload'?"),
        ("gpus = 64", "gpu = 64", "[run]: gpu = 64, unknown key: did you mean 'gpus'?"),
        ("[run]", "[ran]", "[run] is missing: --spec takes the spec.toml of a run"),
    ],
)
def test_what_a_run_asked_is_read_whole(tmp_path: Path, old: str, new: str, line: str) -> None:
    path = tmp_path / "spec.toml"
    text = tomli_w.dumps({"run": {"gpus": 64, "scaling": "weak", "seed": 3}} | make_case().as_tables())
    path.write_text(text)
    assert read_run(path) == RunTable(gpus=64, scaling="weak", seed=3)
    assert make_case(*[str(path)] * 2, hardware=str(path), profile=str(path), prices=str(path)) == make_case()
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(NetsimError) as caught:
        read_run(path)
    assert line in str(caught.value)


def test_a_resolved_spec_reads_back_as_itself(tmp_path: Path) -> None:
    case = make_case(overrides={"latency.switch_hop": "0.31 us"})
    path = tmp_path / "again.toml"
    path.write_text(tomli_w.dumps(case.as_tables()["topology"]))
    assert load(TopologySpec, "topology", str(path)) == case.topology
