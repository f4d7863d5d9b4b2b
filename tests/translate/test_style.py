"""What is written looks as the file did: where ruff had nothing to say of imports and blank lines, it has nothing to say."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.edits import Edit, apply_edits
from optmap.source.line_breaks import with_breaks
from optmap.source.text import read_source
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.test_cases import CASES, translated

RULES = "I001,E301,E302,E303,E305,E306,W291,W391"


def complaints(directory: Path) -> dict[str, set[str]]:
    """What ruff says of each file."""
    command = (
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--preview",
        "--select",
        RULES,
        "--output-format=json",
    )
    said = subprocess.run([*command, str(directory)], capture_output=True, text=True, check=False).stdout
    found: dict[str, set[str]] = {}
    for item in json.loads(said):
        found.setdefault(Path(item["filename"]).stem, set()).add(item["code"])
    return found


def test_ruff_finds_nothing_new_in_what_was_clean(tables: MappingSet, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
    for number, case in enumerate(CASES):
        (tmp_path / "before" / f"{number}.py").write_text(case.before)
        (tmp_path / "after" / f"{number}.py").write_bytes(translated(case, case.before.encode(), tables).output)
    before, after = complaints(tmp_path / "before"), complaints(tmp_path / "after")
    clean = [name for name in map(str, range(len(CASES))) if name not in before]
    assert len(clean) > 100
    assert {CASES[int(name)].name: after[name] for name in clean if name in after} == {}


IMPORTS = [
    ["import os", "import sys", "", "import torch.optim as optim", "", "from .net import Net"],
    ["import sys", "", "import aaa", "import torch.optim as optim", "from zzz import z"],
    ["from __future__ import annotations", "", "import numpy as np", "import torch.optim as optim"],
    ["# a heading", "import torch.optim as optim", "import zzz"],
    ["from aaa import a", "from torch import optim", "from zzz import z"],
    ["import aaa", "", "# of the framework", "import torch.optim as optim"],
]


@pytest.mark.parametrize("target", ["mindspore", "tensorflow"])
@pytest.mark.parametrize("lines", IMPORTS, ids=range(len(IMPORTS)))
def test_imports_stay_sorted(lines: list[str], target: str, tables: MappingSet, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    text = "\n".join([*lines, "", "opt = optim.SGD(net.parameters(), lr=0.1)", ""])
    options = Options(Framework(target), frozenset({Framework("torch")}))
    result = translate_bytes(text.encode(), tables, options)
    assert f"import {target}".encode() in result.output
    assert b"torch" not in result.output
    for side, data in (("before", text.encode()), ("after", result.output)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.py").write_bytes(data)
    assert complaints(tmp_path / "before") == {}
    assert complaints(tmp_path / "after") == {}


WIDE = [
    "x = run(first, second=call(a, b))",
    "return_value = run(first, call(second, third, fourth), fifth=sixth)",
    "with open_it(first, second=third) as name: pass",
    "xs = [make(each, first) for each in everything if each]",
    "x = run(each for each in make(first, second, third))",
    "x = run((first), *second, third=(fourth, fifth), **sixth)",
    "x = run(f'{call(a, b)} and more {b}', lambda: call(first, second))",
    "first, second = make(third, fourth), make(fifth, sixth)",
]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("line", WIDE)
@pytest.mark.parametrize("prefix", ["", "if x:\n\t", "def f():\n  "])
def test_a_wide_line_is_spread_and_means_the_same(line: str, prefix: str, newline: str) -> None:
    long = line.replace("first", "f" * 70).replace("call(", "called_by_a_long_name(").replace("make(", "make" * 9 + "(")
    text = (prefix + "short = 1\n" + prefix.rpartition("\n")[2] + "pass\n").replace("\n", newline)
    at = text.index("short")
    source = read_source(text.encode())
    end = at + len("short = 1")
    (edit,) = edits = with_breaks(source, [Edit(at, end, long)])
    body = apply_edits(source.body, edits).decode()
    assert ast.dump(ast.parse(body)) == ast.dump(ast.parse(text.replace("short = 1", long)))
    whole = len((prefix.rpartition("\n")[2] + long).expandtabs())
    assert max(len(item.expandtabs()) for item in body.splitlines()) < whole
    assert edit.text.count(newline) == edit.text.count("\n")


@pytest.mark.parametrize(("limit", "lines"), [(0, 3), (79, 3), (100, 1)])
def test_a_formatters_limit_stands_above_the_files_own_lines(limit: int, lines: int, tables: MappingSet) -> None:
    call = b"optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))\n"
    options = Options(Framework("mindspore"), frozenset([Framework("torch")]), line_length=limit)
    result = translate_bytes(b"import torch\n\n" + call, tables, options)
    assert len(result.output.split(b"optimizer = ")[1].splitlines()) == lines
