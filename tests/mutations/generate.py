"""Mutations of the tables' text: every row and section, one change at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from optmap.mapping.load import SCHEDULES, load_schedules
from optmap.mapping.load import load as load_optimizers
from optmap.mapping.stored import own_files

NUMBER: Final = r"-?[0-9][0-9.]*(?:e-?[0-9]+)?"
KEYS: Final = (
    "range", "accepts", "times", "over", "plus", "then", "below", "whole", "since", "until", "was", "none_is", "zero_is",
    "keyword_only",
)  # fmt: skip
"""Keys of a row that may be missing."""
SECTION_KEYS: Final = ("fixed", "group_keys", "not_run", "since", "until", "extra_keywords", "rule_when")
SHARED_KEYS: Final = (
    "neutral", "also_neutral", "inert_without", "grows_with", "effect", "default", "active_with", "ungrouped_only", "needs",
    "squares", "cancels",
)  # fmt: skip
"""Keys of hyperparameters and traits."""


class Mutation(NamedTuple):
    """A line of a file that is replaced; `place` is the class, hyperparameter or trait that it belongs to."""

    kind: str
    file: str
    line: int
    place: str
    old: str
    new: str
    others: tuple[tuple[int, str], ...] = ()

    @property
    def schedule(self) -> bool:
        return f"/{SCHEDULES}/" in self.file

    def __str__(self) -> str:
        return f"{self.kind}: {self.file}:{self.line + 1} {self.place}: {self.old.strip()} -> {self.new.strip() or 'nothing'}"


@cache
def texts(schedules: bool) -> dict[str, str]:
    return {name: content.decode() for name, content in own_files(*([SCHEDULES] if schedules else []))}


def mutated(mutation: Mutation) -> list[tuple[str, bytes]]:
    """The files with the change."""
    files = dict(texts(mutation.schedule))
    lines = files[mutation.file].split("\n")
    assert lines[mutation.line] == mutation.old
    for number, new in ((mutation.line, mutation.new), *mutation.others):
        lines[number] = new
    files[mutation.file] = "\n".join(lines)
    return [(name, text.encode()) for name, text in files.items()]


def mutations() -> list[Mutation]:
    """All of them, in the order of the files."""
    return [item for schedules in (False, True) for name in texts(schedules) for item in _of_file(name, schedules)]


def _of_file(name: str, schedules: bool) -> Iterator[Mutation]:
    lines = texts(schedules)[name].split("\n")
    place, block = "", ""
    rows: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if re.match(r"[a-z_]+:", line):
            block, place = line.partition(":")[0], ""
        elif re.match(r"  [\w.]+:", line):
            place = line.strip().partition(":")[0]
            rows = []
        if block in ("hyperparameters", "traits") and place:
            yield from _shared(name, number, place, block, line)
        elif re.match(r"\s+- \{name: ", line):
            yield from _row(name, number, place, line)
            yield from _swaps(name, number, place, line, rows)
            rows.append((number, line))
        elif block == "apis" and place and re.match(r"    \w+:", line):
            yield from _section(name, number, place, line, schedules)


def _row(file: str, number: int, place: str, line: str) -> Iterator[Mutation]:
    def made(kind: str, new: str) -> Mutation:
        return Mutation(kind, file, number, place, line, new)

    yield made("row dropped", "")
    tied = re.search(r"is: (\[[^]]*\]|\w+)", line)
    if tied and tied[1] not in ("parameters", "optimizer", "global_step"):
        yield made("relabelled as execution", re.sub(r"is: (\[[^]]*\]|\w+)", "affects: execution", line))
    if "switches:" in line:
        yield made("relabelled as execution", re.sub(r"switches: \{[^}]*\}", "affects: execution", line))
    if tied and tied[1].startswith("["):
        items = tied[1][1:-1].split(", ")
        yield made("ties swapped", line.replace(tied[1], f"[{', '.join((items[1], items[0], *items[2:]))}]"))
    if re.search(r"times: steps_per_epoch", line):
        yield made("times turned into over", line.replace("times:", "over:"))
    for moved in re.finditer(r"plus: (-?\d+)", line):
        yield made("plus moved", line.replace(moved[0], f"plus: {int(moved[1]) + 1}"))
    default = re.search(r"default: (\[[^]]*\]|\"[^\"]*\"|[^,}]+)", line)
    if default:
        for new in _defaults(default[1]):
            yield made("default changed", line.replace(default[0], f"default: {new}"))
    for key in KEYS:
        if found := re.search(rf", {key}: (?:\"[^\"]*\"|\{{[^}}]*\}}|[^,}}]+)", line):
            yield made(f"{key} dropped", line.replace(found[0], "", 1))
    if found := re.search(r'range: "([\[(])(.*?), (.*?)([\])])"', line):
        other = "(" if found[1] == "[" else "["
        yield made(
            "range closed or opened", line.replace(found[0], f'range: "{other}{found[2]}, {found[3]}{found[4]}"')
        )


def _defaults(text: str) -> Iterator[str]:
    if text in ("true", "false"):
        yield {"true": "false", "false": "true"}[text]
    elif numbers := list(re.finditer(NUMBER, text)) if not text.startswith('"') else []:
        for item in numbers:
            value = float(item[0])
            whole = "." not in item[0] and "e" not in item[0]
            new = str(int(value) * 10 or 1) if whole else repr(value * 10 or 0.1)
            yield text[: item.start()] + new + text[item.end() :]
    elif text == "null":
        yield "0.1"


def _swaps(file: str, number: int, place: str, line: str, rows: list[tuple[int, str]]) -> Iterator[Mutation]:
    """Swap the tie with that of the row before it that has one."""
    tie = re.search(r"is: (\w+)", line)
    for other, text in reversed(rows):
        theirs = re.search(r"is: (\w+)", text)
        if tie and theirs and theirs[1] not in ("parameters", "optimizer", "global_step", tie[1]):
            yield Mutation(
                "ties swapped", file, number, place, line, line.replace(tie[0], theirs[0], 1),
                ((other, text.replace(theirs[0], tie[0], 1)),),
            )  # fmt: skip
            return


def _section(file: str, number: int, place: str, line: str, schedules: bool) -> Iterator[Mutation]:
    key, _, rest = line.strip().partition(": ")
    if key in ("rule", "fixed"):
        items = rest.strip("{}").split(", ")
        for item in items:
            others = ", ".join(each for each in items if each is not item)
            yield Mutation(f"{key} dropped", file, number, place, line, f"    {key}: {{{others}}}")
            name, _, value = item.partition(": ")
            for new in _others(name, value, schedules) if key == "rule" else _defaults(value):
                yield Mutation(f"{key} changed", file, number, place, line, line.replace(item, f"{name}: {new}"))
    elif key in SECTION_KEYS:
        yield Mutation(f"section's {key} dropped", file, number, place, line, "")


def _others(trait: str, value: str, schedules: bool) -> list[str]:
    tables = load_schedules() if schedules else load_optimizers()
    return [other for other in tables.traits[trait].values if other != value]


def _shared(file: str, number: int, place: str, block: str, line: str) -> Iterator[Mutation]:
    kind = block.removesuffix("s")
    key, _, value = line.strip().partition(": ")
    if key in SHARED_KEYS and line.startswith("    ") and not line.startswith("     "):
        yield Mutation(f"{kind}'s {key} dropped", file, number, place, line, "")
        if key == "effect":
            new = "close" if value == "divergent" else "divergent"
            yield Mutation(f"{kind}'s effect changed", file, number, place, line, line.replace(value, new))
        elif key in ("neutral", "default"):
            for new in _defaults(value):
                yield Mutation(f"{kind}'s {key} changed", file, number, place, line, line.replace(value, new))
