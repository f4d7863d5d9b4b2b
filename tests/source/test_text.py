"""Bytes to a Source and back: encodings, byte order marks, line endings, and what Python refuses."""

from __future__ import annotations

import ast
import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.source.text import Source, SourceError, parse_body, read_source
from tests.properties import examples


def read_or_error(data: bytes) -> Source | SourceError:
    try:
        return read_source(data)
    except SourceError as error:
        return error


def failure(data: bytes) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read_source(data)
    return caught.value


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        (b"x = 1", "utf-8"),
        ("é = 'ü'\n".encode(), "utf-8"),
        (b"# coding: utf-8\nx = 1\n", "utf-8"),
        (codecs.BOM_UTF8 + "é = 1\n".encode(), "utf-8"),
        (codecs.BOM_UTF8 + b"# coding: utf-8\nx = 1\n", "utf-8"),
        (b"# -*- coding: latin-1 -*-\nx = '\xe9'\n", "iso-8859-1"),
        (b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nx = '\x80'\n", "cp1252"),
        (b"# coding: ascii\nx = 1\n", "ascii"),
        ("# coding: euc-jp\nx = 'あ'\n".encode("euc-jp"), "euc-jp"),
        ("# coding: shift_jis\nx = 'あ'\n".encode("shift_jis"), "shift_jis"),
        (b"x = 1\r\ny = 2\rz = 3\n", "utf-8"),
        (b"\x0cx = 1\n\x0c\n", "utf-8"),
        (b"# coding: latin-1\rx = '\xe9'\r", "iso-8859-1"),
        (b"#!python\r# coding: cp1252\rx = '\x80'\r", "cp1252"),
        (b"# coding: latin-1\r\rx = '\xe9'\r\n", "iso-8859-1"),
        (b"#\r# coding: latin-1\n# coding: utf-8\rx = '\xe9'", "iso-8859-1"),
        ("#\r#\r# coding: latin-1\nx = 'é'\r\n".encode(), "utf-8"),
    ],
)
def test_what_is_read_is_given_back(data: bytes, encoding: str) -> None:
    source = read_source(data)
    assert source.encoding == encoding
    assert source.encode(source.body) == data
    assert ast.dump(source.tree) == ast.dump(ast.parse(data))


@pytest.mark.parametrize("declared", ["latin-1", "ascii", "utf-16", "no such encoding"])
def test_in_text_no_cookie_counts(declared: str) -> None:
    """As for Python, which decodes nothing either where it is given text."""
    text = f"# coding: {declared}\nx = 'é'\n"
    source = read_source(text.encode(), declares=False)
    assert source.encode(source.body).decode() == text
    assert ast.dump(source.tree) == ast.dump(ast.parse(text))


def test_the_body_is_utf_8_whatever_the_file_is() -> None:
    source = read_source(b"# coding: latin-1\nx = '\xe9'\n")
    assert source.body == "# coding: latin-1\nx = 'é'\n".encode()
    assert source.encode(source.body + "y = 'ü'\n".encode()).endswith(b"y = '\xfc'\n")
    assert source.tree.body[0].value.value == "é"  # type: ignore[attr-defined]


def test_a_character_that_the_encoding_lacks() -> None:
    source = read_source(b"# coding: latin-1\nx = 1\n")
    with pytest.raises(SourceError, match="encoding") as caught:
        source.encode("y = '€'".encode())
    assert caught.value.decoding


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"x = 1\ny = '\xe9'\n", 2),
        (b"\xff\xfex\x00", 1),
        (b"# coding: ascii\nx = '\xe9'\n", 1),
        (b"# coding: klingon\nx = 1\n", 1),
        (codecs.BOM_UTF8 + b"# coding: latin-1\nx = 1\n", 1),
        (b"# coding: utf-16\nx = 1\n", 1),
        (b"# coding: rot13\nx = 1\n", 1),
        (b"# coding: hex\n41\n", 1),
        (b"# coding: undefined\nx = 1\n", 1),
        (b"# coding: utf-7\nx = '+AOk-'; y = '+/v8-'\n", 1),
        (codecs.BOM_UTF8 + b"x = '\xe9'\n", 1),
        ("x = 1\n".encode("utf-32"), 1),
        (b"# coding: cp1252\nx = '\x81'\n", 1),
    ],
)
def test_what_cannot_be_decoded(data: bytes, line: int) -> None:
    """Nothing but a SourceError, whatever codec the cookie names; encodings that do not survive a round trip are refused."""
    found = read_or_error(data)
    if isinstance(found, SourceError):
        assert found.decoding or "parsed" in found.message
        assert found.line == line
    else:
        assert found.encode(found.body) == data


def test_a_byte_that_is_not_utf_8_is_named() -> None:
    error = failure(b"a = 1\nb = 2\nc = '\xe9'\n")
    assert (error.decoding, error.line) == (True, 3)
    assert "0xe9" in error.message


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"x = 1\nprint 'hello'\n", 2, 1),
        (b"x = (\n", 1, 5),
        (b"if x:\ny = 1\n", 2, 1),
        (b"def f(:\n", 1, 7),
        (b"x = 'abc\n", 1, 5),
        (b'x = """abc\n', 1, 5),
    ],
)
def test_what_cannot_be_parsed(data: bytes, line: int, column: int) -> None:
    error = failure(data)
    assert (error.decoding, error.line, error.column) == (False, line, column)
    assert error.message.startswith("cannot be parsed: ")


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\0\n",
        b"\0",
        b"x = '\0'\n",
        b"(" * 500,
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"-" * 100_000 + b"1",
        b"x = " + b"9" * 5000,
        b"a" + b".a" * 100_000,
        b"x = " + b"1 + " * 100_000 + b"1",
        b"if 1:\n" + b"".join(b" " * n + b"if 1:\n" for n in range(1, 200)),
        b"x = 1\x1a",
        b"\\",
        b"\x0c\\\n",
        b"x = 1 \\",
        b"'\\N{no such name}'",
        b"\xc2\xa0x = 1",
    ],
)
def test_nothing_but_a_source_error(data: bytes) -> None:
    found = read_or_error(data)
    if isinstance(found, SourceError):
        assert found.line >= 1
        assert found.column >= 1
        assert "\n" not in found.message
    else:
        assert found.encode(found.body) == data


def test_warnings_of_the_parser_are_kept_quiet(recwarn: pytest.WarningsRecorder) -> None:
    parse_body(b"x = '\\d'\nassert (1, 'x')\n1 is 1\n")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("data", "newline"),
    [(b"a\nb\r\n", "\n"), (b"a\r\nb\n", "\r\n"), (b"a\rb\n", "\r"), (b"a", "\n"), (b"", "\n"), (b"a\n", "\n")],
)
def test_the_first_line_ending_decides(data: bytes, newline: str) -> None:
    assert read_source(data).newline == newline


def test_positions_count_as_ast_counts() -> None:
    data = codecs.BOM_UTF8 + "é = 'ü'; b = 'x'\r\n\x0c\nif é:\r    c = 'ö', 'y'\n".encode()
    source = read_source(data)
    strings = [node for node in ast.walk(source.tree) if isinstance(node, ast.Constant)]
    texts = {source.text(source.start(node), source.end(node)) for node in strings}
    assert texts == {"'ü'", "'x'", "'ö'", "'y'"}
    assert [source.line(number) for number in range(1, 5)] == ["é = 'ü'; b = 'x'", "\x0c", "if é:", "    c = 'ö', 'y'"]
    assert source.column(1, len("é = ".encode())) == 5
    assert source.column(1, len("é = 'ü'; ".encode())) == 10
    assert source.column(4, 4) == 5


def test_form_feeds_and_unicode_line_separators_end_no_line() -> None:
    data = "x = 'a\x0cb\u2028c\x85d\x1ce'  # \x0b\ny = 'z'\n".encode()
    source = read_source(data)
    last = source.tree.body[1].value  # type: ignore[attr-defined]
    assert source.text(source.start(last), source.end(last)) == "'z'"


@examples(300)
@given(st.binary(max_size=80))
def test_arbitrary_bytes_survive_or_are_refused(data: bytes) -> None:
    try:
        source = read_source(data)
    except SourceError:
        return
    assert source.encode(source.body) == data


COOKIES = (
    "latin-1",
    "utf-8",
    "cp1251",
    "koi8-r",
    "euc-jp",
    "big5",
    "utf-8-sig",
    "iso-2022-jp",
    "hz",
    "utf-7",
    "punycode",
    "mbcs",
    "idna",
    "raw_unicode_escape",
    "unicode_escape",
)


@examples(200)
@given(st.sampled_from(COOKIES), st.binary(max_size=40), st.booleans())
def test_arbitrary_bytes_behind_a_cookie(cookie: str, data: bytes, bom: bool) -> None:
    whole = (codecs.BOM_UTF8 if bom else b"") + f"# coding: {cookie}\n#".encode() + data
    try:
        source = read_source(whole)
    except SourceError:
        return
    assert source.encode(source.body) == whole


@examples(200)
@given(
    st.lists(
        st.sampled_from(["é", "a", "'ü'", "\n", "\r\n", "\r", "\x0c", " ", "#x", "\u2028", "🙂", "=", "(", ")"]),
        max_size=30,
    )
)
def test_spans_agree_with_the_tree(parts: list[str]) -> None:
    data = "".join(parts).encode()
    try:
        source = read_source(data)
    except SourceError:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name):
            assert source.text(source.start(node), source.end(node)) == node.id
