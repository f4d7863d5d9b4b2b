"""Whatever a file, its name or a framework says, a report holds it as text and nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from optmap.conformance.results import Divergence, Level, Mode, Pair, Refused, Report, Result, Verdict
from optmap.mapping.records import Literal
from optmap.report import CHECK_FORMATS
from optmap.shown import shown_lines

HOSTILE = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</td></tr></table><h1>x", "`<b>`", "``` x", "| a | b |", "[x](javascript:alert(1))",
    "![x](http://e/x.png)", "a\n::error::forged", "a\n  ##[error]forged", "%0A::error::forged", "\x1b[2J\x1b]0;x\x07", "\x00\x0b\ud800\ufffe", "]]>", "&lt;&#60;",
    "\u202etxt", "\r::error::x",
]  # fmt: skip


def report(text: str) -> Report:
    """A report that says the text wherever a file, a name or a framework has a say."""
    given: dict[str, Literal] = {"lr": 0.1, "name": text}
    pair = Pair("torch.optim.X", "mindspore.nn.X", given, given, f"{text}.py:3", causes=(text,), advice=(text,))
    worst = Divergence(1.0, 7, 1.0, 2, "weight", Level.DIVERGENT)
    common = ("float64", Mode.FORCED, 10)
    results = (
        Result(pair, "mindspore", "one", *common, worst, Level.CLOSE, (text,), Verdict.WORSE, text),
        Result(pair, "mindspore", "two", *common, None, Level.CLOSE, (), Verdict.NOT_RUN, text),
    )
    refused = Refused("torch.optim.Y", "mindspore", given, f"{text}.py:9", (text,))
    return Report({"torch": text, "tensorflow": None}, {"tensorflow": text}, results, (refused,))


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"{tag} {sorted(name for name, _ in attrs)}")


def tags(text: str) -> list[str]:
    parser = Tags()
    parser.feed(CHECK_FORMATS["html"](report(text)))
    return parser.found


@pytest.mark.parametrize("text", HOSTILE)
def test_html(text: str) -> None:
    assert tags(text) == tags("harmless")


@pytest.mark.parametrize("text", HOSTILE)
def test_junit(text: str) -> None:
    one, other = (ElementTree.fromstring(CHECK_FORMATS["junit"](report(item))) for item in (text, "harmless"))
    assert [node.tag for node in one.iter()] == [node.tag for node in other.iter()]
    assert [sorted(node.attrib) for node in one.iter()] == [sorted(node.attrib) for node in other.iter()]


@pytest.mark.parametrize("text", HOSTILE)
def test_github(text: str) -> None:
    one, other = (CHECK_FORMATS["github"](report(item)) for item in (text, "harmless"))
    assert re.findall(r"^[^ ]+", one, re.MULTILINE) == re.findall(r"^[^ ]+", other, re.MULTILINE)
    assert one.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown(text: str) -> None:
    one, other = (CHECK_FORMATS["markdown"](report(item)) for item in (text, "harmless"))
    assert one.count("\n") == other.count("\n")
    bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", one.replace("\\`", ""))
    assert not re.search(r"(?<!\\)(?:<(?!br>)|!\[|\]\()", bare), bare


@pytest.mark.parametrize("text", HOSTILE)
def test_text(text: str) -> None:
    lines = shown_lines(CHECK_FORMATS["text"](report(text))).split("\n")
    assert all(line.isprintable() and not line.lstrip().startswith(("::", "##[")) for line in lines)
