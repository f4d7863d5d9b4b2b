"""The values of a file's calls: what is provably one constant is used, anything else is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from optmap.conformance.filecalls import file_calls
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet

CALL = "o = torch.optim.SGD(net.parameters(), lr=lr)\n"
KNOWN = {
    "one value": "lr = 0.5\n" + CALL,
    "two names": "base = 0.5\nlr = base\n" + CALL,
    "the last value before the call": "lr = 0.1\nlr = 0.5\n" + CALL,
    "an inner function's own": "lr = 0.5\ndef f():\n    lr = 0.1\n" + CALL,
    "another function's parameter": "lr = 0.5\ndef f(lr):\n    pass\nf(0.1)\n" + CALL,
    "a comprehension's own": "lr = 0.5\nx = [lr for lr in (0.1, 0.2)]\n" + CALL,
    "an attribute of a class": "lr = 0.5\nclass A:\n    lr = 0.1\n" + CALL,
    "what callers pass": f"def f(lr):\n    {CALL}f(0.5)\n",
    "an attribute": f"class A:\n    def __init__(self):\n        self.lr = 0.5\n        lr = self.lr\n        {CALL}",
}
UNKNOWN = {
    "unbound": CALL,
    "an import": "from rates import lr\n" + CALL,
    "an argument of a lambda": "lr = 0.1\nf = lambda lr: " + CALL[4:],
    "an argument": f"lr = 0.1\ndef f(lr):\n    {CALL}",
    "one of two": "lr = 0.1\nif x:\n    lr = 0.2\n" + CALL,
    "global": f"lr = 0.1\ndef g():\n    global lr\n    lr = 0.2\ndef f():\n    {CALL}",
    "a capture": "lr = 0.1\nmatch x:\n    case [lr]:\n        pass\n" + CALL,
    "an exception": "try:\n    pass\nexcept E as lr:\n    " + CALL,
    "with": "with open(x) as lr:\n    " + CALL,
    "augmented": "lr = 0.1\nlr *= 2\n" + CALL,
    "an item of a list that grows": "rates = [0.1]\nrates.append(0.2)\nfor lr in rates:\n    " + CALL,
    "a loop": "for lr in (0.1, 0.2):\n    " + CALL,
}


def given(text: str, path: Path, tables: MappingSet) -> tuple[object, tuple[str, ...]]:
    path.write_text(f"import torch\n{text}", encoding="utf-8")
    found = file_calls(path, tables, {Framework("torch")}, Framework("mindspore"), {})
    assert not found.refused
    (call,) = found.calls
    return call.given.get("lr"), call.assumed


@pytest.mark.parametrize("name", KNOWN)
def test_a_value_is_followed(name: str, tmp_path: Path, tables: MappingSet) -> None:
    assert given(KNOWN[name], tmp_path / "a.py", tables) == (0.5, ())


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_certain_is_not_known(name: str, tmp_path: Path, tables: MappingSet) -> None:
    _, assumed = given(UNKNOWN[name], tmp_path / "a.py", tables)
    assert len(assumed) == 1
    assert "assumed for lr" in assumed[0]
