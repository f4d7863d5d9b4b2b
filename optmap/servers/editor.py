"""`optmap lsp`: diagnostics while typing, comparisons on hover, and translations as code actions, over stdin and stdout.

The server reads the documents that the editor has open and the settings and tables of their project. It writes nothing: every
change is an edit that the editor applies. Needs pygls (the extra `lsp`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

from optmap import __version__
from optmap.api import tables_of
from optmap.commands.common import UsageError, choice, direction
from optmap.commands.comparison import markdown
from optmap.commands.explain import compare
from optmap.config import ConfigError, Settings, find_settings
from optmap.diagnostics import STEP, STEP_REWRITTEN, Diagnostic, Severity
from optmap.mapping.framework import frameworks
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.mapping.stored import MappingError
from optmap.servers.lines import Lines
from optmap.source.edits import apply_edits
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import CallResult, FileResult, Status

TRANSLATE_FILE: Final = "source.optmap.translate"
REWRITE_FILE: Final = "source.optmap.rewriteSteps"
QUICK_FIX: Final = "quickfix"
PAUSE: Final = 0.25
"""Seconds without a keystroke after which a document is read again."""

_SEVERITIES: Final = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.INFO: lsp.DiagnosticSeverity.Information,
}
_ERRORS: Final = (UsageError, ConfigError, MappingError, ValueError)


class Editor(LanguageServer):
    """The server, with what the editor's initialization options ask for: `to`, `from` and `prefer`.

    The settings of a document's project hold where the editor asks for nothing.
    """

    chosen: dict[str, str]

    def opened(self, uri: str) -> Opened:
        """A document with what its project wants. Raises one of _ERRORS."""
        document = self.workspace.get_text_document(uri)
        path = to_fs_path(uri)
        settings = find_settings(Path(path).parent) if path else Settings()
        return Opened(document, *_wishes(settings, self.chosen))

    def publish(self, uri: str) -> None:
        """Publish what there is to say about a document; invalid settings or tables are shown as a message."""
        try:
            opened = self.opened(uri)
        except _ERRORS as error:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, f"optmap: {error}"))
            return
        shown = [opened.shown(item) for item in opened.translated().diagnostics]
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, shown, opened.document.version))


class Opened:
    """A document that the editor has open, the tables with the versions of its project, and what to translate it into."""

    def __init__(self, document: TextDocument, tables: MappingSet, options: Options) -> None:
        self.document = document
        self.tables = tables
        self.options = options
        self.target = options.target.facts.title
        self.lines = Lines(document)
        self._found: dict[Options, FileResult] = {}

    def translated(self, **changed: Any) -> FileResult:
        """The translation of the document, with some options changed."""
        options = self.options._replace(**changed)
        if options not in self._found:
            self._found[options] = translate_bytes(self.document.source.encode(), self.tables, options, declares=False)
        return self._found[options]

    def shown(self, item: Diagnostic) -> lsp.Diagnostic:
        """A diagnostic as the editor shows it: from its place to the end of that line."""
        start = self.lines.of(item.line, item.column)
        end = self.lines.of(item.line, len(self.lines.text(item.line)) + 1)
        text = f"{item.message}\n\n{item.replacement}" if item.replacement else item.message
        return lsp.Diagnostic(lsp.Range(start, end), text, _SEVERITIES[item.severity], item.code.id, source="optmap")

    def edit(self, edits: Iterable[lsp.TextEdit]) -> lsp.WorkspaceEdit:
        """Edits of this version of the document: the editor refuses them once it has changed."""
        identifier = lsp.OptionalVersionedTextDocumentIdentifier(self.document.uri, self.document.version)
        return lsp.WorkspaceEdit(document_changes=[lsp.TextDocumentEdit(identifier, [*edits])])

    def edits(self, result: FileResult) -> Iterator[lsp.TextEdit]:
        """The edits that make the document into the result."""
        data = self.document.source.encode()
        if apply_edits(data, result.edits) != result.output:  # their offsets leave out a byte order mark
            every = lsp.Range(self.lines.in_bytes(0), self.lines.in_bytes(len(data)))
            yield lsp.TextEdit(every, result.output.decode())
            return
        for edit in result.edits:
            yield lsp.TextEdit(lsp.Range(self.lines.in_bytes(edit.start), self.lines.in_bytes(edit.end)), edit.text)


def _wishes(settings: Settings, chosen: dict[str, str]) -> tuple[MappingSet, Options]:
    """The tables and the options for the documents of a project. Raises one of _ERRORS."""
    known = frameworks(settings.mappings)
    to, sources, versions = direction(chosen.get("from"), chosen.get("to"), settings, known, ("from", "to"))
    prefer = Prefer(choice(chosen.get("prefer") or settings.prefer, "prefer", tuple(Prefer)))
    tables = tables_of(settings.mappings).at(versions)
    return tables, Options(
        to, sources - {to}, prefer, settings.params, versions=tuple(versions.items()), line_length=settings.line_length
    )


server: Final = Editor("optmap", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)


@server.feature(lsp.INITIALIZE)
def _initialize(params: lsp.InitializeParams) -> None:
    given = params.initialization_options
    options = given if isinstance(given, dict) else {}
    server.chosen = {key: value for key, value in options.items() if isinstance(value, str)}


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
def _open(params: lsp.DidOpenTextDocumentParams) -> None:
    server.publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
def _save(params: lsp.DidSaveTextDocumentParams) -> None:
    server.publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
async def _change(params: lsp.DidChangeTextDocumentParams) -> None:
    """Publish the diagnostics of a document once its author pauses."""
    given = params.text_document
    await asyncio.sleep(PAUSE)
    document = server.workspace.text_documents.get(given.uri)
    if document is not None and document.version == given.version:
        server.publish(given.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
def _close(params: lsp.DidCloseTextDocumentParams) -> None:
    server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
def _hover(params: lsp.HoverParams) -> lsp.Hover | None:
    """The comparison of the class that is constructed on the line with what it becomes."""
    try:
        opened = server.opened(params.text_document.uri)
    except _ERRORS:
        return None  # shown when the document was opened
    line = params.position.line + 1
    calls = [call for call in opened.translated().calls if call.line == line]
    texts = [text for call in calls for text in _explained(opened, call)]
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n".join(texts))) if texts else None


def _explained(opened: Opened, call: CallResult) -> Iterator[str]:
    api = opened.tables.apis.get(call.source)
    if api is not None:
        every = list(compare(opened.tables, api, opened.options.target))
        chosen = [item for item in every if item.target is not None and item.target.name == call.target]
        yield from map(markdown, chosen or every[:1])


@server.feature(
    lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[QUICK_FIX, TRANSLATE_FILE, REWRITE_FILE])
)
def _code_actions(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """The translation of one call, the replacements that messages show, and the translation of the whole file."""
    try:
        opened = server.opened(params.text_document.uri)
    except _ERRORS:
        return []
    lines = range(params.range.start.line + 1, params.range.end.line + 2)
    found = [*_call_actions(opened, lines), *_replacements(opened, lines), *_file_actions(opened)]
    only = params.context.only
    return [item for item in found if not only or any(_within(str(item.kind), kind) for kind in only)]


def _within(kind: str, asked: str) -> bool:
    """Kinds are hierarchical: `source` asks for `source.optmap.translate` as well."""
    return kind == asked or kind.startswith(f"{asked}.")


def _call_actions(opened: Opened, lines: range) -> Iterator[lsp.CodeAction]:
    """The translation of each call that begins on one of the lines, with the others left alone."""
    for call in opened.translated().calls:
        if call.line not in lines or call.status is not Status.TRANSLATED:
            continue
        alone = opened.translated(line=call.line)
        if alone.changed:
            about = [opened.shown(item) for item in alone.diagnostics if item.line == call.line]
            title = f"Translate this call to {call.target}"
            yield lsp.CodeAction(title, QUICK_FIX, about, edit=opened.edit(opened.edits(alone)))


def _replacements(opened: Opened, lines: range) -> Iterator[lsp.CodeAction]:
    """What a message shows: a training step that can be rewritten, with all that goes with it; else code, as comments.

    Comments are put above the line: they tell themselves which lines they take the place of.
    """
    for item in opened.translated().diagnostics:
        if item.line not in lines or not item.replacement:
            continue
        about = [opened.shown(item)]
        if item.code is STEP and (edits := _rewritten(opened, item.line)):
            title = f"Rewrite this training step for {opened.target}, with the file's optimizers and steps"
            yield lsp.CodeAction(title, QUICK_FIX, about, edit=opened.edit(edits), is_preferred=True)
            continue
        line = opened.lines.text(item.line)
        margin = line[: len(line) - len(line.lstrip())]
        text = "".join(f"{margin}# {code}".rstrip() + "\n" for code in item.replacement.splitlines())
        start = opened.lines.of(item.line, 1)
        title = f"Show the replacement for {item.code.id} here, as comments"
        edit = opened.edit([lsp.TextEdit(lsp.Range(start, start), text)])
        yield lsp.CodeAction(title, QUICK_FIX, about, edit=edit)


def _rewritten(opened: Opened, line: int) -> list[lsp.TextEdit]:
    """The edits that rewrite the training step on a line; none where it cannot be."""
    steps = opened.translated(rewrite_step=True)
    done = any(item.code is STEP_REWRITTEN and item.line == line for item in steps.diagnostics)
    return list(opened.edits(steps)) if done else []


def _file_actions(opened: Opened) -> Iterator[lsp.CodeAction]:
    """The translation of the whole file, without and with its training steps."""
    plain, steps = opened.translated(), opened.translated(rewrite_step=True)
    if plain.changed:
        edit = opened.edit(opened.edits(plain))
        yield lsp.CodeAction(f"Translate this file's optimizers to {opened.target}", TRANSLATE_FILE, edit=edit)
    if steps.changed and steps.output != plain.output:
        edit = opened.edit(opened.edits(steps))
        yield lsp.CodeAction(
            f"Translate this file's optimizers and training steps to {opened.target}", REWRITE_FILE, edit=edit
        )


def run() -> int:
    """Serve the editor that started the process until it ends the connection. Returns the exit code."""
    server.start_io()
    return 0
