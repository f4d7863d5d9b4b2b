"""Edits: applied in any order they give the text that a naive rebuild gives, and what they remove leaves the rest whole."""

from __future__ import annotations

import ast
import io
import itertools
import tokenize
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.source.calls import read_call
from optmap.source.edits import (
    Edit,
    OverlapError,
    apply_edits,
    line_indent,
    ordered,
    remove_pieces,
    rest_of_line,
    starts_line,
)
from optmap.source.text import Source, read_source
from tests.properties import examples

BODY = b"abcdefghij"


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], b"abcdefghij"),
        ([Edit(0, 0, "x")], b"xabcdefghij"),
        ([Edit(10, 10, "x")], b"abcdefghijx"),
        ([Edit(2, 4, "")], b"abefghij"),
        ([Edit(2, 4, "X"), Edit(4, 6, "Y")], b"abXYghij"),
        ([Edit(4, 6, "Y"), Edit(2, 4, "X")], b"abXYghij"),
        ([Edit(3, 3, "1"), Edit(3, 3, "2"), Edit(3, 3, "0")], b"abc120defghij"),
        ([Edit(3, 5, "R"), Edit(3, 3, "i")], b"abciRfghij"),
        ([Edit(1, 3, "R"), Edit(3, 3, "i")], b"aRidefghij"),
        ([Edit(2, 4, "X"), Edit(2, 4, "X")], b"abXefghij"),
        ([Edit(0, 10, "é")], "é".encode()),
    ],
)
def test_apply(edits: list[Edit], expected: bytes) -> None:
    assert apply_edits(BODY, edits) == expected


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(2, 5, "x"), Edit(4, 6, "y")],
        [Edit(2, 5, "x"), Edit(3, 3, "y")],
        [Edit(2, 5, "x"), Edit(2, 5, "y")],
        [Edit(0, 10, ""), Edit(4, 5, "")],
        [Edit(2, 5, ""), Edit(2, 4, "")],
    ],
)
def test_overlaps_are_refused_in_any_order(edits: list[Edit]) -> None:
    for order in itertools.permutations(edits):
        with pytest.raises(OverlapError):
            apply_edits(BODY, order)


@st.composite
def bodies_and_edits(draw: st.DrawFn) -> tuple[bytes, list[Edit], bytes]:
    """A body, edits that do not overlap, and what they make of it, rebuilt piece by piece."""
    text = st.text("aé\n\r(,)#🙂", max_size=6)
    pieces = draw(st.lists(st.tuples(text, st.booleans(), text), max_size=8))
    body, result, edits = b"", b"", []
    touching = False
    for old, change, new in pieces:
        encoded = old.encode()
        if change and not (touching and not encoded):
            edits.append(Edit(len(body), len(body) + len(encoded), new))
            touching = not encoded
            result += new.encode()
        else:
            touching = touching and not encoded
            result += encoded
        body += encoded
    return body, edits, result


@examples(300)
@given(bodies_and_edits(), st.randoms(use_true_random=False))
def test_edits_equal_a_naive_rebuild_in_any_order(case: tuple[bytes, list[Edit], bytes], random: object) -> None:
    body, edits, expected = case
    assert apply_edits(body, edits) == expected
    shuffled = list(edits)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert apply_edits(body, shuffled) == expected
    assert ordered(shuffled) == ordered(edits)


# Lines


def test_lines() -> None:
    source = read_source(b"if a:\n    f(1,  # x\n        2)\n    g()\n")
    one, two = source.body.index(b"1"), source.body.index(b"2")
    assert (line_indent(source, one), line_indent(source, two)) == ("    ", "        ")
    assert (starts_line(source, one), starts_line(source, two)) == (False, True)
    span = rest_of_line(source, one)
    assert source.text(span.start, span.end) == "1,  # x"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_with_any_ending(newline: str) -> None:
    source = read_source(f"f(1,{newline}\t 2,{newline})".encode())
    two = source.body.index(b"2")
    assert (line_indent(source, two), starts_line(source, two)) == ("\t ", True)
    span = rest_of_line(source, two)
    assert source.text(span.start, span.end) == "2,"


# Removal


def comments(data: bytes) -> Counter[str]:
    found = tokenize.tokenize(io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).readline)
    return Counter(token.string for token in found if token.type == tokenize.COMMENT)


def removed(source: Source, gone: list[int]) -> bytes:
    node = next(node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
    call = read_call(source, node)
    return apply_edits(source.body, remove_pieces(source, call.items, gone))


@pytest.mark.parametrize(
    ("text", "gone", "expected"),
    [
        ("f(a, b, c)", [0], "f(b, c)"),
        ("f(a, b, c)", [1], "f(a, c)"),
        ("f(a, b, c)", [2], "f(a, b)"),
        ("f(a, b, c)", [0, 2], "f(b)"),
        ("f(a, b, c)", [0, 1, 2], "f()"),
        ("f(a, b, c,)", [2], "f(a, b,)"),
        ("f(a, b,)", [0, 1], "f()"),
        ("f(\n    a,\n    b,\n    c,\n)", [1], "f(\n    a,\n    c,\n)"),
        ("f(\n    a,\n    b,\n    c,\n)", [2], "f(\n    a,\n    b,\n)"),
        ("f(\n    a,\n    b,\n    c\n)", [2], "f(\n    a,\n    b\n)"),
        ("f(\n    a,\n    b,\n    c,\n)", [0], "f(\n    b,\n    c,\n)"),
        ("f((a), (b))", [0], "f((b))"),
        ("f(a, (b, c), d)", [1], "f(a, d)"),
    ],
)
def test_removal(text: str, gone: list[int], expected: str) -> None:
    assert removed(read_source(text.encode()), gone).decode() == expected


GAPS = st.sampled_from(["", " ", "\n", "\n    ", "  # é\n    ", " # one\n # two\n", "\n\n", "\t", " \\\n "])


@st.composite
def argument_lists(draw: st.DrawFn) -> str:
    values = ["a", "(b)", "'c, #'", "g(d, e)", "[1,\n 2]", "k=1", "l = (2)", "m=lambda: 3"]
    chosen = values[draw(st.integers(0, 3)) : draw(st.integers(4, len(values)))]
    text = "".join(f"{draw(GAPS)}{value}{draw(GAPS)}," for value in chosen)
    tail = draw(st.sampled_from(["", ",", ", ", ",  # end\n", "\n", ",\n    # lone\n"]))
    return text.removesuffix(",") + tail


@examples(60)
@given(
    argument_lists(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["x = f({})  # out\ny = 1\n", "def h():\n    return f({})\n"]),
)
def test_every_subset_can_be_removed(inner: str, newline: str, frame: str) -> None:
    data = frame.format(inner).replace("\n", newline).encode()
    source = read_source(data)
    before = next(node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
    every = [*before.args, *before.keywords]
    for count in range(1, len(every) + 1):
        for gone in itertools.combinations(range(len(every)), count):
            result = removed(source, list(gone))
            after = next(node for node in ast.walk(ast.parse(result)) if isinstance(node, ast.Call))
            kept = [ast.dump(item) for index, item in enumerate(every) if index not in gone]
            assert [ast.dump(item) for item in (*after.args, *after.keywords)] == kept
            assert comments(result) == comments(data)
            assert result.count(b"\r\n") == result.count(b"\n") if newline == "\r\n" else True
