"""The values of a file's calls: what is provably one constant is used, anything else is not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from optmap.conformance.catalog import catalog
from optmap.conformance.filecalls import file_calls
from optmap.conformance.results import Assumed
from optmap.conformance.scenario import JobGroup
from optmap.conformance.trials import Trials
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
    "a class attribute": f"class C:\n    lr = 0.5\n{CALL.replace('=lr', '=C.lr')}",
    "an attribute of an object": f"class C:\n    def __init__(self):\n        self.lr = 0.5\nc = C()\n{CALL.replace('=lr', '=c.lr')}",
    "a field of a dataclass": f"@dataclass\nclass C:\n    lr: float = 0.5\nc = C()\n{CALL.replace('=lr', '=c.lr')}",
    "an item of a dictionary": f"c = {{'lr': 0.5}}\n{CALL.replace('=lr', '=c[' + repr('lr') + ']')}",
    "what a dictionary gets": f"c = {{'lr': 0.5}}\n{CALL.replace('=lr', '=c.get(' + repr('lr') + ', 1.0)')}",
    "arithmetic": f"batch = 64\nbase = 2.0\n{CALL.replace('=lr', '=base * batch / 256')}",
    "a number from text": f"lr = '0.5'\n{CALL.replace('=lr', '=float(lr)')}",
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
    "exec": "lr = 0.1\nexec('lr = 0.2')\n" + CALL,
    "globals": "lr = 0.1\nglobals()['lr'] = 0.2\n" + CALL,
    "an import of everything": "lr = 0.1\nfrom config import *\n" + CALL,
}
HIDDEN = {
    "a class attribute that is set": "class C:\n    lr = 0.1\nC.lr = 0.2\n",
    "a class attribute set by name": "class C:\n    lr = 0.1\nsetattr(C, name, 0.2)\n",
    "a class attribute that a subclass has": "class B:\n    lr = 0.1\nclass D(B):\n    lr = 0.2\nC = D if x else B\n",
    "a field that the call gives": "@dataclass\nclass B:\n    lr: float = 0.1\nC = B(0.2)\n",
    "a field behind another decorator": "@config\nclass B:\n    lr: float = 0.1\nC = B()\n",
    "an option that the file sets": "p = ArgumentParser()\np.add_argument('--lr', default=0.1)\nC = p.parse_args()\nC.lr *= 2\n",
    "an option that the parser sets": "p = ArgumentParser()\np.add_argument('--lr', default=0.1)\np.set_defaults(lr=1)\nC = p.parse_args()\n",
    "two options": "p.add_argument('--lr', default=0.1)\np.add_argument('--rate', dest='lr', default=1)\nC = p.parse_args()\n",
    "an option without default": "p.add_argument('--lr', type=float)\nC = p.parse_args()\n",
    "options that are updated": "p.add_argument('--lr', default=0.1)\nC = p.parse_args()\nvars(C).update(x)\n",
}
ITEMS = {
    "is changed": "c['lr'] = 0.2\n",
    "is handed on": "change(c)\n",
    "has another name": "d = c\nd['lr'] = 0.2\n",
    "is updated": "c.update(x)\n",
}
LIKELY = {
    "an option": (
        "p.add_argument('-l', '--learning-rate', '--lr', dest='lr', type=float, default='5e-1')\nC = p.parse_args()\n",
        "C.lr",
        "the default of --learning-rate",
    ),
    "arithmetic on an option": (
        "p.add_argument('--lr', default=0.25)\nC, rest = p.parse_known_args()\n",
        "2 * C.lr",
        "the default of --lr",
    ),
    "an option handed to a function": (
        "p.add_argument('--lr', default=0.5)\nargs = p.parse_args()\nC = args\n",
        "C.lr",
        "the default of --lr",
    ),
}


def given(text: str, path: Path, tables: MappingSet) -> tuple[object, tuple[Assumed, ...]]:
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
    value, assumed = given(UNKNOWN[name], tmp_path / "a.py", tables)
    assert (value, assumed) == (None, (Assumed("lr", 0.001, "lr", "the class's default"),))


@pytest.mark.parametrize("name", HIDDEN)
def test_what_may_be_set_elsewhere_is_not_known(name: str, tmp_path: Path, tables: MappingSet) -> None:
    value, assumed = given(HIDDEN[name] + CALL.replace("=lr", "=C.lr"), tmp_path / "a.py", tables)
    assert (value, [item.why for item in assumed]) == (None, ["the class's default"])


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_of_a_dictionary_that_is_not_only_read_is_not_known(
    name: str, tmp_path: Path, tables: MappingSet
) -> None:
    text = f"c = {{'lr': 0.1}}\n{ITEMS[name]}{CALL.replace('=lr', '=c[' + repr('lr') + ']')}"
    value, assumed = given(text, tmp_path / "a.py", tables)
    assert (value, len(assumed)) == (None, 1)


@pytest.mark.parametrize("name", LIKELY)
def test_defaults_of_options_are_likely(name: str, tmp_path: Path, tables: MappingSet) -> None:
    before, text, why = LIKELY[name]
    value, assumed = given(before + CALL.replace("=lr", f"={text}"), tmp_path / "a.py", tables)
    assert (value, assumed) == (0.5, (Assumed("lr", 0.5, text, why),))


def test_the_default_of_a_parameter_is_likely(tmp_path: Path, tables: MappingSet) -> None:
    value, assumed = given(f"def f(lr=0.5):\n    {CALL}", tmp_path / "a.py", tables)
    assert (value, [item.why for item in assumed]) == (0.5, ["the default of the parameter lr"])


def test_an_assumed_value_does_not_break_a_call(tmp_path: Path, tables: MappingSet) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "import torch\no = torch.optim.SGD(net.parameters(), lr=0.1, momentum=args.m, nesterov=True)\n"
        "o = torch.optim.Adam(net.parameters(), betas=(args.b, 0.98))\n"
    )
    first, second = file_calls(path, tables, {Framework("torch")}, Framework("mindspore"), {}).calls
    assert first.given == {"lr": 0.1, "nesterov": True, "momentum": 0.9}
    assert second.given == {"betas": (0.9, 0.98)}
    assert [item.name for item in (*first.assumed, *second.assumed)] == ["momentum", "betas"]


GROUPED = """
import torch
o = torch.optim.Adam([{"params": a.parameters()}, {"params": b.parameters(), "lr": 0.2, "weight_decay": args.decay}],
                     lr=0.1, weight_decay=0.01)
"""


def test_groups_are_run_as_groups(tmp_path: Path, tables: MappingSet) -> None:
    """MindSpore leaves normalization scales undecayed only where there are no groups, so that nothing is said of it."""
    path = tmp_path / "a.py"
    path.write_text(GROUPED, encoding="utf-8")
    (call,) = file_calls(path, tables, {Framework("torch")}, Framework("mindspore"), {}).calls
    assert call.groups == ((), (("lr", 0.2), ("weight_decay", 0.05)))
    assert call.assumed == (Assumed("weight_decay", 0.05, "args.decay", "an example", 1),)
    trials = Trials(tables, catalog(), every_target=False).find([(call, Framework("mindspore"))])
    assert {trial.scenario.name for trial in trials} >= {"dense-mse", "norm-scale"}
    assert not any("filter" in cause for trial in trials for cause in trial.pair.causes)
    job = trials[0].job(trials[0].plan.target, 3, "float32")
    assert job.groups == (JobGroup(("weight",), {}), JobGroup(("bias",), {"lr": 0.2, "weight_decay": 0.05}))
