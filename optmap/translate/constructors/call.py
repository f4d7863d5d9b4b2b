"""A constructor call as it stands in the file: its text, which argument gives what, and what is known around it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Final

from optmap.diagnostics import Code
from optmap.source.bind import Given
from optmap.source.calls import Argument, CallText, read_call
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite, bind_to
from optmap.translate.findings import Finding, Place
from optmap.translate.options import Options
from optmap.translate.unit import Tied, Unit, Vetoes
from optmap.values import NamedTuple

_DTYPES: Final = {"float16": b"half", "float64": b"double"}
"""What a file writes for a dtype beside its name, as a word of its own."""


class SiteCall(NamedTuple):
    """A call with what the parameters of the class as it is now get from it."""

    node: ast.Call
    text: CallText
    given: tuple[Given, ...]

    def index_of(self, *ties: str) -> int | None:
        """The place of the argument that gives one of some hyperparameters."""
        wanted = (item.index for item in self.given if not set(ties).isdisjoint(item.parameter.ties))
        return next((index for index in wanted if index is not None), None)

    def argument(self, *ties: str) -> Argument | None:
        """The argument that gives one of some hyperparameters."""
        index = self.index_of(*ties)
        return self.text.arguments[index] if index is not None else None

    def place(self, index: int | None) -> Place:
        """An argument of the call, or all of it."""
        return self.text.arguments[index].span if index is not None else self.node


class CallContext(NamedTuple):
    """What is known around a call; `tied` is what its schedules ask for.

    `taken` are the names that schedules have, by the id of their scope, with their optimizers.
    """

    unit: Unit
    options: Options
    site: CallSite
    tied: Tied
    taken: Mapping[tuple[int, str], str]
    vetoes: Vetoes


def read_site(source: Source, site: CallSite) -> SiteCall:
    """Raises SourceError where the text of the call cannot be taken apart."""
    text, api = read_call(source, site.node), site.api
    given = bind_to(api, text.arguments).given
    return SiteCall(site.node, text, tuple(given.values()))


def split_finding(code: Code, text: str, at: Place) -> Finding:
    """A finding whose text may have code below its first line."""
    message, _, shown = text.partition("\n")
    return Finding(code, message, at, replacement=shown or None)


def spoken_dtypes(source: Source) -> frozenset[str]:
    """The dtypes other than float32 that the text of a file speaks of, so that its weights may be of them."""

    def spoken(name: str, word: bytes) -> bool:
        body = source.body
        return name.encode() in body or (word in body and re.search(rb"\b%b\b" % word, body) is not None)

    return source.once(spoken_dtypes, lambda: frozenset(name for name, word in _DTYPES.items() if spoken(name, word)))
