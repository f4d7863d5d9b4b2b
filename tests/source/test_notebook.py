"""Cells are found where they are written, and edits change nothing but the strings that they are in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.source.cells import CellEdit, edited_text, splice_cells
from optmap.source.notebook import NotebookError, read_notebook
from tests.properties import examples

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20) | st.text('ab\n\r"\\/é😀 ', max_size=30)


def document(*sources: Any, **more: Any) -> dict[str, Any]:
    cells = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": []} for source in sources]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}


def lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


@st.composite
def notebooks(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A notebook in some layout, and the texts of its code cells."""
    texts = draw(st.lists(TEXTS, min_size=1, max_size=4))
    sources = [draw(st.sampled_from([text, lines(text), [text], list(text)])) for text in texts]
    indent = draw(st.sampled_from([None, 0, 1, 2, "\t"]))
    separators = draw(st.sampled_from([None, (",", ":"), (" ,  ", " : ")]))
    written = json.dumps(document(*sources), indent=indent, ensure_ascii=draw(st.booleans()), separators=separators)
    if draw(st.booleans()):
        written = written.replace("/", "\\/")
    ending = draw(st.sampled_from(["", "\n", "\r\n\t "]))
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return bom + (written + ending).encode(), texts


@given(notebooks())
def test_cells_are_found(pair: tuple[bytes, list[str]]) -> None:
    data, texts = pair
    found = read_notebook(data)
    assert [cell.text for cell in found.cells] == texts
    for cell in found.cells:
        for literal in cell.literals:
            assert json.loads(found.text[literal.start : literal.end]) == literal.value
    assert splice_cells(found, {}) == data


@examples(400)
@given(notebooks(), st.data())
def test_edits_change_their_strings_only(pair: tuple[bytes, list[str]], draw: st.DataObject) -> None:
    data, texts = pair
    before = read_notebook(data)
    number = draw.draw(st.integers(1, len(texts)))
    text = texts[number - 1]
    if not text:
        return
    places = sorted(draw.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=6, unique=True)))
    edits = [CellEdit(a, b, draw.draw(TEXTS)) for a, b in zip(places[::2], places[1::2], strict=False)]
    output = splice_cells(before, {number: edits})
    after = read_notebook(output)
    expected = edited_text(text, edits)
    assert [cell.text for cell in after.cells] == [*texts[: number - 1], expected, *texts[number:]]
    old, new = json.loads(data.decode("utf-8-sig")), json.loads(output.decode("utf-8-sig"))
    old_source, new_source = old["cells"][number - 1].pop("source"), new["cells"][number - 1].pop("source")
    assert old == new
    assert type(old_source) is type(new_source)
    if isinstance(old_source, list) and old_source == lines(text):
        assert new_source == (lines(expected) or [""])
    cell = before.cells[number - 1]
    first, last = cell.literals[0].start, cell.literals[-1].end
    assert output.startswith(before.bom + before.text[:first].encode())
    assert output.endswith(before.text[last:].encode())
    if before.text.isascii():
        assert output.removeprefix(before.bom).isascii()


def test_an_edit_keeps_the_escapes_around_it() -> None:
    source = r'["caf\u00e9 \/ \ud83d\ude00\u0041\n", "x = 1\n", "y\u003d2"]'
    data = ('{"nbformat": 4, "cells": [{"cell_type": "code", "source": ' + source + "}]}").encode()
    notebook = read_notebook(data)
    text = notebook.cells[0].text
    assert text == "café / 😀A\nx = 1\ny=2"
    at = text.index("A")
    output = splice_cells(notebook, {1: [CellEdit(at, at + 1, "é/B"), CellEdit(len(text) - 1, len(text), "3")]})
    expected = source.replace(r"\u0041", r"\u00e9\/B").replace("d2", "d3")
    assert output == data.replace(source.encode(), expected.encode())


def test_new_lines_become_items_in_the_layout_of_the_list() -> None:
    data = json.dumps(document(["a\n", "b"], "c\nd", ["e"]), indent=1).encode()
    notebook = read_notebook(data)
    inserted = [CellEdit(2, 2, "new\n")]
    output = splice_cells(notebook, {1: inserted, 2: inserted, 3: [CellEdit(0, 0, "new\n")]})
    assert output == json.dumps(document(["a\n", "new\n", "b"], "c\nnew\nd", ["new\n", "e"]), indent=1).encode()


@pytest.mark.parametrize("gone", [(0, 2), (2, 4), (0, 4), (3, 5), (0, 5)])
def test_lines_that_go_take_their_items_along(gone: tuple[int, int]) -> None:
    text = "a\nb\nc"
    for indent in (None, 1):
        notebook = read_notebook(json.dumps(document(lines(text)), indent=indent).encode())
        after = edited_text(text, [CellEdit(*gone, "")])
        expected = json.dumps(document(lines(after) or [""]), indent=indent).encode()
        assert splice_cells(notebook, {1: [CellEdit(*gone, "")]}) == expected


def test_the_last_of_two_equal_keys_counts() -> None:
    data = b'{"nbformat": 4, "cells": [], "cells": [{"cell_type": "raw", "source": 1, "source": "a", "cell_type": "code"}]}'
    assert [cell.text for cell in read_notebook(data).cells] == ["a"]


def test_cells_are_counted_with_markdown_among_them() -> None:
    cells = [{"cell_type": kind, "source": kind} for kind in ("markdown", "code", "raw", "code")]
    found = read_notebook(json.dumps({"cells": cells, "nbformat": 4}).encode())
    assert [(cell.number, cell.text) for cell in found.cells] == [(2, "code"), (4, "code")]


def test_other_languages_have_no_cells() -> None:
    for language in ("R", "julia"):
        metadata = {"kernelspec": {"language": language}, "language_info": {"name": language}}
        assert not read_notebook(json.dumps(document("x", metadata=metadata)).encode()).cells
    metadata = {"kernelspec": {"language": "R"}, "language_info": {"name": "python"}}
    assert read_notebook(json.dumps(document("x", metadata=metadata)).encode()).cells


BROKEN = [
    (b"", 1, 1, "the end of the file"),
    (b"[]", 1, 1, "expected a JSON object"),
    (b"{}", 1, 1, "no key 'cells'"),
    (b'{"nbformat": 4,\n "cells": {}}', 2, 11, "expected a list"),
    (b'{"nbformat": 4, "cells": [3]}', 1, 27, "cell 1: found 3, expected an object"),
    (b'{"nbformat": 4, "cells": [{}]}', 1, 27, "cell_type"),
    (b'{"nbformat": 4, "cells": [{"cell_type": 1}]}', 1, 41, "cell_type: found 1"),
    (b'{"nbformat": 4, "cells": [{"cell_type": "code"}]}', 1, 27, "source"),
    (b'{"nbformat": 4, "cells": [\n{"cell_type": "code", "source": 5}]}', 2, 33, "found 5"),
    (b'{"nbformat": 4, "cells": [\n{"cell_type": "code", "source": ["a", null]}]}', 2, 39, "found null"),
    (b'{"nbformat": 4, "cells": [],}', 1, 29, "key in double quotes"),
    (b'{"nbformat": 4, "cells": [] "a": 1}', 1, 29, "expected ',' or '}'"),
    (b'{"nbformat": 4, "cells": []} x', 1, 30, "more text"),
    (b'{"nbformat": 4, "cells": [\n<<<<<<< HEAD\n', 2, 1, "expected an object"),
    (b'{"nbformat": 5, "cells": []}', 1, 14, "found 5, expected 4"),
    (b'{"nbformat": "4", "cells": []}', 1, 14, "expected 4"),
    (b'{"nbformat": 4, "a": "\xff", "cells": []}', 1, 23, "0xff"),
    (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "a\nb"}]}', 1, 61, "control character"),
    (b'{"a": ' + b"[" * 200_000, 1, 1, "nested too deeply"),
    (b'{"a": ' + b"1" * 5000 + b"}", 1, 7, "cannot be read"),
    (b"\xff\xfe{", 1, 1, "UTF-16"),
]


@pytest.mark.parametrize(("data", "line", "column", "message"), BROKEN)
def test_broken_notebooks(data: bytes, line: int, column: int, message: str) -> None:
    with pytest.raises(NotebookError) as caught:
        read_notebook(data)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert not caught.value.old


def test_old_notebooks() -> None:
    data = b'{"worksheets": [{"cells": []}],\n "nbformat": 3}'
    with pytest.raises(NotebookError, match="found nbformat 3, expected 4") as caught:
        read_notebook(data)
    assert (caught.value.old, caught.value.line, caught.value.column) == (True, 2, 14)


@given(notebooks(), st.data())
def test_any_damage_is_an_error_or_harmless(pair: tuple[bytes, list[str]], draw: st.DataObject) -> None:
    data = pair[0]
    at = draw.draw(st.integers(0, len(data) - 1))
    damaged = data[:at] + draw.draw(st.sampled_from([b"", b"}", b'"', b"\\", b"\xff", b",", b"0"])) + data[at + 1 :]
    try:
        expected = json.loads(damaged.decode("utf-8-sig"))
    except ValueError:
        expected = None
    try:
        found = read_notebook(damaged)
    except NotebookError:
        return
    assert expected is not None
    codes = [cell for cell in expected["cells"] if cell["cell_type"] == "code"]
    assert [cell.text for cell in found.cells] == ["".join(cell["source"]) for cell in codes]
