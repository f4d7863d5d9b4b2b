"""Reads the before/after cases of tests/cases/**/*.md.

A case is a `## title`, an optional line `options: ...` (as on the command line), a ```python block with the source, then
either a second ```python block with the result or the word `unchanged`, and a list of the diagnostics that are expected,
one `- CODE line` each, in order. Codes of severity info may be left out of the list; the others may not. `- CODE line: text`
states the message as well, as a whole; `...` in it stands for any text. ```shown blocks are the code that the messages show, in
their order, all of it or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "cases"
_TITLE = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(r"^```shown\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DIAGNOSTIC = re.compile(r"^- (OM\d+) (\d+)(?:: (.+))?$", re.MULTILINE)
_OPTIONS = re.compile(r"^options: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    name: str
    options: dict[str, str]
    before: str
    after: str
    diagnostics: tuple[tuple[str, int], ...]
    messages: tuple[str, ...]
    """What each of the diagnostics says; empty where the case leaves that open."""
    shown: tuple[str, ...] = ()
    """The code that the diagnostics show; empty where the case leaves that open."""


def cases() -> Iterator[Case]:
    for path in sorted(DIRECTORY.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        parts = _TITLE.split(text)[1:]
        for title, body in zip(parts[::2], parts[1::2], strict=True):
            yield _case(f"{path.stem}: {title}", body)


def _case(name: str, body: str) -> Case:
    blocks = _BLOCK.findall(body)
    shown = tuple(code.rstrip("\n") for code in _SHOWN.findall(body))
    rest = _SHOWN.sub("", _BLOCK.sub("", body))
    unchanged = re.search(r"^unchanged$", rest, re.MULTILINE) is not None
    if len(blocks) != (1 if unchanged else 2):
        raise ValueError(f"{name}: found {len(blocks)} python blocks, expected {1 if unchanged else 2}")
    found = _OPTIONS.search(rest)
    options = dict(_option(item) for item in re.findall(r"--\S+(?: (?!--)\S+)*", found[1])) if found else {}
    if strange := [line for line in rest.splitlines() if line.startswith("- ") and not _DIAGNOSTIC.fullmatch(line)]:
        raise ValueError(f"{name}: found {strange[0]!r}, expected `- CODE line` or `- CODE line: text`")
    found_diagnostics = _DIAGNOSTIC.findall(rest)
    diagnostics = tuple((code, int(line)) for code, line, _ in found_diagnostics)
    return Case(
        name, options, blocks[0], blocks[-1], diagnostics, tuple(text for _, _, text in found_diagnostics), shown
    )


def says(message: str, text: str) -> bool:
    """Whether a message is the text of a case, in which `...` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, text.split("..."))), message, re.DOTALL) is not None


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.removeprefix("--").partition(" ")
    return name, value
