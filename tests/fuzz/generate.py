"""Files with many calls each: random classes, spellings, arguments, layouts and places."""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from optmap.mapping.framework import Framework
from optmap.mapping.plan import Prefer
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Parameter
from optmap.translate.options import Options
from tests.fuzz.positions import POSITIONS
from tests.translate.test_properties import PARAMS, SPELLINGS, TABLES, values_for

STAR: Final = {
    "torch.optim": ("from torch.optim import *", "{}"),
    "mindspore.experimental.optim": ("from mindspore.experimental.optim import *", "{}"),
    "tf.keras.optimizers": ("from tensorflow.keras.optimizers import *", "{}"),
}
DIRECTIONS: Final = [
    (["torch.optim"], "mindspore"),
    (["torch.optim"], "tensorflow"),
    (["tf.keras.optimizers", "tf.compat.v1.train"], "mindspore"),
    (["tf.keras.optimizers", "tf.compat.v1.train"], "torch"),
    (["mindspore.nn", "mindspore.experimental.optim"], "torch"),
    (["mindspore.nn", "mindspore.experimental.optim"], "tensorflow"),
]
NOTES: Final = ["", "", "", "  # é, (note", "  # torch.optim.SGD(", "  #"]
LEADS: Final = [
    "",
    '"""Trains."""\n',
    "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n",
    "from __future__ import annotations\n",
    "# coding: latin-1\n",
    "\n\n",
]
NEWLINES: Final = ["\n", "\n", "\n", "\r\n", "\r"]
_BOLD: Final = {ord("A") + index: 0x1D5A0 + index for index in range(26)}
_PLAIN: Final = {bold: letter for letter, bold in _BOLD.items()}
"""Letters that Python takes for those of ASCII in names, and back."""


class File(NamedTuple):
    """A generated file, the line ending that it may have in place of a line feed, its calls, and how it is translated."""

    data: bytes
    newline: bytes
    calls: int
    options: Options


def generate(random: Random, calls: int) -> File:
    """A file with about that many calls."""
    modules, to = random.choice(DIRECTIONS)
    writer = _Writer(random, modules)
    lead, newline = random.choice(LEADS), random.choice(NEWLINES)
    body = ""
    while writer.count < calls:
        body += writer.snippet()
    text = f"{lead}{''.join(f'{line}{chr(10)}' for line in writer.imports)}{body}"
    if random.random() < 0.2:
        text = text.removesuffix("\n")
    encoding = "utf-8"
    if "latin-1" in lead:
        text, encoding = text.replace("ﬁ", "fi").translate(_PLAIN), "latin-1"
    data = text.encode(encoding)
    if encoding == "utf-8" and random.random() < 0.1:
        data = b"\xef\xbb\xbf" + data
    params = PARAMS if to == "mindspore" else "net.parameters()"
    options = Options(Framework(to), frozenset({_framework(modules)}), random.choice(list(Prefer)), params)
    return File(data, newline.encode(), writer.count, options)


def _framework(modules: list[str]) -> Framework:
    return next(api.framework for api in TABLES.apis.values() if api.module.name in modules)


class _Writer:
    def __init__(self, random: Random, modules: list[str]) -> None:
        self.random = random
        self.count = self.number = 0
        self.imports: list[str] = []
        self.apis = [api for api in TABLES.apis.values() if api.module.name in modules]
        self.spellings: dict[str, list[tuple[str, str]]] = {}
        bound: set[str] = set()
        for module in modules:
            forms = [*SPELLINGS[module][:4], *([STAR[module]] if module in STAR else [])]
            form = random.choice([form for form in forms if "{}" not in form[0]])
            if bound.isdisjoint({form[1].partition(".")[0]}) or form[0] in self.imports:
                self.imports += [form[0]] if form[0] not in self.imports else []
                self.spellings[module] = [form]
                bound.add(form[1].partition(".")[0])
        self.apis = [api for api in self.apis if api.module.name in self.spellings]

    def snippet(self) -> str:
        """One place, filled with calls."""
        self.number += 1
        text = self.random.choice(POSITIONS)
        parts = text.replace("$n", str(self.number))
        for slot in ("$call", "$flat"):
            while slot in parts:
                before, _, after = parts.partition(slot)
                line = before.rpartition("\n")[2]
                indent = line[: len(line) - len(line.lstrip())]
                parts = before + self.call(slot == "$flat", f"{indent}    ") + after
        return parts

    def call(self, flat: bool, indent: str) -> str:
        self.count += 1
        random = self.random
        api = random.choice(self.apis)
        spelled = self.spellings[api.module.name][0][1].format(api.class_name)
        if random.random() < 0.02:
            head, dot, last = spelled.rpartition(".")
            spelled = f"{head}{dot}{last.translate(_BOLD)}"
        arguments = self.arguments(api, flat)
        style = "line" if flat else random.choice(["line", "line", "exploded", "hanging", "odd"])
        if style == "line" or not arguments:
            return f"{spelled}({', '.join(arguments)}{random.choice(['', '', ',']) if arguments else ''})"
        if style == "odd":
            return (
                f"{spelled} \\\n{indent}( {' , '.join(arguments)} )"
                if random.random() < 0.5
                else f"{spelled}(\\\n{', '.join(arguments)})"
            )
        lines = [f"{argument},{random.choice(NOTES)}" for argument in arguments[:-1]]
        lines.append(f"{arguments[-1]}{random.choice(['', ','])}{random.choice(NOTES)}")
        opening = f"({random.choice(NOTES)}\n{indent}" if style == "exploded" else "("
        return f"{spelled}{opening}{(chr(10) + indent).join(lines)}\n{indent[:-4]})"

    def arguments(self, api: Api, flat: bool) -> list[str]:
        random = self.random
        rows = list(api.current)
        chosen = [row for row in rows if row.required or random.random() < 0.3]
        positional = 0
        while (
            positional < len(chosen) and chosen[positional] is rows[positional] and not chosen[positional].keyword_only
        ):
            if random.random() < 0.4:
                break
            positional += 1
        rest = chosen[positional:]
        random.shuffle(rest)
        found = [self.value(row, flat) for row in chosen[:positional]]
        if found and not flat and len(chosen[positional - 1].ties) == 1 and random.random() < 0.05:
            found[-1] = "w := net.parameters()" if chosen[positional - 1].is_parameters else "w := 0.5"
        return found + [f"{row.name}{random.choice(['=', '=', ' = '])}{self.value(row, flat)}" for row in rest]

    def value(self, row: Parameter, flat: bool) -> str:
        while True:
            text = self.random.choice(values_for(row)) if self.random.random() < 0.4 else _default(row, self.random)
            if not flat or not set(text) & set("\n'\"#\\{:"):
                return text


def _default(row: Parameter, random: Random) -> str:
    """Ordinary values: the default, or what most programs give."""
    if row.is_parameters:
        return "net.parameters()"
    if row.name in ("lr", "learning_rate"):
        return random.choice(["0.1", "1e-3", "rate", "1"])
    return (
        "net.parameters()" if row.required and len(row.ties) != 1 else repr(row.default) if not row.required else "0.5"
    )
