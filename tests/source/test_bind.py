"""Which argument does each parameter get? As Python binds, for tables, texts and functions alike."""

from __future__ import annotations

import ast
import random
from typing import Any, NamedTuple

import pytest

from optmap.source.bind import BindingProblem, Bound, Fault, Unbound, bind, signature_of
from optmap.source.calls import Form, read_call
from optmap.source.text import read_source


def call(text: str) -> ast.Call:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call)
    return node


def function(text: str) -> ast.FunctionDef:
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def written(result: Bound | Unbound) -> dict[str, tuple[int | None, str | None]]:
    return {
        name: (item.index, ast.unparse(item.value) if item.value is not None else None)
        for name, item in result.given.items()
    }


def test_what_a_call_gives_and_what_it_leaves_to_defaults() -> None:
    result = bind(signature_of("a, b=1, *, c=None, d=2"), call("f(x, d=y)"))
    assert isinstance(result, Bound)
    assert written(result) == {"a": (0, "x"), "d": (1, "y"), "b": (None, "1"), "c": (None, "None")}
    assert [item.parameter.name for item in result.written] == ["a", "d"]
    assert result.get("e") is None


@pytest.mark.parametrize(
    ("signature", "text", "problems"),
    [
        ("a", "f()", [Fault(BindingProblem.MISSING, None, "a")]),
        ("a, *, b", "f()", [Fault(BindingProblem.MISSING, None, "a"), Fault(BindingProblem.MISSING, None, "b")]),
        ("a", "f(1, 2, 3)", [Fault(BindingProblem.TOO_MANY, 1)]),
        (
            "a",
            "f(1, b=2, c=3)",
            [Fault(BindingProblem.UNKNOWN_NAME, 1, "b"), Fault(BindingProblem.UNKNOWN_NAME, 2, "c")],
        ),
        ("a", "f(1, a=2)", [Fault(BindingProblem.TWICE, 1, "a")]),
        ("a, *, b=1", "f(1, 2)", [Fault(BindingProblem.TOO_MANY, 1)]),
        ("a, /", "f(a=1)", [Fault(BindingProblem.UNKNOWN_NAME, 0, "a"), Fault(BindingProblem.MISSING, None, "a")]),
        ("a, b", "f(*x)", [Fault(BindingProblem.HIDDEN_LIST, 0)]),
        ("a, b", "f(**x)", [Fault(BindingProblem.HIDDEN_MAPPING, 0)]),
        ("a, b", "f(*x, c=1)", [Fault(BindingProblem.HIDDEN_LIST, 0), Fault(BindingProblem.UNKNOWN_NAME, 1, "c")]),
    ],
)
def test_calls_that_cannot_be_bound(signature: str, text: str, problems: list[Fault]) -> None:
    result = bind(signature_of(signature), call(text))
    assert isinstance(result, Unbound)
    assert list(result.problems) == problems
    assert result.hidden == ("*" in text)


def test_what_is_certain_although_arguments_are_hidden() -> None:
    result = bind(signature_of("a, b, c, d"), call("f(1, *x, 2, d=3, **y)"))
    assert isinstance(result, Unbound)
    assert written(result) == {"a": (0, "1"), "d": (3, "3")}
    assert result.get("b") is None
    result = bind(signature_of("a, b=1"), call("f(1, a=2)"))
    assert result.get("a") is None


def test_functions_of_the_file() -> None:
    method = function("def f(self, a, b=1, *c, d, **e): pass")
    result = bind(signature_of(method, bound=True), call("x.f(1, 2, 3, 4, d=5, g=6)"))
    assert isinstance(result, Bound)
    assert written(result) == {"a": (0, "1"), "b": (1, "2"), "d": (4, "5")}
    assert result.more == (2, 3, 5)
    result = bind(signature_of(method), call("A.f(x, 1, d=5)"))
    assert written(result) == {"self": (0, "x"), "a": (1, "1"), "d": (2, "5"), "b": (None, "1")}
    lambda_ = ast.parse("lambda a, b=1: a", mode="eval").body
    assert isinstance(lambda_, ast.Lambda)
    assert signature_of(lambda_).default("a") is None
    assert ast.unparse(signature_of(lambda_).default("b")) == "1"


class Row(NamedTuple):
    """A parameter as a table has it."""

    name: str
    keyword_only: bool = False
    required: bool = False
    default: Any = 0


def test_parameters_of_a_table() -> None:
    rows = (Row("params", required=True), Row("lr", default=0.1), Row("fused", keyword_only=True))
    signature = signature_of(rows, also={"learning_rate": rows[1]})
    source = read_source(b"f(p, *[], learning_rate=2, **{'fused': x})\n")
    node = source.tree.body[0].value  # type: ignore[attr-defined]
    arguments = [(item.form, item.name, ast.unparse(item.node)) for item in read_call(source, node).arguments]
    result = bind(signature, arguments)
    assert isinstance(result, Bound)
    assert {name: (item.index, item.value) for name, item in result.given.items()} == {
        "params": (0, "p"),
        "lr": (2, "2"),
        "fused": (3, "x"),
    }
    assert result.given["lr"].parameter is rows[1]
    result = bind(signature, [(Form.POSITIONAL, None, "p")])
    assert isinstance(result, Bound)
    assert [(item.parameter.name, item.value) for item in result.given.values()] == [
        ("params", "p"),
        ("lr", 0.1),
        ("fused", 0),
    ]
    twice = bind(signature, [(Form.POSITIONAL, None, 1), (Form.KEYWORD, "lr", 2), (Form.KEYWORD, "learning_rate", 3)])
    assert isinstance(twice, Unbound)
    assert twice.problems == (Fault(BindingProblem.TWICE, 2, "lr"),)


def test_as_python_binds() -> None:
    """Random signatures and calls, held against what Python makes of them."""
    chance = random.Random(1)
    agreed = 0
    for _ in range(2000):
        parameters = _parameters(chance)
        given = [str(i) for i in range(chance.randint(0, 4))]
        names = chance.sample("abcdex", chance.randint(0, 3))
        text = ", ".join([*given, *(f"{name}={name!r}" for name in names)])
        space: dict[str, Any] = {}
        exec(f"def f({parameters}): return locals()", space)
        try:
            python: dict[str, Any] | None = eval(f"f({text})", space)
        except TypeError:
            python = None
        result = bind(signature_of(parameters), call(f"f({text})"))
        assert isinstance(result, Bound) == (python is not None), (parameters, text)
        if isinstance(result, Bound) and python is not None:
            agreed += 1
            assert len(result.more) == len(python.pop("rest", ())) + len(python.pop("more", {}))
            assert {name: ast.literal_eval(item.value) for name, item in result.given.items()} == python
    assert agreed > 200


def _parameters(chance: random.Random) -> str:
    names = list("abcde")[: chance.randint(0, 5)]
    kinds = sorted(chance.choices(range(3), k=len(names)))
    defaults = False
    parts: list[str] = []
    star = chance.choice(["*rest", "*"]) if 2 in kinds else chance.choice(["*rest", ""])
    for index, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if kind == 2 and star:
            parts.append(star)
            star = ""
        defaults = chance.random() < 0.3 or (defaults and kind < 2)
        parts.append(f"{name}=0" if defaults else name)
        if kind == 0 and (index + 1 == len(kinds) or kinds[index + 1] != 0):
            parts.append("/")
    return ", ".join([*parts, *([star] if star else []), *(["**more"] if chance.random() < 0.3 else [])])
