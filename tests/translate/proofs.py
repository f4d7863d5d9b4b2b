"""What every rewrite must satisfy, whatever it is."""

from __future__ import annotations

import ast
import codecs
import io
import tokenize
from collections import Counter
from itertools import pairwise

from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.translate.edit_places import Places


def prove(before: bytes, result: FileResult, tables: MappingSet, options: Options, *, places: bool = True) -> None:
    """The output is what the reported edits make of the input, each stands where it may, comments stay, a second pass is idle."""
    ast.parse(result.output)
    again = translate_bytes(result.output, tables, options)
    assert again.output == result.output, "a second pass changes the result"
    assert not again.changed
    if not result.changed:
        assert result.output == before
        assert not result.edits
        return
    lost = comments(before) - comments(result.output)
    assert not lost, f"comments are gone: {dict(lost)}"
    assert edited(before, result) == result.output, "the edits that are reported do not make the output"
    if not places:
        return
    strangers = Places(text_of(before)[1].encode(), result).strangers(result.edits)
    assert not strangers, f"edits that belong to no translated call, import or step: {strangers}"


def text_of(data: bytes) -> tuple[str, str]:
    """The encoding of a file and its text without a byte order mark."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return encoding, data.removeprefix(codecs.BOM_UTF8).decode(encoding.removesuffix("-sig"))


def edited(before: bytes, result: FileResult) -> bytes:
    """The input with the reported edits made, from the last to the first; what no edit covers is copied."""
    encoding, text = text_of(before)
    body = text.encode()
    for one, other in pairwise(result.edits):
        assert one.end <= other.start, f"{one} and {other} want the same bytes"
    for edit in reversed(result.edits):
        assert 0 <= edit.start <= edit.end <= len(body)
        body = body[: edit.start] + edit.text.encode() + body[edit.end :]
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    return mark + body.decode().encode(encoding.removesuffix("-sig"))


def comments(data: bytes) -> Counter[str]:
    return Counter(
        token.string for token in tokenize.tokenize(io.BytesIO(data).readline) if token.type == tokenize.COMMENT
    )
