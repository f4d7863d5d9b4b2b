"""What becomes of optimizer calls in a tree of real code: shares by direction, refusals by reason, the length of messages.

Usage: python -m benchmarks.shares DIRECTORY... [--from F --to F] [--todo] [--rewrite-step] [--reasons 20] [--show TEXT]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from optmap.diagnostics import Diagnostic, Severity
from optmap.files import FoundFile, find_files
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.translate.files import TranslatedFile, translate_files
from optmap.translate.options import Options
from optmap.translate.results import CallResult, FileResult, Status, once

DIRECTIONS = (("torch", "mindspore"), ("mindspore", "torch"), ("tensorflow", "mindspore"))
TEST = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$")
FAR = 12
"""Lines below a call's first on which a message may still be about it."""


def reason_of(call: CallResult, result: FileResult) -> Diagnostic | None:
    """The error nearest below a refused call, which stands in one of its arguments or at its head."""
    errors = [item for item in result.diagnostics if item.severity is Severity.ERROR and item.cell == call.cell]
    near = [item for item in errors if 0 <= item.line - call.line <= FAR]
    return min(near, key=lambda item: (item.line - call.line, item.column < call.column), default=None)


def kind_of(item: Diagnostic | None) -> str:
    """A message without the names and numbers of its file."""
    if item is None:
        return "(said elsewhere)"
    plain = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "X", item.message)
    return f"{item.code.id} {re.sub(r'[0-9][0-9.e+-]*', 'N', plain)[:110]}"


def shares(found: Iterable[TranslatedFile]) -> tuple[Counter[Status], Counter[str], list[tuple[str, str]]]:
    """Calls by what became of them, refusals by reason, and where each refusal stands."""
    calls: Counter[Status] = Counter()
    reasons: Counter[str] = Counter()
    places: list[tuple[str, str]] = []
    for file in found:
        for call in file.result.calls:
            calls[call.status] += 1
            if call.status is Status.REFUSED:
                why = reason_of(call, file.result)
                reasons[kind_of(why)] += 1
                cell = f"cell {call.cell}:" if call.cell is not None else ""
                places.append(
                    (f"{file.path}:{cell}{call.line}", kind_of(None) if why is None else f"{why.code.id} {why.message}")
                )
    return calls, reasons, places


def messages(found: Iterable[TranslatedFile]) -> Iterator[Diagnostic]:
    """The messages as people see them: each once for its file."""
    for file in found:
        yield from (said.first for said in once(file.result.diagnostics))


def measure(files: Sequence[FoundFile], source: str, target: str, chosen: argparse.Namespace) -> None:
    """Translate in one direction and print the figures."""
    tables = load()
    options = Options(
        Framework(target), frozenset([Framework(source)]), todo=chosen.todo, rewrite_step=chosen.rewrite_step
    )
    found = list(translate_files(files, tables, options, jobs=chosen.jobs))
    calls, reasons, places = shares(found)
    done, refused = calls[Status.TRANSLATED], calls[Status.REFUSED]
    share = f"{done / (done + refused):.1%}" if done + refused else "none"
    print(f"{source} -> {target}: {done} of {done + refused} translated ({share}), {calls[Status.UNCHANGED]} unchanged")
    for text, number in reasons.most_common(chosen.reasons):
        print(f"  {number:5} {text}")
    said = list(messages(found))
    lengths = [len(item.message) for item in said] or [0]
    over = Counter(item.code.id for item in said if len(item.message) > 300)
    print(
        f"  messages: {len(said)}, median {median(lengths):.0f} characters, longest {max(lengths)}, over 300: {dict(over)}"
    )
    if chosen.lengths:
        for item in sorted(said, key=lambda item: -len(item.message))[: chosen.lengths]:
            print(f"  {len(item.message):5} {item.code.id} {item.message}")
        by_code: dict[str, list[int]] = {}
        for item in said:
            by_code.setdefault(item.code.id, []).append(len(item.message))
        for code, sizes in sorted(by_code.items(), key=lambda pair: -len(pair[1])):
            print(f"  {code}: {len(sizes)} messages, median {median(sizes):.0f}, longest {max(sizes)}")
    for place, text in places if chosen.show is not None else ():
        if chosen.show in text or chosen.show in place:
            print(f"  {place}: {text}")


def main() -> int:
    """Measure every direction asked for."""
    parser = argparse.ArgumentParser(description="Shares of optimizer calls translated, and the length of messages.")
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--from", dest="source", help="the framework to translate from; three directions without it")
    parser.add_argument("--to", dest="target", default="mindspore")
    parser.add_argument("--todo", action="store_true")
    parser.add_argument("--rewrite-step", action="store_true")
    parser.add_argument("--tests", action="store_true", help="count the calls in tests as well")
    parser.add_argument("--reasons", type=int, default=20, help="how many reasons to print")
    parser.add_argument("--lengths", type=int, default=0, help="print so many of the longest messages")
    parser.add_argument("--show", metavar="TEXT", help="print the refused calls with this in their reason or path")
    parser.add_argument("--jobs", type=int, default=1)
    chosen = parser.parse_args()
    files = [item for item in find_files(chosen.directories) if chosen.tests or not TEST.search(item.path.as_posix())]
    for source, target in [(chosen.source, chosen.target)] if chosen.source else DIRECTIONS:
        measure(files, source, target, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
