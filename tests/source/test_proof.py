"""The proof looks at the statements that edits touch, and the rest must be what it was, byte for byte."""

from __future__ import annotations

import ast
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optmap.source.changes import Insert, Replace, Where
from optmap.source.compose import to_edits
from optmap.source.edits import Edit, apply_edits
from optmap.source.proof import VerificationError, stretches, verify, verify_bytes
from optmap.source.templates import Template
from optmap.source.text import read_source

STATEMENTS = [
    "a = 1", "b = 2; c = 3", "# a comment", "", "if x:\n    y()\nelse:\n    z()", "@d\n@e(\n)\ndef f():\n    return 1",
    "s = '''\nx = 1\n'''", "t = (1,\n2)", "u = 1 + \\\n2", "class C:\n\n    pass  # end\n# behind", "\\\nv = 1",
    "with a: b()", "\x0cw = 1",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_the_stretches_of_a_file_parse_as_the_whole(parts: list[str], newline: str, data: st.DataObject) -> None:
    """A file's tree is that of its stretches, one after another."""
    text = "".join(f"{part}\n" for part in parts).replace("\n", newline)
    source = read_source(text.encode())
    offsets = data.draw(st.lists(st.integers(0, len(source.body)), max_size=3))
    edits = [Edit(offset, offset, "") for offset in sorted(offsets)]
    found = list(stretches(source, source.body, [], edits))
    whole = [ast.dump(item) for item in source.tree.body]
    for stretch in found:
        assert source.body[stretch.start : stretch.end] == stretch.text
        assert [ast.dump(item) for item in ast.parse(stretch.text).body] == [ast.dump(s) for s in stretch.statements]
        assert all(ast.dump(item) in whole for item in stretch.statements)
    assert all(one.end < other.start or one.end == other.start for one, other in pairwise(found))
    assert all(any(item.start <= edit.start <= item.end for item in found) for edit in edits)


def test_a_change_far_from_the_edits_is_found() -> None:
    source = read_source(b"a = f(1)\nb = 2\nc = 3\n")
    node = next(item for item in ast.walk(source.tree) if isinstance(item, ast.Call))
    changes = [Replace(node, Template("g(1)"))]
    edits = to_edits(source, changes)
    body = apply_edits(source.body, edits)
    verify(source, body, changes, edits)
    for wrong in (body.replace(b"c = 3", b"c = 4"), body + b"d\n", body[:-6]):
        with pytest.raises(VerificationError):
            verify(source, wrong, changes, edits)


def test_a_change_without_an_edit_is_found() -> None:
    source = read_source(b"a = f(1)\nb = 2\n")
    changes = [Insert(source.tree.body[1], Where.AFTER, Template("c = 3"))]
    with pytest.raises(VerificationError):
        verify(source, source.body, changes, [])


def test_python_must_read_the_result_as_it_is_meant() -> None:
    source = read_source("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"))
    verify_bytes(source, source.body, source.encode(source.body))
    moved = b"import a\nimport b\n" + source.body
    with pytest.raises(VerificationError, match="encoding"):
        verify_bytes(source, moved, source.encode(moved))
    marked = read_source(b"\xef\xbb\xbfx = 1\n")
    with pytest.raises(VerificationError, match="encoding"):
        verify_bytes(marked, marked.body, marked.body)
