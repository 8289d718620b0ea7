"""Names that others chose cross every border whole: terminal, plot, SVG, GraphML and spreadsheet."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest

from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.reports.plots import canvas, svg
from netsim.reports.terminal.screen import line, screen
from netsim.specs import TopologySpec
from netsim.specs.base import load
from netsim.specs.borders import cell, printable, write_csv


@pytest.mark.parametrize("name", ["my[v2]", "[/v2]", ":smile:", "[bold]x"])
def test_a_name_with_markup_is_shown_as_it_stands(name: str) -> None:
    console = screen(100)
    with console.capture() as shown:
        console.print(name)
        console.print(line((name, "bold"), " fabric"))
    assert shown.get().splitlines() == [name, f"{name} fabric"]


@pytest.mark.parametrize("name", ["my[v2]", "[/v2]"])
def test_a_fabric_with_markup_in_its_name_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["topology", "ft2", "--gpus", "64", "--set", f"topology.name={name}"]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("name", ["$x_{$", "a $ b $ c", "cost in $", "$\\frac$", "\\$"])
def test_a_dollar_begins_no_formula_in_a_plot(name: str) -> None:
    fig, ax = canvas()
    ax.plot([1, 2], [1, 2], label=name)
    ax.set_title(name)
    ax.set_xlabel(name)
    ax.set_yticks([1, 2], [name, "b"])
    ax.legend()
    text = svg(fig)
    shown = [part.text for part in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert shown.count(name) == 4


def test_powers_of_ten_stay_formulas() -> None:
    fig, ax = canvas()
    ax.loglog([1, 1e6], [1, 1e6])
    text = svg(fig)
    assert "<!-- $\\mathdefault{10^{2}}$ -->" in text
    assert ">$" not in text


def test_control_characters_reach_no_svg() -> None:
    fig, ax = canvas()
    ax.set_title("a\x1b[31m\x00b")
    ET.fromstring(svg(fig))


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\x00b", "\u202egnp", "\udcff"])
def test_a_name_with_control_characters_is_refused(name: str) -> None:
    with pytest.raises(NetsimError, match="must hold no control characters"):
        load(TopologySpec, "topology", "ft2", {"name": name})


def test_a_complaint_shows_control_characters_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["topology", "a/\x1b[31m.toml"]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\\x1b[31m" in said
    assert printable("\udcff") == "\\udcff"


def test_a_spreadsheet_computes_no_name(tmp_path: object) -> None:
    text = io.StringIO()
    write_csv(pd.DataFrame({"name": ["=1+1", "@x", "ft2"], "=n": [1, -2, 3]}), text)  # type: ignore[arg-type]
    assert text.getvalue() == "name,'=n\n'=1+1,1\n'@x,-2\nft2,3\n"
    assert cell("+5") == "'+5"


@pytest.mark.parametrize("value", ["1" * 5000, "2024-13-45"])
def test_a_number_without_end_in_a_toml_is_one_line(value: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f"planes = {value}\n")
    with pytest.raises(NetsimError, match="not valid TOML"):
        load(TopologySpec, "topology", str(tmp_path / "a.toml"))
