"""One file's bytes to a FileResult: find, resolve, edit, prove. Pure: nothing is read or written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from optmap.diagnostics import (
    GROUP_KEY,
    NAME_TAKEN,
    NO_PARAMETERS,
    PARAMETERS_KEPT,
    SCHEDULE_ARGUMENT,
    UNDECODABLE,
    UNEDITABLE,
    UNPARSABLE,
    UNVERIFIED,
    Code,
    Diagnostic,
    Severity,
)
from optmap.mapping.derive import Inferred
from optmap.mapping.model import Api, Framework, MappingSet
from optmap.mapping.values import Value, read_value
from optmap.source.calls import Argument, CallText, read_call
from optmap.source.text import Source, SourceError, read_source
from optmap.translate.edits import Edit, OverlapError, apply_edits
from optmap.translate.imports import NewImport, import_edits, removal_edits, spell
from optmap.translate.infer import Failure, infer_parameters
from optmap.translate.learning_rate import learning_rate_object
from optmap.translate.parameters import ParametersArgument, parameter_edits, read_parameters
from optmap.translate.resolve import CallArgument, Note, Refusal, Rewrite, resolve
from optmap.translate.rewrite import call_edits
from optmap.translate.sites import CallSite, Mention, Sites, find_sites, may_mention
from optmap.translate.verify import EditedCall, VerificationError, verify


class Options(NamedTuple):
    """What to translate, into what, and how."""

    target: Framework
    sources: frozenset[Framework]
    faithful: bool = False
    params: str | None = None


class Status(StrEnum):
    """What became of a call."""

    TRANSLATED = "translated"
    REFUSED = "refused"
    UNCHANGED = "unchanged"


class CallResult(NamedTuple):
    """One constructor call: line and column from 1, columns in characters; `source` and `target` are API names."""

    line: int
    column: int
    source: str
    target: str | None
    status: Status


@dataclass(frozen=True)
class FileResult:
    """What became of one file. `output` equals the input unless `changed`; `error` says why a file could not be used."""

    output: bytes
    changed: bool = False
    error: str | None = None
    calls: tuple[CallResult, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def refused(self) -> bool:
        return any(item.severity is Severity.ERROR for item in self.diagnostics)


@dataclass
class _Work:
    """What one pass over a file has gathered."""

    source: Source
    edits: list[Edit] = field(default_factory=list)
    needed: list[NewImport] = field(default_factory=list)
    replaced: list[CallSite] = field(default_factory=list)
    left: int = 0
    edited: list[EditedCall] = field(default_factory=list)
    calls: list[CallResult] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def say(self, code: Code, message: str, offset: int, table: str | None = None) -> None:
        line, column = place(self.source, offset)
        self.diagnostics.append(Diagnostic(code, message, line, column, table))


def place(source: Source, offset: int) -> tuple[int, int]:
    """Line and column from 1 of an offset, the column in characters."""
    from bisect import bisect_right

    line = bisect_right(source.line_starts, offset)
    return line, source.column(line, offset - source.line_starts[line - 1])


def translate_bytes(data: bytes, tables: MappingSet, options: Options) -> FileResult:
    """Translate one file's content. Problems with the content are reported in the result, never raised."""
    if not may_mention(data, tables, options.sources):
        return FileResult(data)
    try:
        source = read_source(data)
        first = _pass(source, tables, options)
    except SourceError as error:
        code = UNDECODABLE if error.decoding else UNPARSABLE
        return _failed(data, code, error.message, error.line, error.column)
    except RecursionError:
        return _failed(data, UNPARSABLE, "cannot be analysed: nested too deeply", 1, 1)
    diagnostics = _silenced(source, first.diagnostics)
    calls = tuple(sorted(first.calls, key=lambda call: (call.line, call.column)))
    if not first.edits:
        return FileResult(data, False, None, calls, diagnostics)
    first.diagnostics = list(diagnostics)
    return _finish(data, source, tables, options, first, calls)


def _failed(data: bytes, code: Code, message: str, line: int, column: int) -> FileResult:
    return FileResult(data, error=message, diagnostics=(Diagnostic(code, message, line, column),))


def _finish(
    data: bytes, source: Source, tables: MappingSet, options: Options, work: _Work, calls: tuple[CallResult, ...]
) -> FileResult:
    """Apply the edits and prove the result; a result that cannot be proved is not given out."""
    try:
        body = apply_edits(source.body, work.edits)
        output = source.encode(body)
        result = verify(source, body, work.edits, work.edited)
        left = find_sites(result, tables, options.sources, options.target).calls
        if len(left) != work.left:
            raise VerificationError("a second run would change the file again")
    except (OverlapError, VerificationError, SourceError) as error:
        refused = tuple(
            call._replace(status=Status.REFUSED, target=None) if call.status is Status.TRANSLATED else call
            for call in calls
        )
        problem = Diagnostic(UNVERIFIED, f"the result could not be proved correct: {error}", 1, 1)
        return FileResult(data, False, None, refused, (*work.diagnostics, problem))
    return FileResult(output, output != data, None, calls, tuple(work.diagnostics))


def _pass(source: Source, tables: MappingSet, options: Options) -> _Work:
    sites = find_sites(source, tables, options.sources, options.target)
    work = _Work(source)
    ignored = _ignored_lines(source)
    for site in sites.calls:
        if site.node.lineno in ignored and not ignored[site.node.lineno]:
            work.calls.append(_result(source, site, None, Status.UNCHANGED))
        else:
            _translate_call(work, sites, site, tables, options)
    for site in sites.already:
        work.calls.append(_result(source, site, site.api, Status.UNCHANGED))
    for mention in sites.mentions:
        if not (mention.node.lineno in ignored and not ignored[mention.node.lineno]):
            _report_mention(work, mention)
    if work.edits:
        work.edits += import_edits(source, work.needed)
        work.edits += removal_edits(source, sites.names, work.replaced, tables)
    work.left = len(sites.calls) - len(work.replaced)
    work.diagnostics.sort(key=lambda item: (item.line, item.column, item.code.id))
    return work


def _report_mention(work: _Work, mention: Mention) -> None:
    offset = work.source.start(mention.node)
    work.say(mention.code, mention.message, offset)
    if mention.call and mention.code.severity is Severity.ERROR:
        line, column = place(work.source, offset)
        text = work.source.text(offset, work.source.end(mention.node))
        work.calls.append(CallResult(line, column, text, None, Status.REFUSED))


def _result(source: Source, site: CallSite, target: Api | None, status: Status) -> CallResult:
    line, column = place(source, source.start(site.node))
    return CallResult(line, column, site.api.name, target.name if target else None, status)


def _translate_call(work: _Work, sites: Sites, site: CallSite, tables: MappingSet, options: Options) -> None:
    """Translate one call or refuse it; either way it is said."""
    source = work.source
    outcome = _CallTranslation(source, sites, site, tables, options).run()
    for note in outcome.notes:
        argument = outcome.argument(note.index)
        offset = argument.span.start if argument else source.start(site.node)
        work.say(note.code, note.message, offset, note.table)
    if outcome.edits is None:
        work.calls.append(_result(source, site, None, Status.REFUSED))
        return
    work.edits += outcome.edits
    work.replaced.append(site)
    if outcome.edited is not None:
        work.edited.append(outcome.edited)
    if outcome.needed is not None:
        work.needed.append(outcome.needed)
    work.calls.append(_result(source, site, outcome.target, Status.TRANSLATED))


class _Outcome(NamedTuple):
    """The edits of a call, or None with notes that say why not."""

    notes: tuple[Note, ...]
    edits: list[Edit] | None = None
    target: Api | None = None
    needed: NewImport | None = None
    call: CallText | None = None
    edited: EditedCall | None = None

    def argument(self, index: int | None) -> Argument | None:
        return self.call.arguments[index] if index is not None and self.call is not None else None


class _CallTranslation:
    def __init__(self, source: Source, sites: Sites, site: CallSite, tables: MappingSet, options: Options) -> None:
        self.source = source
        self.sites = sites
        self.site = site
        self.tables = tables
        self.options = options

    def run(self) -> _Outcome:
        try:
            call = read_call(self.source, self.site.node)
        except SourceError as error:
            return _Outcome((Note(UNEDITABLE, f"{self.site.api.name}: {error.message}"),))
        values = [read_value(argument.node) for argument in call.arguments]
        parameters, index = self._parameters(call)
        if parameters is not None and parameters.unreadable_group is not None:
            message = "a parameter group has keys that are not written out"
            return _Outcome((Note(GROUP_KEY, message, index),), call=call)
        arguments = [
            CallArgument(item.form, item.name, value) for item, value in zip(call.arguments, values, strict=True)
        ]
        groups = parameters.groups if parameters else None
        resolved = resolve(
            self.tables, self.site.api, arguments, self.options.target, faithful=self.options.faithful, groups=groups
        )
        if isinstance(resolved, Refusal):
            return _Outcome(resolved.notes, call=call)
        refusal = self._schedule(call, resolved)
        return _Outcome((refusal,), call=call) if refusal else self._rewrite(call, values, resolved, parameters, index)

    def _parameters(self, call: CallText) -> tuple[ParametersArgument | None, int | None]:
        parameter = self.site.api.parameters_argument
        if parameter is None:
            return None, None
        for index, argument in enumerate(call.arguments):
            if argument.name == parameter.name or (argument.name is None and index == 0):
                return read_parameters(self.source, argument.node, self.site.api.framework), index
        return None, None

    def _schedule(self, call: CallText, resolved: Rewrite) -> Note | None:
        for index, argument in enumerate(call.arguments):
            if "learning_rate" in self._ties(argument, index):
                what = learning_rate_object(self.source, self.sites.names, self.site, argument.node, self.tables)
                if what is not None:
                    message = f"the learning rate is {what}, which {resolved.plan.target.name} cannot take"
                    return Note(SCHEDULE_ARGUMENT, message, index)
        return None

    def _ties(self, argument: Argument, index: int) -> Sequence[str]:
        api = self.site.api
        if argument.name is not None:
            return api.by_name[argument.name].ties if argument.name in api.by_name else ()
        return api.current[index].ties if index < len(api.current) else ()

    def _rewrite(
        self, call: CallText, values: list[Value], resolved: Rewrite,
        parameters: ParametersArgument | None, index: int | None,
    ) -> _Outcome:  # fmt: skip
        plan = resolved.plan
        notes = list(resolved.notes)
        inferred: str | None = None
        if any(isinstance(piece, Inferred) for argument in plan.arguments for piece in argument.pieces):
            found = infer_parameters(self.source, self.site, self.options.target)
            if isinstance(found, Failure) and self.options.params is None:
                message = (
                    f"{plan.target.name} needs the parameters, but {found.reason}: use the optimizer with one model in "
                    "this file (apply_gradients, minimize with var_list, compile), or pass --params EXPR"
                )
                return _Outcome((Note(NO_PARAMETERS, message),), call=call)
            inferred = self.options.params if isinstance(found, Failure) else found
        spelling = spell(self.source, self.sites.names, self.site, plan.target)
        if spelling is None:
            root = plan.target.module.paths[0].partition(".")[0]
            return _Outcome((Note(NAME_TAKEN, f"the file binds {root!r} to something else"),), call=call)
        edits = call_edits(self.source, call, values, plan, spelling.text, inferred)
        if parameters is not None and index is not None and plan.target.parameters_argument is not None:
            node = call.arguments[index].node
            edits += parameter_edits(self.source, node, parameters, self.site.api, plan.target)
            if parameters.opaque:
                text = f"see that it holds the parameters of a {self.options.target} model"
                notes.append(Note(PARAMETERS_KEPT, f"the parameters argument was left as written; {text}", index))
        edited = EditedCall(call, plan, spelling.text)
        return _Outcome(tuple(notes), edits, plan.target, spelling.needs, call, edited)


_NEWLINE = re.compile(rb"\r\n?")
_IGNORE = re.compile(r"#\s*optmap:\s*ignore(?:\[([^\]]*)\])?\s*(?:#.*)?$")


def _ignored_lines(source: Source) -> dict[int, frozenset[str]]:
    """Lines with an ignore comment and the codes that it names, none for all."""
    if b"optmap:" not in source.body:
        return {}
    import io
    import tokenize

    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.tokenize(io.BytesIO(_NEWLINE.sub(b"\n", source.body)).readline):
            match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
            if match:
                codes = match[1] or ""
                found[token.start[0]] = frozenset(code.strip() for code in codes.split(",") if code.strip())
    except (tokenize.TokenError, SyntaxError):
        return found
    return found


def _silenced(source: Source, diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Drop the diagnostics that an `# optmap: ignore[CODE]` on their line names."""
    ignored = _ignored_lines(source)
    return tuple(item for item in diagnostics if item.code.id not in ignored.get(item.line, ()))
