"""The HTML report, opened in a real browser: links, sorting, filtering, both colour schemes, three widths."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from optmap.conformance.results import Course, Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.report.check_html import render
from optmap.report.plots import drift_plot
from tests.accessible import CHROMIUM, OPTIONS, missing, serious
from tests.commandline import run


def result(
    pair: Pair, level: Level | None, drift: float = 0.0, verdict: Verdict = Verdict.AS_EXPECTED, **more: Any
) -> Result:
    measured = Divergence(drift, None, drift, 3 if drift else None, "w" if drift else None, level) if level else None
    course = Course((0.0, drift), (0.1, 0.2), (0.1, 0.3), (2e-5, 1e-2)) if level else None
    mode = more.pop("mode", Mode.FORCED)
    return Result(
        pair, "mindspore", "dense", "float32", mode, 2, measured, Level.CLOSE, (), verdict, course=course, **more
    )


ADAM = Pair(
    "torch.optim.Adam", "mindspore.nn.Adam", {"lr": 0.1}, {"learning_rate": 0.1}, causes=("<b>epsilon</b> & co",)
)
SGD = Pair("torch.optim.SGD", "mindspore.nn.SGD", {"lr": 1.0}, {"learning_rate": 1.0}, origin="</script><i>.py:3")
LARS = Pair("torch.optim.Adam", "mindspore.nn.LARS", {}, {}, not_run="needs another device")
REPORT = Report(
    {"torch": "2.13.0", "mindspore": None},
    {"mindspore": "<script>alert(1)</script>"},
    (
        result(ADAM, Level.CLOSE, 3e-4),
        result(ADAM, Level.CLOSE, 4e-4, mode=Mode.FREE, noise_floor=1e-6),
        result(SGD, Level.DIVERGENT, math.inf, Verdict.WORSE, reason="drift </td> is not finite"),
        result(LARS, None, verdict=Verdict.NOT_RUN, reason="needs another device"),
    ),
    (Refused("torch.optim.LBFGS", "mindspore", {}, "", ("it has no <counterpart>",)),),
)


class Reader(HTMLParser):
    """The tags of a page that are open, the ids, the links within the page, and whether text was taken for markup."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        if tag not in ("meta", "input", "br", "path"):
            self.open.append(tag)
        self.ids += [found["id"] or ""] if "id" in found else []
        if tag == "a":
            self.links.add((found["href"] or "").removeprefix("#"))

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_holds_no_text_as_markup() -> None:
    page = render(REPORT, command="optmap check --set 'x=<y>'", date="2026-01-02")
    found = Reader(page)
    assert found.open == []
    assert len(set(found.ids)) == len(found.ids)
    assert found.links <= set(found.ids)
    assert not {"b", "i", "y", "counterpart"} & found.tags
    assert page.count("<script>") == 1
    assert not re.findall(r"(?:src|href)=.?(?:https?:)?//", page), "the page is self-contained"
    assert "not finite" in page
    assert "2026-01-02" in page
    assert render(REPORT) == render(REPORT)


def test_runs_that_are_not_finite_stay_within_the_plot() -> None:
    plot = drift_plot([("forced", [0.0, 1e-9, math.inf, math.nan])], [("CLOSE ends", 1e-2)])
    numbers = [float(text) for line in plot.lines for text in re.findall(r"-?[\d.]+", line.path)]
    assert all(0 <= number <= 400 for number in numbers)
    assert "not finite after step 4" in plot.description


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    path = tmp_path / "report.html"
    path.write_text(render(REPORT))
    return path.as_uri()


def test_a_reader_sorts_filters_and_follows_links(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)

    def shown() -> list[str]:
        cells: list[str] = page.locator("#list tbody tr:visible td:first-child").all_inner_texts()
        return cells

    assert len(shown()) == 3
    page.get_by_role("button", name="drift").click()
    assert [text.partition("(")[0] for text in shown()] == ["torch.optim.Adam", "torch.optim.Adam", "torch.optim.SGD"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "drift"
    page.get_by_role("button", name="drift").click()
    assert shown()[0].startswith("torch.optim.SGD")
    page.get_by_role("combobox", name="Verdict").select_option("fails")
    assert [text.partition("(")[0] for text in shown()] == ["torch.optim.SGD"]
    assert page.locator("details:visible").count() == 1
    page.get_by_role("combobox", name="Verdict").select_option("")
    page.get_by_role("searchbox", name="Find").fill("nn.adam")
    assert len(shown()) == 1
    page.locator("#list tbody tr:visible a").click()
    assert page.locator("details:target").get_attribute("open") is not None
    assert page.locator("details:target svg").count() == 2
    link = page.url
    other = browser.new_page()
    other.goto(link)
    assert other.locator("details[open] summary").first.is_visible()
    assert other.locator("details:target").get_attribute("open") is not None


def test_without_scripts_everything_can_be_read(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#list tbody tr:visible").count() == 3
    assert not page.locator("form").is_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1280])
def test_the_page_fits_and_can_be_read_in_both_schemes(browser: Any, address: str, scheme: str, width: int) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.screenshot(full_page=True)
    assert page.evaluate(CONTRAST) == []
    context.close()


def test_axe_finds_no_serious_violation(browser: Any, address: str, tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    explained = run("explain", "torch.optim.AdamW", "--all", "--format", "html", cwd=tmp_path)
    (tmp_path / "explain.html").write_bytes(explained.out)
    (tmp_path / "bad.html").write_text("<html><body><img src='x.png'><p style='color: #eee'>faint</p></body></html>")
    assert list(serious(browser, [tmp_path / "report.html", tmp_path / "explain.html"])) == []
    assert {text.split(": ")[1] for text in serious(browser, [tmp_path / "bad.html"])} >= {"image-alt", "html-has-lang"}


CONTRAST = """() => {
  const part = (value) => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const colour = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = colour(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || node.closest("script, svg, .hidden")) continue;
    const [a, b] = [light(colour(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${node.tagName}.${node.className}: ${node.textContent.slice(0, 30)}`);
  }
  return low;
}"""
"""The elements whose text has less contrast to its ground than WCAG's level AA asks for, 4.5 to 1."""
