"""One file's bytes to a FileResult: find, resolve, edit, prove. Pure: nothing is read or written."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from optmap.diagnostics import (
    UNDECODABLE,
    UNEDITABLE,
    UNPARSABLE,
    UNVERIFIED,
    Code,
    Diagnostic,
    Severity,
)
from optmap.mapping.model import Api, MappingSet
from optmap.source.edits import Edit, OverlapError, apply_edits, ordered
from optmap.source.text import Source, SourceError, read_source
from optmap.translate.constructors.spelling import NewImport, import_edits, removal_edits
from optmap.translate.constructors.translate import CallTranslation
from optmap.translate.discover.sites import WRAPPED, CallSite, Mention, Sites, find_sites, may_mention
from optmap.translate.ignore import ignored_lines, silenced
from optmap.translate.options import Options
from optmap.translate.parameters.edits import ParameterEdits
from optmap.translate.parameters.sharing import Flows
from optmap.translate.prefilter import has_surroundings, looks_up_optimizers, names_optimizers
from optmap.translate.results import CallResult, FileResult, Status, failed
from optmap.translate.verify import NOTHING_PLANNED, EditedCall, Planned, VerificationError, joined, verify

if TYPE_CHECKING:
    from optmap.translate.discover.wrappers import Wrapper
    from optmap.translate.schedules.run import Refused, Schedules
    from optmap.translate.schedules.translate import Made

__all__ = ["Options", "translate_bytes"]


@dataclass
class _Work:
    """What one pass over a file has gathered."""

    source: Source
    edits: list[Edit] = field(default_factory=list)
    needed: list[NewImport] = field(default_factory=list)
    replaced: list[CallSite] = field(default_factory=list)
    left: int = 0
    edited: list[EditedCall] = field(default_factory=list)
    inside: dict[int, ParameterEdits] = field(default_factory=dict)
    planned: list[Planned] = field(default_factory=list)
    steps: bool = False
    calls: list[CallResult] = field(default_factory=list)
    translated: list[tuple[CallSite, Api]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def say(self, code: Code, message: str, offset: int, table: str | None = None) -> None:
        line, column = place(self.source, offset)
        self.diagnostics.append(Diagnostic(code, message, line, column, table))


def place(source: Source, offset: int) -> tuple[int, int]:
    """Line and column from 1 of an offset, the column in characters."""
    line = bisect_right(source.line_starts, offset)
    return line, source.column(line, offset - source.line_starts[line - 1])


def translate_bytes(data: bytes, tables: MappingSet, options: Options) -> FileResult:
    """Translate one file's content. Problems with the content are reported in the result, never raised."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return failed(data, UNDECODABLE, "cannot be decoded: found UTF-16, which Python does not read", 1, 1)
    if not (may_mention(data, tables, options.sources) or names_optimizers(data, options.sources)):
        return FileResult(data)
    try:
        source = read_source(data)
    except SourceError as error:
        code = UNDECODABLE if error.decoding else UNPARSABLE
        return failed(data, code, error.message, error.line, error.column)
    return translate_parsed(data, source, tables, options)


def translate_parsed(data: bytes, source: Source, tables: MappingSet, options: Options) -> FileResult:
    """Translate a source; `data` are its bytes."""
    try:
        first = _pass(source, tables, options)
    except RecursionError:
        return failed(data, UNPARSABLE, "cannot be analysed: nested too deeply", 1, 1)
    diagnostics = silenced(source, first.diagnostics)
    calls = tuple(sorted(first.calls, key=lambda call: (call.line, call.column)))
    if not first.edits:
        return FileResult(data, False, None, calls, diagnostics)
    if not options.prove:
        return FileResult(b"", True, None, calls, diagnostics)
    first.diagnostics = list(diagnostics)
    return _finish(data, source, tables, options, first, calls)


def _finish(
    data: bytes, source: Source, tables: MappingSet, options: Options, work: _Work, calls: tuple[CallResult, ...]
) -> FileResult:
    """Apply the edits and prove the result; calls whose result cannot be proved are left alone and said."""
    try:
        output = _prove(source, tables, options, work)
    except _UNPROVED as error:
        if work.steps:
            again = _pass(source, tables, options._replace(rewrite_step=False))
            again.say(
                UNVERIFIED,
                f"the rewritten training steps could not be proved correct ({error}); they were left alone",
                0,
            )
            again.diagnostics = list(silenced(source, again.diagnostics))
            return _finish(data, source, tables, options._replace(rewrite_step=False), again, calls)
        bad = _culprits(source, tables, options, work) or {id(site.node) for site in work.replaced}
        again = _pass(source, tables, options, bad, str(error))
        try:
            output = _prove(source, tables, options, again) if again.edits else data
        except _UNPROVED:
            again = _pass(source, tables, options, {id(site.node) for site in work.replaced}, str(error))
            output = data
        calls = tuple(sorted(again.calls, key=lambda call: (call.line, call.column)))
        work, diagnostics = again, silenced(source, again.diagnostics)
    else:
        diagnostics = tuple(work.diagnostics)
    edits = tuple(ordered(work.edits)) if output != data else ()
    return FileResult(output, output != data, None, calls, diagnostics, edits)


_UNPROVED = (OverlapError, VerificationError, SourceError)


def _prove(source: Source, tables: MappingSet, options: Options, work: _Work) -> bytes:
    """Return the edited file's bytes. Raises one of _UNPROVED."""
    body = apply_edits(source.body, work.edits)
    output = source.encode(body)
    nodes = [node for inside in work.inside.values() for node in inside.nodes]
    result = verify(source, body, work.edits, work.edited, nodes, joined(work.planned))
    left = find_sites(result, tables, options.sources, options.target).calls
    if len(left) != work.left:
        raise VerificationError("a second run would change the file again")
    return output


def _culprits(source: Source, tables: MappingSet, options: Options, work: _Work) -> set[int]:
    """Find the calls that cannot be proved on their own, and those that stand inside one another."""
    nodes = [site.node for site in work.replaced]
    everything = {id(node) for node in nodes}
    bad = set()
    for node in nodes:
        try:
            _prove(source, tables, options, _pass(source, tables, options, everything - {id(node)}, ""))
        except _UNPROVED:
            bad.add(id(node))
    inner = {
        id(inner): id(node)
        for node in nodes
        for inner in ast.walk(node)
        if inner is not node and id(inner) in everything
    }
    return bad or {*inner, *inner.values()}


def _pass(
    source: Source, tables: MappingSet, options: Options, without: Collection[int] = (), reason: str = ""
) -> _Work:
    """Collect the edits and messages of a file. Calls in `without` (ids of nodes) are refused for the reason given."""
    sites = find_sites(source, tables, options.sources, options.target)
    flows = Flows(source, sites.calls)
    while True:
        work = _collect(source, sites, flows, tables, options, without, reason, {})
        if not flows.narrow({id: inside.edits for id, inside in work.inside.items()}):
            return work


def _collect(
    source: Source, sites: Sites, flows: Flows, tables: MappingSet, options: Options,
    without: Collection[int], reason: str, left: Refused,
) -> _Work:  # fmt: skip
    """One such pass. Schedules in `left` (ids of nodes) are left alone, each for its reason."""
    work = _Work(source)
    ignored = ignored_lines(source)
    wrapped = _wrapped(source, sites, tables, options)
    schedules = None
    if sites.schedules:
        from optmap.translate.schedules.run import Schedules

        skipped = [line for line, codes in ignored.items() if not codes]
        schedules = Schedules(source, sites, tables, options, left, skipped)
    for site in sites.calls:
        if site.node.lineno in ignored and not ignored[site.node.lineno]:
            work.calls.append(_result(source, site, None, Status.UNCHANGED))
        elif id(site.node) in without:
            work.calls.append(_result(source, site, None, Status.REFUSED))
            message = f"the translation of this call could not be proved correct ({reason}); it was left alone"
            work.say(UNVERIFIED, message, source.start(site.node))
        elif (wrapper := wrapped.get(id(site.node))) is not None:
            work.calls.append(_result(source, site, None, Status.REFUSED))
            message = (
                f"{site.api.name} is wrapped by {wrapper.name} on line {wrapper.line}, which has no counterpart in "
                f"{options.target} and would not take another framework's optimizer: take the wrapper away first"
            )
            work.say(UNEDITABLE, message, source.start(site.node), str(site.api.at))
        else:
            _translate_call(work, sites, site, tables, options, flows, schedules)
    for site in sites.already:
        work.calls.append(_result(source, site, site.api, Status.UNCHANGED))
    mentions: Iterable[Mention] = sites.mentions
    made: Sequence[Made] = ()
    if schedules is not None:
        found = schedules.finish(work.replaced)
        if found is None:
            return _collect(source, sites, flows, tables, options, without, reason, left)
        made, mentions = found, schedules.mentions(found)
        _add_schedules(work, schedules, made)
    covered = _surroundings(work, sites, tables, options, ignored)
    for mention in mentions:
        if id(mention.node) in covered:
            continue
        if not (mention.node.lineno in ignored and not ignored[mention.node.lineno]):
            _report_mention(work, mention)
    gone = _steps(work, sites, tables, options)
    if work.edits:
        replaced = [*work.replaced, *(item.site for item in made)]
        work.edits += import_edits(source, sites.names, work.needed, replaced)
        work.edits += removal_edits(source, sites.names, [*(site.callee for site in replaced), *gone], tables)
    work.left = len(sites.calls) - len(work.replaced)
    work.diagnostics.sort(key=lambda item: (item.line, item.column, item.code.id))
    return work


def _wrapped(source: Source, sites: Sites, tables: MappingSet, options: Options) -> dict[int, Wrapper]:
    """The calls that construct an optimizer for a wrapper, by id of the node."""
    if not any(WRAPPED in site.api.by_tie for site in sites.calls):
        return {}
    from optmap.translate.discover.wrappers import wrapped_calls

    return wrapped_calls(source, sites, tables, options.target)


def _surroundings(
    work: _Work, sites: Sites, tables: MappingSet, options: Options, ignored: Mapping[int, Collection[str]]
) -> Collection[int]:
    """Say what stands around the optimizers; return the ids of the nodes that need no message of their own then."""
    body = work.source.body
    around = has_surroundings(body, {site.api.framework for site, _ in work.translated})
    if not (around or looks_up_optimizers(body, sites.mentions, options.sources)):
        return ()
    from optmap.translate.surroundings.run import Done, remarks

    covered: set[int] = set()
    for remark in remarks(work.source, sites, [Done(*item) for item in work.translated], tables, options):
        covered |= remark.covers
        if remark.node.lineno not in ignored or ignored[remark.node.lineno]:
            work.say(remark.code, remark.message, work.source.start(remark.node), remark.table)
    return covered


_STEP: Final = re.compile(
    rb"\.step\b|zero_grad|apply_gradients|minimize\b|\.compile\b|TrainOneStepCell|value_and_grad|\bModel\("
)
"""What a file must say for it to hold a training step."""


def _steps(work: _Work, sites: Sites, tables: MappingSet, options: Options) -> list[ast.expr]:
    """Report or rewrite the training steps of translated optimizers; return the references that go away with them."""
    if not work.replaced or _STEP.search(work.source.body) is None:
        return []
    from optmap.translate.steps.run import translate_steps

    outcome = translate_steps(work.source, sites, tuple(work.replaced), tables, options)
    work.edits += outcome.edits
    work.needed += outcome.needed
    work.planned.append(outcome.planned)
    work.steps = outcome.planned is not NOTHING_PLANNED
    settled = {place(work.source, work.source.start(node)) for node in outcome.settled}
    work.diagnostics = [item for item in work.diagnostics if (item.line, item.column) not in settled]
    for code, message, node, table in outcome.notes:
        work.say(code, message, work.source.start(node), table)
    return outcome.gone


def _add_schedules(work: _Work, schedules: Schedules, made: Sequence[Made]) -> None:
    for item in made:
        work.edits += item.edits
        work.edited += [item.edited] if item.edited is not None else []
        work.needed += item.needed
        work.planned.append(item.planned)
        work.calls.append(_result(work.source, item.site, item.target, Status.TRANSLATED))
    for remark in schedules.remarks(made):
        assert remark.node is not None
        work.say(remark.code, remark.message, work.source.start(remark.node), remark.table)


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


def _translate_call(
    work: _Work, sites: Sites, site: CallSite, tables: MappingSet, options: Options, flows: Flows,
    schedules: Schedules | None,
) -> None:  # fmt: skip
    """Translate one call or refuse it; either way it is said."""
    source = work.source
    outcome = CallTranslation(source, sites, site, tables, options, flows, schedules).run()
    for note in outcome.notes:
        argument = outcome.argument(note.index)
        offset = argument.span.start if argument else source.start(site.node)
        work.say(note.code, note.message, offset, note.table)
    if outcome.edits is None:
        work.calls.append(_result(source, site, None, Status.REFUSED))
        return
    work.edits += outcome.edits
    work.replaced.append(site)
    work.inside[id(site.node)] = outcome.inside
    if outcome.target is not None:
        work.translated.append((site, outcome.target))
    if outcome.edited is not None:
        work.edited.append(outcome.edited)
    if outcome.needed is not None:
        work.needed.append(outcome.needed)
    work.calls.append(_result(source, site, outcome.target, Status.TRANSLATED))
