"""The language server, spoken to over its real protocol as an editor does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls", reason="pygls is not installed")

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

import optmap
from optmap.source.edits import Edit, apply_edits

SOURCE = """\
import torch
# a\N{GRINNING FACE}\x0c comment
net = torch.nn.Linear(2, 2)
name = "\N{GRINNING FACE}"; first = torch.optim.Adam(net.parameters(), lr=0.1)
second = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
third = torch.optim.SGD(net.parameters(), 0.1, nonsense=1)
def train(batches):
    for x, y in batches:
        second.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        second.step()
"""


class Talk:
    """A conversation with a server that has one document open."""

    def __init__(self, client: LanguageClient, uri: str, heard: asyncio.Queue[Any]) -> None:
        self.client, self.uri, self.heard = client, uri, heard

    async def published(self) -> lsp.PublishDiagnosticsParams:
        found: lsp.PublishDiagnosticsParams = await asyncio.wait_for(self.heard.get(), 30)
        return found

    async def actions(self, line: int, *only: str) -> list[Any]:
        span = lsp.Range(lsp.Position(line, 0), lsp.Position(line, 1))
        context = lsp.CodeActionContext([], only=[*only] or None)
        document = lsp.TextDocumentIdentifier(self.uri)
        return [
            *(await self.client.text_document_code_action_async(lsp.CodeActionParams(document, span, context)) or ())
        ]

    async def hover(self, line: int) -> lsp.Hover | None:
        place = lsp.Position(line, 0)
        return await self.client.text_document_hover_async(lsp.HoverParams(lsp.TextDocumentIdentifier(self.uri), place))


def talk(path: Path, text: str, body: Callable[[Talk], Awaitable[Any]], **options: str) -> Any:
    """Open a text in a server of its own, and have a conversation."""

    async def run() -> Any:
        client = LanguageClient("test", "1")
        heard: asyncio.Queue[Any] = asyncio.Queue()

        def hear(params: Any) -> None:
            heard.put_nowait(params)

        client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(hear)
        client.feature(lsp.WINDOW_SHOW_MESSAGE)(hear)
        await client.start_io(sys.executable, "-m", "optmap", "lsp")
        wishes = lsp.InitializeParams(lsp.ClientCapabilities(), initialization_options=options)
        await client.initialize_async(wishes)
        client.initialized(lsp.InitializedParams())
        document = lsp.TextDocumentItem(path.as_uri(), lsp.LanguageKind.Python, 1, text)
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
        try:
            return await body(Talk(client, path.as_uri(), heard))
        finally:
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()  # type: ignore[no-untyped-call]

    return asyncio.run(run())


def applied(text: str, edit: lsp.WorkspaceEdit) -> str:
    """The text with an edit made as an editor makes it: columns count UTF-16 code units."""
    (change,) = edit.document_changes or ()
    assert isinstance(change, lsp.TextDocumentEdit)
    assert change.text_document.version == 1
    lines = text.split("\n")

    def at(place: lsp.Position) -> int:
        before = lines[place.line].encode("utf-16-le")[: 2 * place.character].decode("utf-16-le")
        return len("\n".join([*lines[: place.line], before]).encode())

    edits = [
        Edit(at(item.range.start), at(item.range.end), str(getattr(item, "new_text", ""))) for item in change.edits
    ]
    return apply_edits(text.encode(), edits).decode()


def test_diagnostics_stand_where_python_counts_them(tmp_path: Path) -> None:
    async def body(server: Talk) -> lsp.PublishDiagnosticsParams:
        return await server.published()

    found = talk(tmp_path / "train.py", SOURCE, body)
    by_code = {item.code: item for item in found.diagnostics}
    assert by_code["OM110"].range.start == lsp.Position(3, 21)  # the smiley is two units
    assert by_code["OM110"].severity is lsp.DiagnosticSeverity.Information
    refused = [item for item in found.diagnostics if item.range.start.line == 5]
    assert any(item.severity is lsp.DiagnosticSeverity.Error and "nonsense" in item.message for item in refused)


def test_code_actions_translate_one_call_or_the_file(tmp_path: Path) -> None:
    async def body(server: Talk) -> list[list[Any]]:
        return [
            await server.actions(3),
            await server.actions(5),
            await server.actions(11),
            await server.actions(3, "source"),
        ]

    first, refused, step, source = talk(tmp_path / "train.py", SOURCE, body)
    alone = next(item for item in first if item.title == "Translate this call to mindspore.nn.Adam")
    new = applied(SOURCE, alone.edit)
    assert "first = mindspore.nn.Adam(net.trainable_params(), learning_rate=0.1" in new
    assert "second = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)" in new
    assert [item.kind for item in refused if item.kind == "quickfix"] == []
    shown = next(item for item in step if item.title.startswith("Show the replacement for OM401"))
    commented = applied(SOURCE, shown.edit)
    assert [line for line in commented.splitlines() if line not in SOURCE.splitlines()] != []
    assert all(line in commented for line in SOURCE.splitlines())
    assert {item.kind for item in source} == {"source.optmap.translate"}
    whole = applied(SOURCE, source[0].edit)
    assert "from mindspore import nn\n" in whole
    assert " nn.SGD(" in whole
    assert " nn.Adam(" in whole


def test_a_training_step_that_can_be_rewritten_is_a_quick_fix(tmp_path: Path) -> None:
    text = SOURCE.replace("third = torch.optim.SGD(net.parameters(), 0.1, nonsense=1)\n", "")

    async def body(server: Talk) -> list[Any]:
        return await server.actions(10, "quickfix")

    (fix,) = talk(tmp_path / "train.py", text, body)
    assert fix.title == "Rewrite this training step for MindSpore, with the file's optimizers and steps"
    assert [item.code for item in fix.diagnostics] == ["OM401"]
    assert applied(text, fix.edit) == optmap.translate_source(text, to="mindspore", rewrite_step=True).text


def test_hover_compares_the_class_with_its_counterpart(tmp_path: Path) -> None:
    async def body(server: Talk) -> tuple[lsp.Hover | None, lsp.Hover | None]:
        return await server.hover(4), await server.hover(0)

    found, nothing = talk(tmp_path / "train.py", SOURCE, body, to="tensorflow")
    assert nothing is None
    assert isinstance(found.contents, lsp.MarkupContent)
    assert "torch.optim.SGD" in found.contents.value
    assert "keras.optimizers.SGD" in found.contents.value


def test_typing_brings_new_diagnostics(tmp_path: Path) -> None:
    async def body(server: Talk) -> list[lsp.PublishDiagnosticsParams]:
        first = await server.published()
        identifier = lsp.VersionedTextDocumentIdentifier(2, server.uri)
        change = lsp.TextDocumentContentChangeWholeDocument("import torch\n")
        server.client.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [change]))
        return [first, await server.published()]

    first, second = talk(tmp_path / "train.py", SOURCE, body)
    assert first.diagnostics
    assert (second.version, second.diagnostics) == (2, ())


@pytest.mark.parametrize("settings", ["[tool.optmap]\nto = 'jax'\n", "[tool.optmap\n"])
def test_bad_settings_are_a_message_and_no_crash(tmp_path: Path, settings: str) -> None:
    (tmp_path / "pyproject.toml").write_text(settings)

    async def body(server: Talk) -> tuple[Any, list[Any], Any]:
        return await server.published(), await server.actions(3), await server.hover(3)

    said, actions, hover = talk(tmp_path / "train.py", SOURCE, body)
    assert said.type is lsp.MessageType.Error
    assert "pyproject.toml" in said.message
    assert (actions, hover) == ([], None)


def test_a_cookie_says_nothing_of_text_that_is_decoded(tmp_path: Path) -> None:
    text = f"# coding: latin-1\n{SOURCE}"

    async def body(server: Talk) -> lsp.PublishDiagnosticsParams:
        return await server.published()

    found = talk(tmp_path / "train.py", text, body)
    assert [item.range.start for item in found.diagnostics if item.code == "OM110"] == [lsp.Position(4, 21)]
