"""An internal error costs the calls that it comes from, or else the file; never the run.

Which calls those are is found by leaving others alone: a pass need not say what it was doing when it failed.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from optmap.diagnostics import INTERNAL_ERROR
from optmap.mapping.stored import MappingError
from optmap.source.calls import Span
from optmap.translate.findings import Finding
from optmap.translate.passes import REPORTING
from optmap.translate.results import FileResult, failed
from optmap.translate.unit import STEPS, Member, Unit, Veto, Vetoes, skipping
from optmap.values import NamedTuple

_Result = TypeVar("_Result")
_MEANT: Final = (MappingError, MemoryError)
"""What no call is to blame for."""


class _Suspect(NamedTuple):
    """What may be left alone, and how a message speaks of it."""

    member: Member
    node: ast.expr | Span
    text: str


def contained(data: bytes, translate: Callable[[], FileResult]) -> FileResult:
    """What a translation gives, or a result that says in one line that optmap failed."""
    try:
        return translate()
    except MappingError:
        raise
    except Exception as error:
        if os.environ.get("OPTMAP_DEBUG"):
            raise
        return failed(data, INTERNAL_ERROR, f"{_said(error)}; the file was left alone", 1, 1)


def isolated(unit: Unit, vetoes: Vetoes, attempt: Callable[[Vetoes], _Result]) -> tuple[_Result, Vetoes]:
    """Make an attempt, without the calls that make it fail. Raises the error where none of them does."""
    try:
        return attempt(vetoes), vetoes
    except _MEANT:
        raise
    except Exception as error:
        if os.environ.get("OPTMAP_DEBUG"):
            raise
        found = _Search(vetoes, attempt, _said(error)).guilty(unit)
        if found is None:
            raise
        return attempt(found), found


def _said(error: Exception) -> str:
    what = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
    return f"internal error ({type(error).__name__}{f': {what}' if what else ''})"


class _Search:
    """Looks for few suspects that make an attempt succeed when they are left alone."""

    def __init__(self, vetoes: Vetoes, attempt: Callable[[Vetoes], object], said: str) -> None:
        self.vetoes = vetoes
        self.attempt = attempt
        self.said = said

    def guilty(self, unit: Unit) -> Vetoes | None:
        """The vetoes under which the attempt succeeds: of the steps, else of calls, else of what only reports."""
        steps = _Suspect(STEPS, Span(0, 0), "the training steps were left alone")
        silent = [
            _Suspect(skipping(name), Span(0, 0), f"the {name} of the optimizers were not looked at")
            for name in REPORTING
        ]
        calls = [item for item in _calls(unit) if item.member not in self.vetoes]
        every = [steps, *silent]
        only = [([steps], []), ([], calls), ([steps], calls), *(([item], []) for item in silent)]
        for base, suspects in (*only, (every, []), (every, calls)):
            if not self._fails([*base, *suspects]):
                return self._with([*base, *self._among(suspects, base)])
        return None

    def _among(self, suspects: Sequence[_Suspect], base: Sequence[_Suspect]) -> list[_Suspect]:
        """Those of the suspects that suffice beside the base, given that all of them do."""
        if len(suspects) < 2:
            return list(suspects)
        left, right = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        if not self._fails([*base, *right]):
            return self._among(right, base)
        found = self._among(left, [*base, *right])
        return [*found, *self._among(right, [*base, *found])] if self._fails([*base, *found]) else found

    def _with(self, chosen: Sequence[_Suspect]) -> Vetoes:
        vetoes = dict(self.vetoes)
        for item in chosen:
            message = f"{self.said}: {item.text}"
            vetoes[item.member] = Veto(message, Finding(INTERNAL_ERROR, message, item.node))
        return vetoes

    def _fails(self, chosen: Sequence[_Suspect]) -> bool:
        try:
            self.attempt(self._with(chosen))
        except _MEANT:
            raise
        except Exception:
            return True
        return False


def _calls(unit: Unit) -> Iterator[_Suspect]:
    """The constructor calls of optimizers and of schedules."""
    for site in unit.sites.calls:
        yield _Suspect(id(site.node), site.node, "this call was left alone")
    for reference in unit.sites.schedules:
        call = unit.sites.module.parent(reference.node)
        if isinstance(call, ast.Call) and call.func is reference.node:
            yield _Suspect(id(call), call, "this schedule was left alone")
