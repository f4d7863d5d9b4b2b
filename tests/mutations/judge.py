"""Whether a mutation is caught: when the tables are loaded, by the audit, by the check; or what it changes for nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from optmap.audit.compare import differences
from optmap.audit.rates import wrong_rates
from optmap.audit.results import Live
from optmap.audit.run import AuditError, inspect_installed, request_for
from optmap.audit.values import wrong_values
from optmap.conformance.calls import Call
from optmap.conformance.catalog import catalog
from optmap.conformance.execution import flips, run_flips, schedule_flips
from optmap.conformance.expect import find_better
from optmap.conformance.results import Result
from optmap.conformance.run import RunOptions, run_trials
from optmap.conformance.schedule_check import SchedulePair, run_pairs
from optmap.conformance.trials import Trials
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_files, load_schedules
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.stored import MappingError

from .generate import Mutation, mutated
from .outcomes import REFUSED, calls, difference, outcome
from .remembering import Remembering
from .scheduled import brief, lost, pairs_of, reading, same_rates
from .simulated import Simulated, base

RUNS: Final = ((6, "float64"), (40, "float64"), (40, "float32"))
"""Steps and dtypes, the quickest first."""
SCENARIOS: Final = {name: item for name, item in catalog().items() if not (item.rare or item.resumed)}
ENGINES: Final = ("torch", "tensorflow", "mindspore")


class Judged(NamedTuple):
    """What came of a mutation: who caught it and by what, or "survives" or "changes nothing"."""

    mutation: Mutation
    by: str
    evidence: str = ""


class Judge:
    """Judges mutations with workers that stay open; the tables as they are stand as `base` and `schedules`."""

    def __init__(self, *, real: bool = False, audited: bool = True) -> None:
        self.base, self.schedules = base(), load_schedules()
        self.sessions: dict[str, Any] = {name: (Remembering if real else Simulated)(name) for name in ENGINES}
        self.flipped: dict[str, Any] = {name: Remembering(name) for name in ENGINES}
        self.called: dict[str, Any] = {**self.flipped, "mindspore": Remembering("mindspore-real")}
        both = {False: self.base, True: self.schedules}
        self.live = {schedule: dict(_installed(tables)) if audited else {} for schedule, tables in both.items()}
        self.usual = {schedule: self.audited(tables, schedule) for schedule, tables in both.items()}
        self.known: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        for session in (*self.sessions.values(), *self.flipped.values(), self.called["mindspore"]):
            session.close()

    def judge(self, mutation: Mutation) -> Judged:
        """Try everything, the cheapest first."""
        try:
            tables = load_files(mutated(mutation), own_modules=not mutation.schedule)
        except MappingError as error:
            return Judged(mutation, "load", str(error).partition("\n")[0])
        if mutation.schedule:
            with reading(tables):
                return self._schedule(mutation, tables)
        return self._optimizer(mutation, tables)

    def _optimizer(self, mutation: Mutation, tables: MappingSet) -> Judged:
        if text := self.misfit(mutation, tables):
            return Judged(mutation, "audit", text)
        executed = [api for api in tables.apis.values() if _executed(api) - _executed(self.base.apis[api.name])]
        for result in run_flips(flips(tables, executed), self.flipped):
            return Judged(mutation, "check", result.reason or "")
        evidence, lost, place = "", True, tables.apis.get(mutation.place)
        for call, target, classes in self.touched(mutation, tables):
            before, after = (outcome(each, call, target, classes) for each in (self.base, tables))
            if before == after:
                continue
            if place is not None and place.not_run:
                return Judged(mutation, "not run", f"{place.name} {place.not_run}")
            if text := self.caught(tables, call, target):
                return Judged(mutation, "check", text)
            lost = lost and all(text.startswith(REFUSED) for text in after if text not in before)
            evidence = evidence or f"{call.api.name}{dict(call.given)} to {target}: {difference(before, after)}"
        if text := _held(mutation, tables):
            return Judged(mutation, "tests", text)
        if evidence and lost:
            return Judged(mutation, "refuses more", evidence)
        if not evidence and (row := _row_of(mutation, self.base)) is not None and not row[1]:
            return Judged(mutation, "older versions", f"{row[0].name} {row[0].verified} does not have the row")
        return Judged(mutation, "survives" if evidence else "changes nothing", evidence)

    def audited(self, tables: MappingSet, schedule: bool) -> set[str]:
        """The differences from the signatures of what is installed."""
        live = self.live[schedule].items()
        return {item.message for framework, found in live for item in differences(tables, framework, found)}

    def misfit(self, mutation: Mutation, tables: MappingSet) -> str:
        """What an audit finds, and does not find in the tables as they are: in signatures, accepted values and rates."""
        if found := self.audited(tables, mutation.schedule) - self.usual[mutation.schedule]:
            return min(found)
        own = mutation.file.rpartition("/")[2].removesuffix(".yaml")
        for api in tables.apis.values() if self.live[mutation.schedule] else ():
            if api.name != mutation.place and (mutation.place in tables.apis or own not in ("common", api.algorithm)):
                continue
            both = (self.base, tables) if mutation.schedule else (tables, self.schedules)
            session = self.called[api.framework]
            for item in chain(wrong_values(*both, [api], session), wrong_rates(both[1], [api], session)):
                return item.message
        return ""

    def touched(self, mutation: Mutation, tables: MappingSet) -> Iterator[tuple[Call, Framework, tuple[str, ...]]]:
        """The calls whose translation may depend on what is changed, with their targets, and the classes of these that count.

        Of a class that is not run there is none to check: what it would give shows on the others.
        """
        own = mutation.file.rpartition("/")[2].removesuffix(".yaml")
        for name, own_calls in calls().items():
            api = self.base.apis[name]
            algorithm = self.base.algorithms[api.algorithm]
            if own not in ("common", algorithm.name, *algorithm.alternatives):
                continue
            for target in tables.frameworks.values():
                place = self.base.apis.get(mutation.place)
                if target == api.framework or (place and name != place.name and target != place.framework):
                    continue
                classes = (place.name,) if place and name != place.name else ()
                yield from ((call, target, classes) for call in own_calls)

    def caught(self, tables: MappingSet, call: Call, target: Framework) -> str:
        """What a check of the call finds, and does not find with the tables as they are; empty for nothing."""
        found = self.failed(tables, [(call._replace(api=tables.apis[call.api.name]), target)])
        usual = self.failed(self.base, [(call, target)]) if found else []
        return next((text for text in found if text not in usual), "")

    def failed(self, tables: MappingSet, calls: Iterable[tuple[Call, Framework]]) -> list[str]:
        """What is not as expected in a check of these calls."""
        trials = Trials(tables, SCENARIOS, every_target=True).find(calls)
        for steps, dtype in RUNS:
            options = RunOptions(steps, steps, (dtype,), free=False)
            found = [text for text in map(_text, find_better(run_trials(trials, self.sessions, options))) if text]
            if found:
                return found
        return []

    def _schedule(self, mutation: Mutation, tables: MappingSet) -> Judged:
        if text := self.misfit(mutation, tables):
            return Judged(mutation, "audit", text)
        own = mutation.file.rpartition("/")[2].removesuffix(".yaml")
        names = [name for name, api in self.schedules.apis.items() if own in ("common", api.algorithm)]
        found = pairs_of(names)
        with reading(self.schedules):
            usual = self.known.get(own) or self.known.setdefault(own, pairs_of(names))
        executed = [tables.apis[name] for name in names if name in tables.apis
                    and _executed(tables.apis[name]) - _executed(self.schedules.apis[name])]  # fmt: skip
        sources = {pair.source.name for pair in found.values() if isinstance(pair, SchedulePair)}
        flipped = schedule_flips(tables, [api for api in executed if api.name in sources])
        for result in run_flips(flipped, self.flipped):
            return Judged(mutation, "check", result.reason or "")
        different = [key for key in {**usual, **found} if brief(found.get(key)) != brief(usual.get(key))]
        if not different:
            return Judged(mutation, "changes nothing")
        pairs = [pair for key in different if isinstance(pair := found.get(key), SchedulePair)]
        with reading(self.schedules):
            before = [pair for key in different if isinstance(pair := usual.get(key), SchedulePair)]
            accepted = set(map(_text, run_pairs(before, self.sessions)))
        for text in map(_text, run_pairs(pairs, self.sessions)):
            if text and text not in accepted:
                return Judged(mutation, "check", text)
        changed = [key for key in different if not lost(usual.get(key), found.get(key))]
        with reading(self.schedules):
            moved = [key for key in changed if not same_rates(self.sessions, usual.get(key), found.get(key))]
        by = "survives" if moved else "same numbers" if changed else "refuses more"
        key = (moved or changed or different)[0]
        return Judged(mutation, by, f"{key}: {brief(usual.get(key))} became {brief(found.get(key))}")


def _installed(tables: MappingSet) -> Iterator[tuple[Framework, Live]]:
    for framework in tables.frameworks.values():
        try:
            yield framework, inspect_installed(request_for(tables, framework), framework)
        except AuditError:
            continue


def _row_of(mutation: Mutation, tables: MappingSet) -> tuple[Api, bool] | None:
    """The class of a row, and whether the version that is installed has the row."""
    api = tables.apis.get(mutation.place) or tables.older.get(mutation.place)
    if api is None:
        return None
    rows = [row for row in api.parameters if row.at.line == mutation.line + 1]
    return api, bool(rows) and rows[0] in api.current and mutation.place in tables.apis


def _held(mutation: Mutation, tables: MappingSet) -> str:
    """What the tests of old releases find in the section."""
    found = _row_of(mutation, tables)
    if found is None:
        return ""
    from tests.mapping import test_versions

    api = found[0]
    try:
        for package, version in test_versions.releases(api):
            test_versions.test_the_rows_of_a_version_are_its_constructor(api, package, version)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return ""


def _executed(api: Api) -> set[str]:
    return {parameter.name for parameter in api.current if parameter.execution}


def _text(result: Result) -> str:
    if result.passes:
        return ""
    pair = result.pair
    return f"{pair.source}{dict(pair.hyperparameters)} -> {pair.target} in {result.scenario}: {result.verdict}: {result.reason}"


def judge_all(share: Sequence[Mutation], *, real: bool) -> list[Judged]:
    """Judge one after the other with the same workers, and print what nobody catches."""
    found = []
    judge = Judge(real=real)
    try:
        for mutation in share:
            try:
                found.append(judge.judge(mutation))
            except Exception as error:
                found.append(Judged(mutation, "error", f"{type(error).__name__}: {error}"))
            if found[-1].by not in ("load", "audit", "check", "tests"):
                print(f"{found[-1].by}: {mutation}\n    {found[-1].evidence}", flush=True)
    finally:
        judge.close()
    return found
