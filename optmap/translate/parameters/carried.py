"""What to report of parameters that are carried over: what was dropped, not followed, or differs in the target."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optmap.diagnostics import EXECUTION_DROPPED, FROZEN_LATER, NAMES_CLASH, NAMES_DIFFER, PARAMETERS_KEPT
from optmap.mapping.framework import Framework
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import constructed_with
from optmap.translate.findings import Finding, Place
from optmap.translate.parameters.edits import uses_names
from optmap.translate.parameters.groups import ParametersArgument


def carried_over(
    source: Source, site: CallSite, target: Framework, parameters: ParametersArgument, at: Place
) -> Iterator[Finding]:
    """What to report of the parameters of a call."""
    yield from _idle(site, parameters)
    facts = target.facts.parameters
    opaque = [*parameters.opaque, *(() if facts.trainable else parameters.accessors)]
    if opaque:
        shown = _shown(source, opaque[0], constructed_with(site))
        why = f" ({parameters.lost[0].reason})" if parameters.lost else ""
        yield Finding(PARAMETERS_KEPT, f"make sure that {shown} holds {target.facts.title}'s parameters{why}", at)
    if uses_names(parameters, site.api.framework):
        from optmap.translate.parameters.checks import names_message

        message = names_message(parameters.literals, target, parameters.name_attribute, site.module.source.words)
        yield Finding(NAMES_DIFFER, message, at)
    if facts.flag is None and facts.trainable:
        from optmap.translate.parameters.freezing import freezing

        later = freezing(site).later
        if later is not None:
            message = f"line {later} changes which parameters are trained; construct another optimizer there"
            yield Finding(FROZEN_LATER, message, at, detail=f"this one keeps those that {facts.trainable}() gives now")
    if facts.rename is not None:
        from optmap.translate.parameters.checks import clash_message

        clash = clash_message(site, parameters, target)
        if clash is not None:
            yield Finding(NAMES_CLASH, clash[0], at, replacement=clash[1], detail=clash[2])


def _idle(site: CallSite, parameters: ParametersArgument) -> Iterator[Finding]:
    """Keys of groups that were dropped, since they change no number."""
    for item in parameters.idle:
        node = item if isinstance(item, ast.Dict) else item.value
        key = ast.unparse(item.keys[0] or item) if isinstance(item, ast.Dict) else repr(item.key)
        message = f"{key} was dropped: it changes how, not what, {site.api.name} computes"
        yield Finding(EXECUTION_DROPPED, message, node)


def _shown(source: Source, node: ast.expr, argument: ast.expr | None) -> str:
    """An expression in a message, with its line where it stands outside the call's argument."""
    start, end = source.start(node), source.end(node)
    text = source.text(start, end)
    text = text if len(text) <= 40 and len(text.splitlines()) == 1 else "part of the argument"
    inside = argument is None or source.start(argument) <= start <= end <= source.end(argument)
    return text if inside else f"{text} on line {node.lineno}"
