"""The pages in a browser: they open offline, draw every picture, say nothing on the console, and hold the numbers."""

import base64
import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import netsim

JOB: dict[str, Any] = {
    "schedule": "1f1b",
    "overrides": {"workload.parallelism.pipeline": 2, "batch.microbatches": 2, "switch.radix": 16},
}
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
#: table of the page -> where its rows are in report.json
TABLES = {
    "comparison": "comparison", "breakdown": "breakdown", "binding": "binding", "bandwidth": "bandwidth",
    "collectives-in-step": "collectives", "latency-by-path": "latency", "bill-of-materials": "bill",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install .[dev]"
    )
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
        flags += ["--disable-background-networking", "--disable-component-update"]
        chromium = playwright.chromium.launch(executable_path=found, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("pages")
    netsim.compare(["mpft", "ft3", "rail_only"], gpus=256, sizes="1MiB,1GiB", **JOB).save(where / "compare")
    netsim.run("mpft", 128, **JOB).save(where / "run")
    return where


@pytest.fixture(params=["compare", "run"])
def page(request: pytest.FixtureRequest, browser: Any, folder: Path) -> Iterator[Any]:
    """A page in a browser without a network; leaves what it asked for and said in `asked` and `said`."""
    context = browser.new_context(viewport=WIDE, offline=True)
    opened = context.new_page()
    opened.asked, opened.said, opened.kind = [], [], request.param
    opened.on("request", lambda each: opened.asked.append(each.url))
    opened.on("console", lambda each: opened.said.append(each.text))
    opened.on("pageerror", lambda each: opened.said.append(str(each)))
    opened.goto((folder / request.param / "report.html").as_uri())
    yield opened
    context.close()


def test_page_opens_offline_without_a_word(page: Any, folder: Path) -> None:
    assert page.said == []
    others = [url for url in page.asked if not url.startswith("data:")]
    assert others == [(folder / page.kind / "report.html").as_uri()]


def test_every_picture_is_drawn(page: Any) -> None:
    figures = page.locator("figure svg")
    assert figures.count() == page.locator("figure").count() >= 3
    for n in range(figures.count()):
        box = figures.nth(n).bounding_box()
        assert box["width"] > 100
        assert box["height"] > 50
        # marks were drawn, not only a frame, and every reference inside the picture is met
        assert figures.nth(n).locator("path, use").count() > 10
    dangling = page.evaluate(
        """() => [...document.querySelectorAll('svg use')].map(use => use.getAttribute('xlink:href'))
              .filter(target => !document.querySelector(target))"""
    )
    assert dangling == []
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["desktop", "phone"])
def test_nothing_sticks_out(page: Any, viewport: dict[str, int]) -> None:
    """The page is as wide as the screen; what is wider scrolls in its own frame."""
    page.set_viewport_size(viewport)
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


def test_tables_equal_the_json(page: Any, folder: Path) -> None:
    if page.kind == "run":
        record = json.loads((folder / "run" / "result.json").read_text())
        expected = {
            "collectives-table": record["collectives"],
            "bill-of-materials": record["cost"]["lines"],
            "phase-table": [{"phase": k, "mean_s": v} for k, v in record["step"]["phases_s"].items()],
        }
    else:
        record = json.loads((folder / "compare" / "report.json").read_text())
        expected = {name: record["tables"][key] for name, key in TABLES.items()}
    for name, rows in expected.items():
        table = page.locator(f"table#{name}")
        keys = [head.get_attribute("data-key") for head in table.locator("th").all()]
        shown = table.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.dataset.value))"
        )
        assert len(shown) == len(rows)
        for cells, row in zip(shown, rows, strict=True):
            for key, cell in zip(keys, cells, strict=True):
                if key in row or name in TABLES:
                    assert json.loads(cell) == row.get(key), (name, key)


def test_every_download_holds_its_table(page: Any, folder: Path) -> None:
    links = page.locator("a[download]")
    found = {a.get_attribute("download"): a.get_attribute("href") for a in links.all()}
    assert len(found) == links.count() == page.locator("table").count() + 1
    for name, address in found.items():
        text = base64.b64decode(address.partition("base64,")[2]).decode()
        if name.endswith(".json"):
            kept = json.loads((folder / page.kind / name).read_text())
            kept.pop("run", None)
            assert json.loads(text) == kept
        else:
            rows = page.locator(f"table#{name.removesuffix('.csv')} tbody tr").count()
            assert len(list(csv.DictReader(io.StringIO(text)))) == rows > 0


def test_paper_shows_what_is_folded(page: Any) -> None:
    def folded() -> int:
        return int(
            page.locator("details").evaluate_all(
                "all => all.filter(each => !each.querySelector('table').checkVisibility()).length"
            )
        )

    assert folded() == page.locator("details").count() > 0
    page.emulate_media(media="print")
    assert folded() == 0
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")
