"""One file's bytes to a FileResult: parse, run the passes, edit, prove. Pure: nothing is read or written."""

from __future__ import annotations

import ast
from typing import Final

from optmap.diagnostics import UNDECODABLE, UNPARSABLE, UNVERIFIED, Severity
from optmap.mapping.model import MappingSet
from optmap.source.calls import Span
from optmap.source.changes import ConflictError
from optmap.source.compose import to_edits
from optmap.source.edits import Edit, apply_edits
from optmap.source.layout import line_limit
from optmap.source.model import Module
from optmap.source.proof import VerificationError, verify, verify_bytes
from optmap.source.text import Source, SourceError, read_source
from optmap.translate.constructors.second_run import changes_again
from optmap.translate.discover.sites import find_sites
from optmap.translate.discover.told import told_version
from optmap.translate.faults import contained, isolated
from optmap.translate.findings import Finding, diagnostic, ignored_lines, needless, silenced
from optmap.translate.options import Options
from optmap.translate.passes import run_passes
from optmap.translate.prefilter import may_hold_optimizers, may_say_anything
from optmap.translate.results import FileResult, Status, failed
from optmap.translate.unit import STEPS, Outcome, Unit, Veto, Vetoes

_ATTEMPTS: Final = 3
"""How often what cannot be proved is looked for; then every call of the file is left alone."""
_UNPROVED: Final = (ConflictError, VerificationError, SourceError)


def translate_bytes(data: bytes, tables: MappingSet, options: Options, *, declares: bool = True) -> FileResult:
    """Translate one file's content, or text as UTF-8, in which no cookie declares an encoding.

    Problems with the content, and optmap's own, are reported in the result, never raised.
    """
    return contained(data, lambda: _translate_bytes(data, tables, options, declares))


def _translate_bytes(data: bytes, tables: MappingSet, options: Options, declares: bool) -> FileResult:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return failed(data, UNDECODABLE, "cannot be decoded: found UTF-16, which Python does not read", 1, 1)
    if not may_hold_optimizers(data, tables, options.sources):
        return FileResult(data)
    if not may_say_anything(data, tables, options.sources, options.target):
        return FileResult(data)
    try:
        source = read_source(data, declares=declares)
    except SourceError as error:
        code = UNDECODABLE if error.decoding else UNPARSABLE
        return failed(data, code, error.message, error.line, error.column)
    return translate_parsed(data, source, tables, options)


def translate_parsed(data: bytes, source: Source, tables: MappingSet, options: Options) -> FileResult:
    """Translate a source; `data` are its bytes."""
    if options.line_length:
        source.once(line_limit, lambda: options.line_length)
    try:
        result = _translated(data, unit_of(source, tables, options))
        if options.todo and result.error is None:
            from optmap.translate.todo import marked

            result = marked(source, result, prove=options.prove)
        return result
    except RecursionError:
        return failed(data, UNPARSABLE, "cannot be analysed: nested too deeply", 1, 1)


def unit_of(source: Source, tables: MappingSet, options: Options) -> Unit:
    """Find what a source says of optimizers."""
    sites = find_sites(source, tables, options.sources, options.target)
    if (told := told_version(sites, tables, options)) is not None:
        tables, options, finding = told
        sites = find_sites(source, tables, options.sources, options.target)
        sites = sites._replace(mentions=(*sites.mentions, finding))
    return Unit(source, sites, tables, options, ignored_lines(source) | _lines_left_alone(source, options))


def _lines_left_alone(source: Source, options: Options) -> dict[int, frozenset[str]]:
    """The lines but for the one that is to be translated."""
    lines = range(1, len(source.line_starts) + 1) if options.line else ()
    return {line: frozenset() for line in lines if line != options.line}


def _translated(data: bytes, unit: Unit) -> FileResult:
    """Run the passes and prove their changes; what cannot be proved is left alone and reported, and the passes run again."""
    vetoes: Vetoes = {}
    for attempt in range(_ATTEMPTS + 3):
        found, vetoes = isolated(unit, vetoes, lambda known: _attempt(data, unit, known))
        if isinstance(found, FileResult):
            return found
        vetoes = {**vetoes, **_unproved(unit, *found, everything=attempt >= _ATTEMPTS)}
    raise AssertionError("what is left alone cannot be proved")


def _attempt(data: bytes, unit: Unit, vetoes: Vetoes) -> FileResult | tuple[Outcome, Exception]:
    """What becomes of a file under vetoes, or what cannot be proved of it."""
    outcome = run_passes(unit, vetoes)
    output, edits = data, None
    if outcome.changes and not unit.options.prove:
        return _result(unit, outcome, b"", ())
    if outcome.changes:
        try:
            output, edits = prove(unit, outcome)
        except _UNPROVED as error:
            return outcome, error
    return _result(unit, outcome, output, tuple(edits) if edits is not None and output != data else None)


def _result(unit: Unit, outcome: Outcome, output: bytes, edits: tuple[Edit, ...] | None) -> FileResult:
    """What reports are given; without edits the file is unchanged."""
    mentions = [item for item in outcome.mentions if not unit.skips(item.node)]
    calls = list(outcome.calls)
    for item in mentions:
        refused = id(item.node) in outcome.constructing and item.code.severity is Severity.ERROR
        if refused and isinstance(item.node, ast.expr):
            text = unit.source.text_of(item.node)
            calls.append(unit.result(item.node, text, None, Status.REFUSED))
    calls.sort(key=lambda call: (call.line, call.column))
    found = [diagnostic(unit.source, item) for item in (*outcome.findings, *mentions)]
    if unit.ignored and unit.sites.calls:
        found += needless(unit.source, unit.ignored, found)
    found.sort(key=lambda item: (item.line, item.column, item.code.id))
    said = silenced(unit.ignored, found)
    return FileResult(output, edits is not None, None, tuple(calls), said, edits or ())


def prove(unit: Unit, outcome: Outcome) -> tuple[bytes, list[Edit]]:
    """Return the edited file's bytes, and the edits. Raises one of _UNPROVED."""
    source, changes = unit.source, outcome.changes
    edits = to_edits(source, changes)
    body = apply_edits(source.body, edits)
    output = source.encode(body)
    verify(source, body, changes, edits)
    verify_bytes(source, body, output)
    needed = [new for item in outcome.rewritten for new in item.needed]
    again = changes_again(Module.of(source), unit.tables, unit.options.sources, changes, needed)
    if again:
        raise VerificationError("a second run would change the file again", again)
    return output, edits


def _unproved(unit: Unit, outcome: Outcome, error: Exception, *, everything: bool) -> Vetoes:
    """Veto what makes the guilty changes; every call where those are not known, but the steps first."""
    guilty = set(error.changes) if isinstance(error, VerificationError | ConflictError) else set()
    if outcome.steps and not everything and (not guilty or not guilty.isdisjoint(outcome.steps[0].changes)):
        message = f"the rewritten training steps could not be proved correct ({error}); they were left alone"
        return {STEPS: Veto(message, Finding(UNVERIFIED, message, Span(0, 0)))}
    every = [site.node for site in unit.sites.calls if id(site.node) not in outcome.left]
    near = [node for item in outcome.rewritten if not guilty.isdisjoint(item.changes) for node in item.members]
    message = f"the translation of this call could not be proved correct ({error}); it was left alone"
    chosen = every if everything or not near else near
    return {id(node): Veto(message, Finding(UNVERIFIED, message, node)) for node in chosen}
