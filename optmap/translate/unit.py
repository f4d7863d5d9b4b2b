"""What the passes are given and what they hand on: a file as a unit of work, and what was decided so far. All of it immutable."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias

from optmap.diagnostics import INTERNAL_ERROR
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.source.changes import Change
from optmap.source.text import Source
from optmap.translate.constructors.resolve import Serving
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding, Place, offset_of, position
from optmap.translate.options import Options
from optmap.translate.results import CallResult, Status
from optmap.values import NamedTuple

Member: TypeAlias = int | tuple[int, str]
"""What is changed together with others or not at all: the id of a call's node, or the key of a variable of parameters."""

STEPS: Final[Member] = (0, "the training steps")
"""All training steps of a file: what surrounds them changes for the whole file."""


def skipping(name: str) -> Member:
    """The member whose veto is for a pass to be skipped."""
    return 1, name


def alone(node: ast.expr) -> Member:
    """A name or call beside the steps that is rewritten for itself, as a member of its own."""
    return id(node), "alone"


class Unit(NamedTuple):
    """A file, what it says of optimizers, and what to do with it. `ignored` are the codes to be silent about, by line."""

    source: Source
    sites: Sites
    tables: MappingSet
    options: Options
    ignored: Mapping[int, frozenset[str]]

    def skips(self, place: Place) -> bool:
        """Tell whether a comment on the line of a place asks to leave it alone, whatever it is."""
        if not self.ignored:
            return False
        line, _ = position(self.source, offset_of(self.source, place))
        return line in self.ignored and not self.ignored[line]

    def result(self, node: ast.expr, name: str, target: Api | None, status: Status) -> CallResult:
        line, column = position(self.source, self.source.start(node))
        return CallResult(line, column, name, target.name if target else None, status)


class Veto(NamedTuple):
    """Why a member is left as it is: a clause. `finding` is what to report there, where the clause is not enough.

    `blamed` are other members without which this one cannot be changed. `groups` says of a variable that it holds groups.
    """

    reason: str
    finding: Finding | None = None
    blamed: frozenset[Member] = frozenset()
    groups: bool = False


Vetoes: TypeAlias = Mapping[Member, Veto]


def failed_on(vetoes: Vetoes, node: ast.AST | None) -> Finding | None:
    """The finding about a call on which optmap itself failed; passes do not look at such a call again."""
    veto = vetoes.get(id(node))
    return veto.finding if veto is not None and veto.finding and veto.finding.code is INTERNAL_ERROR else None


class Bond(NamedTuple):
    """A member that can only be changed where all of `on` are; `reason` is a clause about the `{line}` of one that is not.

    With `blames` the veto says which of them were not.
    """

    member: Member
    on: tuple[ast.expr, ...]
    reason: str
    blames: bool = False

    def broken(self, left: frozenset[Member]) -> Veto | None:
        """The veto that follows where some of the calls are left as they are."""
        absent = [node for node in self.on if id(node) in left]
        if not absent:
            return None
        blamed = frozenset(map(id, absent)) if self.blames else frozenset[Member]()
        return Veto(self.reason.format(line=absent[0].lineno), blamed=blamed)


class Tied(NamedTuple):
    """What an optimizer's schedules say of it: the classes that take them, or why it cannot be translated beside them.

    `schedules` are those that are given up where the optimizer has to become another class.
    """

    serving: Serving | None = None
    refusal: str | None = None
    schedules: tuple[Member, ...] = ()


class Rewritten(NamedTuple):
    """Changes that belong together, the imports that they need, and the references that go away with them.

    `members` are refused together where they cannot be proved. `bridged` are the ids of names that a conversion gives values of
    the target.
    """

    members: tuple[ast.expr, ...]
    changes: tuple[Change, ...]
    needed: tuple[NewImport, ...] = ()
    gone: tuple[ast.expr, ...] = ()
    bridged: frozenset[int] = frozenset()


class Translation(NamedTuple):
    """A constructor call that is translated, of an optimizer or of a schedule, into which class, and how."""

    site: CallSite
    target: Api
    change: Rewritten


class Outcome(NamedTuple):
    """What the passes have decided so far.

    `vetoes` hold for the whole round; `found` are those that have come up in it, `clashes` those of variables that several
    optimizers want to be changed in different ways. `mentions` are findings that a pass may know better; of those in
    `constructing` (ids) the call counts as refused. `left` are the constructor calls that are not translated. `names` are new
    names of schedules, by the id of their scope, with the optimizer that each belongs to.
    """

    vetoes: Vetoes
    mentions: tuple[Finding, ...]
    constructing: frozenset[int]
    found: Vetoes = {}
    clashes: Vetoes = {}
    bonds: tuple[Bond, ...] = ()
    tied: Mapping[int, Tied] = {}
    names: Mapping[tuple[int, str], str] = {}
    left: frozenset[Member] = frozenset()
    findings: tuple[Finding, ...] = ()
    calls: tuple[CallResult, ...] = ()
    optimizers: tuple[Translation, ...] = ()
    schedules: tuple[Translation, ...] = ()
    steps: tuple[Rewritten, ...] = ()
    imports: tuple[Change, ...] = ()

    @property
    def rewritten(self) -> Iterator[Rewritten]:
        """What is rewritten besides imports: optimizers, schedules, steps."""
        yield from (item.change for item in (*self.optimizers, *self.schedules))
        yield from self.steps

    @property
    def changes(self) -> list[Change]:
        return [*(change for item in self.rewritten for change in item.changes), *self.imports]

    def reporting(self, findings: Iterable[Finding]) -> Outcome:
        return self._replace(findings=(*self.findings, *findings))


class Pass(Protocol):
    """One step of the translation of a file."""

    @property
    def name(self) -> str: ...

    def wanted(self, unit: Unit) -> bool:
        """Tell cheaply whether the pass may have anything to do."""
        ...

    def run(self, unit: Unit, before: Outcome) -> Outcome:
        """Add what the pass decides to what was decided before."""
        ...
