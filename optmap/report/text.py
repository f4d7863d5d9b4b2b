"""What `translate` prints beside the files' own findings: diffs and totals."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from optmap.diagnostics import WORDS
from optmap.report.json import summary
from optmap.report.terminal import coloured, write
from optmap.shown import count, shown
from optmap.translate.results import CellChange, FileResult

_DIFF: Final = {"+": "green", "-": "red", "@": "cyan"}
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")  # a line as patch and git define it


def show_summary(results: Sequence[FileResult], mode: str) -> None:
    """Print one summary line to stderr."""
    counts = summary([("", result) for result in results])
    verb = {"--write": "rewrote", "--output": "wrote changes to"}.get(mode, "would change")
    calls = f"{counts['translated']} translated, {counts['refused']} refused, {counts['unchanged']} left alone"
    failed = f", {count(counts['failed'], 'file')} failed" if counts["failed"] else ""
    messages = ", ".join(count(counts[f"{severity}s"], word) for severity, word in WORDS.items())
    write(
        sys.stderr, (f"optmap: {verb} {count(counts['changed'], 'file')}; calls: {calls}{failed}; {messages}\n", "bold")
    )


def show_statistics(results: Sequence[FileResult]) -> None:
    """Print to stderr how often each code was reported, the most frequent first."""
    found = Counter(item.code for result in results for item in result.diagnostics)
    for code, number in sorted(found.items(), key=lambda item: (-item[1], item[0].id)):
        write(sys.stderr, (f"{number:>7}  {code.id}  {WORDS[code.severity]:<7}  {code.name}\n", ""))


def unified_diff(path: str, before: bytes, after: bytes, cell: str = "") -> None:
    """Print a unified diff to stdout that `patch` and `git apply` accept, byte for byte, unless it is of a notebook's cell."""
    import difflib

    old, new = (_LINE.findall(text.decode("utf-8", "surrogateescape")) for text in (before, after))
    for line in difflib.unified_diff(old, new, _named("a/", path, cell), _named("b/", path, cell)):
        ending = "" if line.endswith("\n") else "\n\\ No newline at end of file\n"
        raw = (line + ending).encode("utf-8", "surrogateescape")
        if coloured(sys.stdout):
            style = "bold" if line[:3] in ("+++", "---") else _DIFF.get(line[:1], "")
            write(sys.stdout, (line.rstrip("\r\n"), style), ("\n", ""))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(raw)


def _named(side: str, path: str, cell: str) -> str:
    """A name as git writes it: quoted if it must be, and with a tab behind it where patch would stop at its white space."""
    name = side + path.lstrip("/")
    if cell:
        return f"{shown(name)}{cell}"
    if any(letter < " " or letter in '"\\\x7f' for letter in name):
        raw = name.encode("utf-8", "surrogateescape")
        return (
            '"'
            + "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in raw)
            + '"'
        )
    return f"{name}\t" if " " in name else name


def notebook_diff(path: str, cells: Sequence[CellChange]) -> None:
    """Print a unified diff of the source of each changed cell, for reading only: `patch` cannot apply it."""
    for cell in cells:
        old, new = (text if text.endswith("\n") else text + "\n" for text in (cell.before, cell.after))
        unified_diff(path, _utf8(old), _utf8(new), f":cell {cell.number}")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
