"""The README's first example is what the tool prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.report.left import show_file
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_first_example(tables: MappingSet, capsys: pytest.CaptureFixture[str]) -> None:
    diff, said = re.findall(r"```(?:diff|text)\n(.*?)```", README, re.DOTALL)[:2]
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
    before, after = ("\n".join(line[1:] for line in lines if line[:1] in f" {sign}") + "\n" for sign in "-+")
    target = Framework("mindspore")
    result = translate_bytes(before.encode(), tables, Options(target, frozenset(Framework) - {target}))
    assert result.output.decode() == after
    show_file("train.py", result)
    assert capsys.readouterr().err == said
