"""The compute profile as a strict spec."""

import copy
from typing import Any

import pytest

from netsim.errors import SpecError
from netsim.specs import catalog, load, read_toml, validate
from netsim.specs.profile import KINDS, REQUIRED_KINDS, ProfileSpec


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return read_toml(catalog.find("profile", "h800"))


def broken(tables: dict[str, Any], **changes: Any) -> dict[str, Any]:
    data = copy.deepcopy(tables)
    data.update(changes)
    return data


@pytest.mark.parametrize("name", catalog.names("profile"))
def test_every_profile_names_all_classes_and_their_sources(name: str) -> None:
    profile = load(ProfileSpec, "profile", name)
    assert set(REQUIRED_KINDS) <= set(profile.classes) <= set(KINDS)
    assert all(model.source for model in profile.classes.values())
    assert profile.sources
    assert {row.kind for row in profile.operators} <= set(profile.classes)


def test_a_resolved_profile_reads_back_as_itself() -> None:
    profile = load(ProfileSpec, "profile", "h800")
    written = profile.model_dump(mode="json", exclude_none=True)
    assert validate(ProfileSpec, written, "spec.toml") == profile


def test_an_unknown_key_offers_the_nearest(tables: dict[str, Any]) -> None:
    data = broken(tables)
    data["gem_sms"] = data.pop("gemm_sms")
    with pytest.raises(SpecError, match="gemm_sms"):
        validate(ProfileSpec, data, "a.toml")


def test_an_unknown_key_of_a_row_is_refused(tables: dict[str, Any]) -> None:
    data = broken(tables)
    data["operators"][0]["overlaped"] = "1 us"
    with pytest.raises(SpecError, match=r"operators\.0\.overlaped.*unknown key"):
        validate(ProfileSpec, data, "a.toml")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("overlapped", "47", "written with its unit"),
        ("overlapped", "-4 us", "greater than"),
        ("overlapped", "0 us", "greater than"),
        ("kind", "gem", "Input should be|input should be"),
        ("calls", 0, "greater than or equal to 1"),
        ("rows", [1, 2], "rows and row_times must be equally long"),
        ("shape", [], "at least 1"),
    ],
)
def test_a_bad_value_of_a_row_is_one_line(tables: dict[str, Any], key: str, value: Any, words: str) -> None:
    data = broken(tables)
    data["operators"][0][key] = value
    with pytest.raises(SpecError, match=words):
        validate(ProfileSpec, data, "a.toml")


def test_a_line_needs_two_points(tables: dict[str, Any]) -> None:
    data = broken(tables)
    data["operators"][0] |= {"rows": [4096, 4096], "row_times": ["1 us", "2 us"]}
    with pytest.raises(SpecError, match="two different values"):
        validate(ProfileSpec, data, "a.toml")


def test_a_name_appears_once(tables: dict[str, Any]) -> None:
    data = broken(tables)
    data["operators"].append(data["operators"][3])
    with pytest.raises(SpecError, match="operator q_a_proj_fwd: appears twice"):
        validate(ProfileSpec, data, "a.toml")


def test_classes_are_complete_and_known(tables: dict[str, Any]) -> None:
    data = broken(tables)
    model = data["classes"].pop("rope")
    with pytest.raises(SpecError, match=r"classes\.rope is missing"):
        validate(ProfileSpec, data, "a.toml")
    data["classes"]["ropes"] = model
    with pytest.raises(SpecError, match=r"classes\.ropes: no such kernel class"):
        validate(ProfileSpec, data, "a.toml")


def test_gemms_cannot_launch_on_more_sms_than_there_are(tables: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="gemm_sms = 133, must not exceed sms = 132"):
        validate(ProfileSpec, broken(tables, gemm_sms=133), "a.toml")


@pytest.mark.parametrize("value", [0.0, 1.2])
def test_an_efficiency_is_a_fraction_of_the_peak(tables: dict[str, Any], value: float) -> None:
    data = broken(tables)
    data["classes"]["gemm_fp8"]["efficiency"] = value
    with pytest.raises(SpecError, match=r"classes\.gemm_fp8\.efficiency"):
        validate(ProfileSpec, data, "a.toml")
