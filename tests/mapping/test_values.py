"""What is read off an expression, and each conversion on its own."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.mapping.records import Literal
from optmap.mapping.values import (
    UNKNOWN,
    Conversion,
    Value,
    conversion,
    convert,
    literal_value,
    read_value,
    write_literal,
)
from optmap.mapping.vocabulary import Accepts, same_value
from tests.properties import examples


def read(text: str) -> Value:
    return read_value(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("1", 1),
        ("1e-3", 1e-3),
        ("-5e-4", -5e-4),
        ("+2", 2),
        ("--2", 2),
        ("1 / 3", 1 / 3),
        ("1 - 0.1", 0.9),
        ("2 ** 0.5", 2**0.5),
        ("10 ** -3", 10**-3),
        ("(1e-3)", 1e-3),
        ("3 * 4", 12),
        ("True", True),
        ("False", False),
        ("None", None),
        ("'x'", "x"),
        ("(0.9, 0.99)", (0.9, 0.99)),
        ("[0.9, 1 - 0.5]", (0.9, 0.5)),
        ("()", ()),
        ("(1,)", (1,)),
        ("((1, 2), 'a')", ((1, 2), "a")),
        ("0x10", 16),
        ("1_000", 1000),
        ("1e999", math.inf),
    ],
)
def test_what_is_known(text: str, literal: Literal) -> None:
    found = read(text)
    assert found.known
    assert found.literal == literal
    assert type(found.literal) is type(literal)
    assert found.is_float is isinstance(literal, float)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x.y",
        "f()",
        "float(x)",
        "x + 1",
        "1 + x",
        "not True",
        "~1",
        "1 if x else 2",
        "1 / 0",
        "0 ** -1",
        "10 ** 10 ** 10",
        "9.0 ** 999",
        "10 ** 999",
        "-(10 ** 400)",
        "(-1) ** 0.5",
        "1 < 2",
        "True + 1",
        "-True",
        "5 // 2",
        "5 % 2",
        "f'{x}'",
        "(a := 1)",
        "x[0]",
        "[*a]",
        "(1, *a)",
        "{1, 2}",
        "{}",
        "lambda: 1",
        "[x for x in y]",
        "1 << 99",
        "1e308 * 10",
    ],
)
def test_what_is_not_known(text: str) -> None:
    assert read(text).literal is UNKNOWN
    assert not read(text).known


def test_elements_are_known_one_by_one() -> None:
    found = read("(0.9, b2, f(x), float(y))")
    assert not found.known
    assert found.elements is not None
    assert [element.known for element in found.elements] == [True, False, False, False]
    assert [element.is_name for element in found.elements] == [False, True, False, False]
    assert [element.is_float for element in found.elements] == [True, False, False, True]
    for text in ("(0.9, *rest)", "betas", "get()", "tuple([1, 2])", "'ab'"):
        assert read(text).elements is None, text


def test_only_a_bare_name_may_be_read_twice() -> None:
    assert read("betas").is_name
    assert not any(read(text).is_name for text in ("self.betas", "b[0]", "get()", "1", "(b := 1)"))


def test_deep_arithmetic_is_given_up_or_folded() -> None:
    """As deep as the parser allows; the tree comes from users."""
    text = "1" + " + 1" * 800
    found = read(text)
    assert not found.known or found.literal == 801


@pytest.mark.parametrize(
    ("text", "accepts", "expected"),
    [
        ("1", Accepts.ANY, Conversion.NONE),
        ("x", Accepts.ANY, Conversion.NONE),
        ("None", Accepts.ANY, Conversion.NONE),
        ("1", Accepts.FLOAT, Conversion.FLOAT),
        ("1.0", Accepts.FLOAT, Conversion.NONE),
        ("1 / 2", Accepts.FLOAT, Conversion.NONE),
        ("True", Accepts.FLOAT, Conversion.FLOAT),
        ("x", Accepts.FLOAT, Conversion.FLOAT),
        ("f()", Accepts.FLOAT, Conversion.FLOAT),
        ("float(x)", Accepts.FLOAT, Conversion.NONE),
        ("'1'", Accepts.FLOAT, Conversion.FLOAT),
        ("True", Accepts.BOOL, Conversion.NONE),
        ("1", Accepts.BOOL, Conversion.BOOL),
        ("0.0", Accepts.BOOL, Conversion.BOOL),
        ("x", Accepts.BOOL, Conversion.BOOL),
        ("not x", Accepts.BOOL, Conversion.NONE),
    ],
)
def test_the_conversion_that_a_target_asks_for(text: str, accepts: Accepts, expected: Conversion) -> None:
    assert conversion(read(text), accepts) is expected


@pytest.mark.parametrize("literal", [None, True, 0, 1.5, "x", (1, 2)])
def test_no_conversion_changes_nothing(literal: Literal) -> None:
    assert convert(literal, Conversion.NONE) is literal


@pytest.mark.parametrize(
    ("literal", "expected"), [(1, 1.0), (0, 0.0), (1.5, 1.5), (True, 1.0), (False, 0.0), (-3, -3.0)]
)
def test_float(literal: Literal, expected: float) -> None:
    found = convert(literal, Conversion.FLOAT)
    assert found == expected
    assert type(found) is float


@pytest.mark.parametrize(
    ("literal", "expected"), [(1, True), (0, False), (0.0, False), (2.5, True), (True, True), (False, False)]
)
def test_bool(literal: Literal, expected: bool) -> None:
    assert convert(literal, Conversion.BOOL) is expected


@pytest.mark.parametrize("how", [Conversion.FLOAT, Conversion.BOOL])
@pytest.mark.parametrize("literal", [None, "1", (1.0,), ()])
def test_what_cannot_be_converted(literal: Literal, how: Conversion) -> None:
    with pytest.raises(TypeError, match="cannot convert"):
        convert(literal, how)


def test_every_conversion_is_tested_here() -> None:
    assert {str(item) for item in Conversion} == {"none", "float", "bool"}


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (1e-8, "1e-08"),
        (0.001, "0.001"),
        (1.0, "1.0"),
        (0, "0"),
        (True, "True"),
        (None, "None"),
        ("a'b", '"a\'b"'),
        ((0.9, 0.999), "(0.9, 0.999)"),
        ((1,), "(1,)"),
        ((), "()"),
        (math.inf, 'float("inf")'),
        (-math.inf, 'float("-inf")'),
        (((1, 2), None), "((1, 2), None)"),
    ],
)
def test_writing(literal: Literal, text: str) -> None:
    assert write_literal(literal) == text


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
LITERALS: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6
)


@examples(300)
@given(LITERALS)
def test_what_is_written_reads_back_equal(literal: Literal) -> None:
    text = write_literal(literal)
    back = eval(text, {"float": float, "__builtins__": {}})
    assert back == literal
    assert repr(back) == repr(literal)


@examples(100)
@given(LITERALS.filter(lambda value: "inf" not in repr(value)))
def test_what_is_written_is_known_again(literal: Literal) -> None:
    found = read(write_literal(literal))
    assert repr(found.literal) == repr(literal)
    assert repr(literal_value(literal).literal) == repr(literal)


def test_nan_is_written_as_a_call() -> None:
    assert math.isnan(eval(write_literal(math.nan)))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (0, 0.0, True),
        (1, 1.0, True),
        (0, False, False),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        (None, 0, False),
        (None, False, False),
        ((0, 1), (0.0, 1.0), True),
        ((0, 1), (0, True), False),
        ((0,), (0, 0), False),
        ("a", "a", True),
        ((0.9, 0.999), 0.9, False),
        (1e-8, 1e-7, False),
    ],
)
def test_same_value(left: Literal, right: Literal, same: bool) -> None:
    assert same_value(left, right) is same
    assert same_value(right, left) is same


@pytest.mark.parametrize("text", ["1j", "b'x'", "..."])
def test_what_is_surely_no_number(text: str) -> None:
    assert isinstance(read(text).literal, str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", False), ("5.0", False), ("5.5", True), ("n / 2", True), ("10 / 4", True), ("10 / 5", False), ("n // 2", False),
        ("n // 2 * 3", False), ("0.5 * n", True), ("2.0 * n", False), ("int(n / 2)", False), ("len(x)", False), ("-n / 2", True),
        ("round(n / 2)", False), ("float(n)", False), ("float(n / 2)", True), ("max(1, n / 2)", True), ("args.steps", False),
        ("n / 2 if x else 3", True), ("n / 2 % 5", True), ("[1, n / 2]", True), ("[1, n // 2]", False),
        ("[i / 2 for i in x]", True), ("half", True), ("whole", False), ("half + 1", True), ("get()", False),
    ],
)  # fmt: skip
def test_what_may_be_a_fraction(text: str, expected: bool) -> None:
    held = {"half": "n / 2", "whole": "n // 2"}

    def follow(node: ast.expr) -> list[ast.expr]:
        text = held.get(ast.unparse(node))
        return [] if text is None else [ast.parse(text, mode="eval").body]

    assert read_value(ast.parse(text, mode="eval").body, follow).is_fraction is expected
