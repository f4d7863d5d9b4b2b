"""What the audit finds where the table and the framework, both made up, differ in one thing."""

from __future__ import annotations

import sys

import pytest

from optmap.audit.results import DifferenceKind
from tests.audit.fakes import MIXED, ONE, OPTIM, TABLE, TWO, audited, line_of

HEAD = "def __init__(self, params, lr=0.1, momentum=0.0, eps=(1e-30, 0.001), hook=lambda x: x, *, nesterov=False, **kwargs):"
LIVE = "torch 1.5.0"


def test_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audited(monkeypatch) == []


CHANGES: list[tuple[str, str, DifferenceKind, str, str]] = [
    # part of the constructor's head, what it becomes, kind, the table's line, message after the class
    ("lr=0.1", "lr=0.01", DifferenceKind.DEFAULT, "name: lr,", f"parameter 'lr': the table has default 0.1; {LIVE} has default 0.01"),
    ("lr=0.1", "lr=None", DifferenceKind.DEFAULT, "name: lr,", f"parameter 'lr': the table has default 0.1; {LIVE} has default None"),
    ("lr=0.1", "lr", DifferenceKind.DEFAULT, "name: lr,", f"parameter 'lr': the table has default 0.1; {LIVE} has no default"),
    ("lr=0.1", "lr=print", DifferenceKind.DEFAULT, "name: lr,", f"parameter 'lr': the table has default 0.1; {LIVE} has default print"),
    ("params,", "params=None,", DifferenceKind.DEFAULT, "name: params", f"parameter 'params': the table has no default; {LIVE} has default None"),
    ("momentum=0.0", "momentum=0", DifferenceKind.DEFAULT, "name: momentum", f"parameter 'momentum': the table has default 0.0; {LIVE} has default 0"),
    ("momentum=0.0", "momentum=False", DifferenceKind.DEFAULT, "name: momentum", f"parameter 'momentum': the table has default 0.0; {LIVE} has default False"),
    ("nesterov=False", "nesterov=0", DifferenceKind.DEFAULT, "name: nesterov", f"parameter 'nesterov': the table has default False; {LIVE} has default 0"),
    ("1e-30, 0.001", "1e-30, 0.002", DifferenceKind.DEFAULT, "name: eps", f"parameter 'eps': the table has default (1e-30, 0.001); {LIVE} has default (1e-30, 0.002)"),
    ("1e-30, 0.001", "1e-30,", DifferenceKind.DEFAULT, "name: eps", f"parameter 'eps': the table has default (1e-30, 0.001); {LIVE} has default (1e-30,)"),
    ("*, nesterov=False", "nesterov=False", DifferenceKind.KEYWORD_ONLY, "name: nesterov", f"parameter 'nesterov': the table has it keyword-only; {LIVE} has it positional or by keyword"),
    ("hook=lambda x: x, *, ", "*, hook=lambda x: x, ", DifferenceKind.KEYWORD_ONLY, "name: hook", f"parameter 'hook': the table has it positional or by keyword; {LIVE} has it keyword-only"),
    ("params, lr", "params, /, lr", DifferenceKind.KEYWORD_ONLY, "name: params", f"parameter 'params': the table has it positional or by keyword; {LIVE} has it positional only"),
    ("eps=", "nu=1, eps=", DifferenceKind.NEW_PARAMETER, "torch.optim.One:", f"parameter 'nu': the table does not have it; {LIVE} has it with default 1"),
    ("nesterov=", "old=1, nesterov=", DifferenceKind.NEW_PARAMETER, "name: old", f"parameter 'old': the table has it for other versions only; {LIVE} has it with default 1, keyword-only"),
    ("momentum=0.0, ", "", DifferenceKind.NO_PARAMETER, "name: momentum", f"parameter 'momentum': the table has it with default 0.0; {LIVE} does not take it"),
    ("lr=0.1, momentum=0.0", "momentum=0.0, lr=0.1", DifferenceKind.ORDER, "name: lr,", f"the table has the order lr, momentum; {LIVE} has momentum, lr"),
    ("hook=lambda x: x, *,", "hook=lambda x: x, *args,", DifferenceKind.EXTRA_KEYWORDS, "torch.optim.One:", f"a table cannot have *args; {LIVE} accepts any number of positional arguments"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "becomes", "kind", "row", "message"), CHANGES, ids=[f"{a} -> {b}" for a, b, *_ in CHANGES]
)
def test_one_change_is_one_difference(
    monkeypatch: pytest.MonkeyPatch, part: str, becomes: str, kind: DifferenceKind, row: str, message: str
) -> None:
    assert HEAD.count(part) == 1
    found = audited(monkeypatch, OPTIM.replace(HEAD, HEAD.replace(part, becomes)))
    assert [(item.kind, item.message) for item in found] == [(kind, f"torch.optim.One: {message}")]
    assert (found[0].at.file, found[0].at.line) == ("fake.yaml", line_of(row))


def test_several_changes_are_several_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(monkeypatch, OPTIM.replace("lr=0.1, momentum=0.0", "momentum=0.5, lr=0.2, nu=3"))
    assert [item.kind for item in found] == [
        DifferenceKind.DEFAULT,
        DifferenceKind.DEFAULT,
        DifferenceKind.NEW_PARAMETER,
        DifferenceKind.ORDER,
    ]


def test_a_list_is_a_tuple(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audited(monkeypatch, OPTIM.replace("(1e-30, 0.001)", "[1e-30, 1e-3]")) == []


@pytest.mark.parametrize(
    ("default", "text"), [("lambda x: not x", "lambda x: not x"), ("None", "None"), ("'lambda x: x'", "'lambda x: x'")]
)
def test_a_function_as_default_is_told_by_its_source(monkeypatch: pytest.MonkeyPatch, default: str, text: str) -> None:
    found = audited(monkeypatch, OPTIM.replace("lambda x: x", default))
    assert [item.message for item in found] == [
        f"torch.optim.One: parameter 'hook': the table has default 'lambda x:x'; {LIVE} has default {text}"
    ]


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what holds for the verified version counts; a class of older versions must be gone."""
    older = TABLE.replace("default: 0.1}", "default: 0.1, was: {rate: '1.2'}}")
    assert audited(monkeypatch, table=older) == []
    still = audited(monkeypatch, table=older.replace("'1.2'", "'2.0'"))
    assert [item.message for item in still] == [
        f"torch.optim.One: parameter 'rate': the table has it as an older name of lr; {LIVE} does not take it"
    ]
    both = OPTIM.replace('pop("decay", None)', 'pop("decay", None)\n        kwargs.pop("rate", None)')
    assert audited(monkeypatch, both, table=older.replace("'1.2'", "'2.0'")) == []
    table = TABLE.replace('verified: "1.5.0"', 'verified: "1.3.0"\n    until: "1.4"', 1)
    assert audited(monkeypatch, OPTIM.replace(ONE, ""), table=table) == []
    assert [item.message for item in audited(monkeypatch, table=table)] == [
        f"torch.optim.One: the table has it for other versions only; {LIVE} has it"
    ]


def test_a_parameter_taken_out_of_the_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = audited(monkeypatch, OPTIM.replace('kwargs.pop("decay", None)', "pass"))
    assert [item.message for item in gone] == [
        f"torch.optim.One: parameter 'decay': the table has it with default None; {LIVE} does not take it"
    ]
    changed = audited(monkeypatch, OPTIM.replace('kwargs.pop("decay", None)', 'kwargs.pop("decay", 0.5)'))
    assert [item.message for item in changed] == [
        f"torch.optim.One: parameter 'decay': the table has default None; {LIVE} has default 0.5"
    ]
    for taken in ('kwargs.get("fresh", 2)', 'kwargs["fresh"]', '"fresh" in kwargs'):
        found = audited(monkeypatch, OPTIM.replace('pop("decay", None)', f'pop("decay", None)\n        {taken}'))
        assert [(item.kind, item.parameter) for item in found] == [(DifferenceKind.NEW_PARAMETER, "fresh")]
        assert found[0].message.endswith("read from **kwargs")
    not_handed_on = audited(monkeypatch, OPTIM.replace("super().__init__(params, **kwargs)", "pass"))
    assert [(item.kind, item.parameter) for item in not_handed_on] == [(DifferenceKind.NO_PARAMETER, "decay")]


def test_the_keywords_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = OPTIM.replace("nesterov=False, **kwargs)", "nesterov=False)").replace("(params, **kwargs)", "(params)")
    assert [(item.kind, item.parameter) for item in audited(monkeypatch, closed)] == [
        (DifferenceKind.NO_PARAMETER, "decay"), (DifferenceKind.EXTRA_KEYWORDS, None),
    ]  # fmt: skip
    opened = audited(monkeypatch, mixed=MIXED.replace("lr=1)", "lr=1, **kwargs)"))
    assert [item.message for item in opened] == [
        f"torch.mixed.Two: the table's signature does not end in **kwargs; that of {LIVE} ends in **kwargs"
    ]


def test_classes_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(monkeypatch, OPTIM.replace(ONE, ""))
    assert [(str(item.at), item.kind, item.message) for item in found] == [
        (f"fake.yaml:{line_of('torch.optim.One:')}:5", DifferenceKind.NO_CLASS,
         "torch.optim.One: the table has a section; torch 1.5.0 has no such class")
    ]  # fmt: skip


def test_a_module_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLE.replace("torch.mixed", "torch.other")
    gone, *newcomers = audited(monkeypatch, mixed="__all__ = []\n" + MIXED, table=table)
    assert gone.message == "torch.other: the tables have 1 section in it; torch 1.5.0 has no torch.other"
    assert gone.at.line == line_of("torch.other:", table)
    assert newcomers == []


NEW = "class New(Optimizer):\n    def __init__(self, params, lr=1e-3): ...\n"
NEWCOMERS: list[tuple[str, str, list[str]]] = [
    # added to torch.optim, added to torch.mixed, the APIs that are reported
    (NEW, "", ["torch.optim.New"]),
    ("", NEW, ["torch.mixed.New"]),
    (NEW.replace("New", "_New"), "", []),
    ("__all__ = ['One']\n" + NEW, "", ["torch.optim.New"]),
    ("class Plain: ...\n", "", ["torch.optim.Plain"]),
    ("", "class Plain: ...\n", []),
    ("from pathlib import Path\n", "", []),
    ("def schedule(step): ...\n", "", []),
    ("def third(net, lr): ...\n", "", ["torch.optim.third"]),
    ("def wrap(optimizer): ...\n", "", ["torch.optim.wrap"]),
    ("__all__ = ['One']\ndef wrap(optimizer): ...\n", "", []),
    ("", "def wrap(optimizer): ...\n", []),
    ("Uno = One\n", "", ["torch.optim.Uno"]),
    ("", "from torch.optim import One\n", ["torch.mixed.One"]),
    ("class lr_scheduler: ...\n", "", []),
    ("import types\nsub = types.ModuleType('torch.optim.sub')\nsub.New = type('New', (Optimizer,), {})\n", "", ["torch.optim.sub.New"]),
    ("import types\nsub = types.ModuleType('torch.optim.sub')\nsub.One = One\nsub.Optimizer = Optimizer\n", "", []),
    ("import types\nlr_scheduler = types.ModuleType('torch.optim.lr_scheduler')\nlr_scheduler.New = type('New', (Optimizer,), {})\n", "", []),
    ("def __getattr__(name): raise (AttributeError if name[0] == '_' else RuntimeError)(name)\n__all__ = ['One', 'gone']\n", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("optim", "mixed", "expected"), NEWCOMERS)
def test_what_no_table_knows(monkeypatch: pytest.MonkeyPatch, optim: str, mixed: str, expected: list[str]) -> None:
    found = audited(monkeypatch, OPTIM + optim, MIXED + mixed)
    assert [item.api for item in found] == expected
    assert {item.kind for item in found} <= {DifferenceKind.NEW_CLASS}
    for item in found:
        assert item.at.line == line_of(f"  {'.'.join(item.api.split('.')[:2])}:")


def test_the_message_for_a_newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(monkeypatch, OPTIM + "def third(net, lr, hook=print): ...\nUno = One\n" + NEW, MIXED)
    assert [item.message for item in found] == [
        "torch.optim.New: no table describes it; torch.optim has the class New(params, lr=0.001)",
        "torch.optim.Uno: no table describes it; torch.optim has it as another name of torch.optim.One",
        "torch.optim.third: no table describes it; torch.optim has the function third(net, lr, hook=print)",
    ]


def test_an_optimizer_in_a_public_module_that_no_table_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made = """
import sys, types
for _path in ("torch.extra.optim", "torch.extra.optim.new", "torch._private"):
    _extra = sys.modules[_path] = types.ModuleType(_path)
    _extra.Third = type("Third", (Optimizer,), {"__module__": _path})
    _extra.One = One
    _extra.__all__ = ["Third", "One"]
"""
    paths = ("torch.extra.optim", "torch.extra.optim.new", "torch._private")
    for path in paths:
        monkeypatch.setitem(sys.modules, path, sys)  # so that they are gone afterwards
    found = audited(monkeypatch, OPTIM + made)
    assert sorted(item.api for item in found) == ["torch.extra.optim.Third", "torch.extra.optim.new.Third"]
    assert found[0].at.line == line_of("  torch.optim:")


WRAPPERS = """
import functools
def register(fn):
    def deco(self, *args, **kwargs):
        fn(self, *args, **kwargs)
    return deco
def deprecated(since):
    def decorate(fn):
        @functools.wraps(fn)
        def wrapper(*args, **kwargs):
            return fn(*args, **kwargs)
        return wrapper
    return decorate
def two(fn):
    def other(): ...
    def helper(): ...
    def deco(self, *args, **kwargs):
        other(), helper()
        globals()["kept"][0](self, *args, **kwargs)
    return deco
"""
DEFINITION = "    def __init__(self, params, lr=1): ..."


@pytest.mark.parametrize(
    "lines", ["@register", "@deprecated('1.0')\n    @register", "@register\n    @deprecated('1.0')"]
)
def test_signatures_behind_decorators(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    decorated = (WRAPPERS + MIXED).replace(DEFINITION, f"    {lines}\n{DEFINITION}")
    assert audited(monkeypatch, mixed=decorated) == []
    found = audited(monkeypatch, mixed=decorated.replace("lr=1)", "lr=2)"))
    assert [item.kind for item in found] == [DifferenceKind.DEFAULT]


def test_a_signature_that_no_way_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    found = audited(monkeypatch, mixed=(WRAPPERS + MIXED).replace(DEFINITION, f"    @two\n{DEFINITION}"))
    assert [item.message for item in found] == [
        f"torch.mixed.Two: the table has 2 parameters; {LIVE} hides its signature behind a decorator"
    ]


def test_a_constructor_that_hands_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    two = TWO.replace("Two", "_Two") + (
        "class Two(_Two):\n    def __init__(self, *args, **kwargs):\n        super().__init__(*args, **kwargs)\n"
    )
    assert audited(monkeypatch, mixed=MIXED.replace(TWO, two)) == []
    assert audited(monkeypatch, mixed=MIXED.replace(TWO, TWO.replace("Two", "_Two") + "class Two(_Two): ...\n")) == []


def test_a_function_can_have_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audited(monkeypatch, mixed=MIXED.replace(TWO, "def Two(params, lr=1): ...\n")) == []
    found = audited(monkeypatch, mixed=MIXED.replace(TWO, "def Two(params, lr=2): ...\n"))
    assert [item.kind for item in found] == [DifferenceKind.DEFAULT]
