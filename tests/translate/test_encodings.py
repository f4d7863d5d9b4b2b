"""Python must read in the result's bytes what was proved of its text."""

from __future__ import annotations

import ast

import pytest

from optmap.api import translate_source
from optmap.mapping.model import MappingSet
from optmap.translate.pipeline import translate_bytes
from tests.translate.test_passes import TO_MINDSPORE, statuses

CALL = "opt = SGD(net.parameters(), lr=0.1)"


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8_r"])
@pytest.mark.parametrize("text", ["# optmap: x 中文", "# optmap: ignore # 中文"])
def test_comments_for_optmap_in_any_encoding(tables: MappingSet, encoding: str, text: str) -> None:
    text = text.replace("中文", {"euc_kr": "한글", "cp1251": "да", "koi8_r": "да"}.get(encoding, "中文"))
    source = f"# coding: {encoding}\nfrom torch.optim import SGD\n{CALL}\n{CALL}  {text}\n".encode(encoding)
    result = translate_bytes(source, tables, TO_MINDSPORE)
    assert statuses(result) == ["translated", "unchanged" if "ignore" in text else "translated"]
    ast.parse(result.output)
    assert text in result.output.decode(encoding)


@pytest.mark.parametrize(
    "comment", ["# text encoding: foo", "# file encoding: latin-1", "#coding=big5", "# -*- coding:utf8 -*-"]
)
@pytest.mark.parametrize("lead", ["", "\n", "# first\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_an_import_that_goes_makes_no_comment_a_cookie(tables: MappingSet, comment: str, lead: str, bom: bytes) -> None:
    source = f"{lead}from torch.optim import SGD\n{comment}\nfrom mindspore import nn\n{CALL}  # é\n"
    result = translate_bytes(bom + source.encode(), tables, TO_MINDSPORE)
    assert statuses(result) == ["translated"]
    assert ast.dump(ast.parse(result.output)) == ast.dump(ast.parse(result.output.decode("utf-8-sig")))


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
def test_a_cookie_on_lines_of_any_ending(tables: MappingSet, encoding: str, newline: str) -> None:
    source = f"# coding: {encoding}\nfrom torch.optim import SGD\n{CALL}  # é\n".replace("\n", newline).encode(encoding)
    result = translate_bytes(source, tables, TO_MINDSPORE)
    assert statuses(result) == ["translated"]
    assert result.output.decode(encoding).endswith(f"  # é{newline}")
    ast.parse(result.output)


@pytest.mark.parametrize("declared", ["latin-1", "ascii", "no such encoding"])
def test_a_cookie_in_text_declares_nothing(declared: str) -> None:
    result = translate_source(f"# coding: {declared}\nfrom torch.optim import SGD\né = 'é'; {CALL}\n")
    assert result.error is None
    assert [call.column for call in result.calls] == [16]
    assert result.output.decode().splitlines()[-1].startswith("é = 'é'; opt = mindspore.nn.SGD(")
