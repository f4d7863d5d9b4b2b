"""Parsed table files to a MappingSet: check what shapes cannot say of each other, and report every error at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optmap.mapping import versions
from optmap.mapping.formula import Formula, context
from optmap.mapping.frameworks import FOLDER, Module
from optmap.mapping.model import (
    PARAMETERS,
    REQUIRED,
    Algorithm,
    Api,
    Framework,
    Hyperparameter,
    MappingSet,
    Parameter,
    TableFile,
    Trait,
    assembled,
)
from optmap.mapping.rate import LAST, STEP, RateError, read_rate
from optmap.mapping.records import Literal, Position
from optmap.mapping.yamlnodes import Parsed, Problems, parse
from optmap.nearest import nearest

_INSISTS = {"float": (float, "a float"), "int": (int, "an int"), "bool": (bool, "true or false")}
"""What a default has to be where a constructor insists on a type."""


class Builder:
    """Collects parsed sections from several files, then resolves what they say of each other."""

    def __init__(self, known: Mapping[str, Framework]) -> None:
        self.frameworks = known
        self.problems = Problems()
        self.hyperparameters: dict[str, Hyperparameter] = {}
        self.traits: dict[str, Trait] = {}
        self.modules: dict[str, Module] = {}
        self.lists: dict[str, list[Parsed]] = {}
        self.shared: dict[str, list[Parameter]] = {}
        self.heads: dict[str, Parsed] = {}
        self.sections: dict[str, tuple[str, Parsed]] = {}

    def add_directory(self, directory: Path) -> None:
        """Add the tables of a directory; one without tables is an error."""
        files = sorted(directory.glob("*.yaml")) if directory.is_dir() else []
        if not files and not any((directory / folder).is_dir() for folder in (FOLDER, "around")):
            self.problems.add(Position(str(directory), 1, 1), "no table (*.yaml) found in this directory")
        contents = []
        for path in files:
            try:
                contents.append((str(path), path.read_bytes()))
            except OSError as error:
                self.problems.add(Position(str(path), 1, 1), f"cannot be read: {error.strerror}")
        self.add_contents(contents)

    def add_contents(self, contents: Sequence[tuple[str, bytes]]) -> None:
        seen: dict[tuple[str, str], Position] = {}
        for name, data in contents:
            table = parse(data, name, TableFile, self.problems)
            if table is not None:
                self._add_table(table, seen)

    def _add_table(self, table: Parsed, seen: dict[tuple[str, str], Position]) -> None:
        def fresh(kind: str, name: str, at: Position) -> bool:
            first = seen.setdefault((kind, name), at)
            if first is not at:
                self.problems.add(at, f"{kind} {name!r} is already defined at {first}")
            return first is at

        kinds: tuple[tuple[str, dict[str, Any]], ...] = (
            ("hyperparameter", self.hyperparameters),
            ("trait", self.traits),
        )
        for kind, known in kinds:
            for name, item in self._entries(table, f"{kind}s"):
                if fresh(kind, name, item.at):
                    known[name] = item.plain(name)
        for name, item in self._entries(table, "modules"):
            if fresh("module", name, item.at):
                self._add_module(name, item)
        for name, item in self._entries(table, "parameter_lists"):
            if fresh("parameter list", name, item.at):
                self.lists[name] = item.value
        algorithm = table.get("algorithm")
        apis = self._entries(table, "apis")
        if apis and algorithm is None:
            self.problems.add(table.at, "found 'apis' without 'algorithm'; expected the algorithm that they implement")
        if algorithm is not None:
            self.heads.setdefault(algorithm, table)
        for name, item in apis:
            if algorithm is not None and fresh("api", name, item.at):
                self.sections[name] = (algorithm, item)

    def _add_module(self, name: str, item: Parsed) -> None:
        given: str = item.get("framework", "")
        framework = self.frameworks.get(given)
        if framework is not None:
            self.modules[name] = framework.own(item.make(Module, name))
        elif given:
            self.problems.unknown(item.value["framework"].at, "framework", given, self.frameworks)
        else:
            self.problems.add(item.at, "module lacks 'framework'")

    def _entries(self, table: Parsed, key: str) -> list[tuple[str, Parsed]]:
        found = table.value.get(key)
        return list(found.items()) if found else []

    def build(self) -> MappingSet | None:
        """Put everything together; None where `problems` has errors."""
        self._check_vocabulary()
        for name, rows in self.lists.items():
            self.shared[name] = [parameter for row in rows for parameter in self._parameter(row)]
        apis = {
            name: api for name, (algorithm, item) in self.sections.items() if (api := self._api(name, algorithm, item))
        }
        algorithms = {}
        for name, head in self.heads.items():
            own = tuple(api for api in apis.values() if api.algorithm == name)
            algorithms[name] = head.make(Algorithm)
            for other in algorithms[name].alternatives:
                if other not in self.heads:
                    self.problems.unknown(head.value["alternatives"].at, "algorithm", other, self.heads)
            self._check_rules(own)
            self._check_rate(head)
        if self.problems.found:
            return None
        return assembled(self.hyperparameters, self.traits, self.modules, algorithms, apis)

    def _check_vocabulary(self) -> None:
        for hyperparameter in self.hyperparameters.values():
            seen = {hyperparameter.name}
            needs = hyperparameter.inert_without
            self._check_size(hyperparameter)
            for framework in hyperparameter.remedies:
                if framework not in self.frameworks:
                    self.problems.unknown(hyperparameter.at, "framework in 'remedies'", framework, self.frameworks)
            for value in hyperparameter.samples:
                self._check_kind(hyperparameter, value, hyperparameter.at)
            if needs is not None:
                self._known(needs, hyperparameter.at)
            while needs is not None and needs in self.hyperparameters:
                if needs in seen:
                    self.problems.add(hyperparameter.at, f"{hyperparameter.name!r} is inert without itself")
                    break
                seen.add(needs)
                needs = self.hyperparameters[needs].inert_without
        for trait in self.traits.values():
            self._check_size(trait)
            for value in trait.advice_to:
                if value not in trait.values:
                    self.problems.unknown(trait.at, "value of trait in 'advice_to'", value, trait.values)
            if trait.default is not None and trait.default not in trait.values:
                self.problems.unknown(trait.at, "default value of trait", trait.default, trait.values)
            for name in trait.active_with:
                self._known(name, trait.at)
        for module in self.modules.values():
            for names in module.group_keys.values():
                for name in names:
                    self._known(name, module.at)

    def _check_size(self, item: Hyperparameter | Trait) -> None:
        if item.grows_with is not None:
            self._known(item.grows_with, item.at)

    def _known(self, name: str, at: Position) -> bool:
        if name in self.hyperparameters or name == PARAMETERS:
            return True
        self.problems.unknown(at, "hyperparameter", name, [*self.hyperparameters, PARAMETERS])
        return False

    def _api(self, name: str, algorithm: str, item: Parsed) -> Api | None:
        module = self.modules.get(name.rpartition(".")[0])
        if module is None:
            known = [f"{path}.{name.rpartition('.')[2]}" for path in self.modules]
            self.problems.unknown(item.at, "module in the name of API", name, known)
            return None
        parameters = tuple(self._parameters(item.value["parameters"].value))
        self._check_versions(item, parameters)
        self._check_rule(item)
        for _, older in self._entries(item, "earlier"):
            self._check_rule(older)
        api = item.make(Api, name)._replace(algorithm=algorithm, module=module, parameters=parameters)
        for hyperparameter in api.fixed:
            self._known(hyperparameter, item.value["fixed"].at)
        names = {parameter.name for parameter in parameters}
        for given in api.sample:
            if given not in names:
                self.problems.unknown(item.value["sample"].at, "parameter", given, names)
        return api

    def _parameters(self, rows: list[Parsed]) -> list[Parameter]:
        found: list[Parameter] = []
        for row in rows:
            include = row.get("include")
            if include is None:
                found += self._parameter(row)
            elif include in self.shared:
                found += self.shared[include]
            else:
                self.problems.unknown(row.value["include"].at, "parameter list", include, self.lists)
        return found

    def _parameter(self, row: Parsed) -> list[Parameter]:
        """Return the parameter, or nothing where the row is wrong."""
        if row.broken:
            return []
        found = row.make(Parameter)
        if not found.name:
            self.problems.add(row.at, "found a parameter without 'name'; expected 'name' or 'include'")
            return []
        if sum(key in row.value for key in ("is", "affects", "switches")) != 1:
            self.problems.add(row.at, f"parameter {found.name!r} needs exactly one of 'is', 'affects' and 'switches'")
            return []
        known = [self._known(tie, row.value["is"].at) for tie in found.ties]
        if not all(known):
            return []
        for key in ("times", "over", "then", "below"):
            if key in row.value:
                self._known(row.get(key), row.value[key].at)
        for pair in found.switches.items():
            for canonical in pair:
                self._known(canonical, row.value["switches"].at)
        if found.default is not REQUIRED:
            self._check_default(found, found.default, row.value["default"].at)
        return [found]

    def _check_default(self, parameter: Parameter, default: Any, at: Position) -> None:
        ties, accepts, interval = parameter.ties, parameter.accepts, parameter.interval
        if len(ties) > 1 and default is not None and (not isinstance(default, tuple) or len(default) != len(ties)):
            self.problems.add(
                at, f"found default {default!r}, expected a list of {len(ties)}: one for each of {', '.join(ties)}"
            )
            return
        if len(ties) < 2 and isinstance(default, tuple) and ties:
            self.problems.add(at, f"found default {default!r}, expected a single value")
            return
        values = default if isinstance(default, tuple) else (default,)
        for value in values:
            kind, expected = _INSISTS.get(accepts, (None, ""))
            if kind is not None and value is not None and type(value) is not kind:
                self.problems.add(at, f"found default {value!r}, expected {expected} as 'accepts: {accepts}' says")
            if interval is not None and _is_number(value) and value not in interval:
                self.problems.add(at, f"found default {value!r}, expected a value in {interval}")
        for tie, value in zip(ties, values, strict=False):
            self._check_kind(self.hyperparameters.get(tie), value, at)

    def _check_kind(self, hyperparameter: Hyperparameter | None, value: Literal, at: Position) -> None:
        """A default and the neutral value of the same hyperparameter are both flags, or neither is."""
        if hyperparameter is None or not hyperparameter.has_neutral or value is None or hyperparameter.neutral is None:
            return
        if isinstance(value, bool) != isinstance(hyperparameter.neutral, bool):
            expected = "true or false" if isinstance(hyperparameter.neutral, bool) else "a number"
            self.problems.add(at, f"found default {value!r} for {hyperparameter.name!r}, expected {expected}")

    def _check_versions(self, item: Parsed, parameters: tuple[Parameter, ...]) -> None:
        """Check what an API says of versions, and its signature at each version where that changes."""
        verified: str = item.get("verified")
        spans = [(item.at, verified, None), (item.at, item.get("since"), item.get("until"))]
        spans += [(parameter.at, parameter.since, parameter.until) for parameter in parameters]
        spans += [(older.at, None, until) for until, older in self._entries(item, "earlier")]
        spans += [(parameter.at, None, until) for parameter in parameters for until in parameter.was.values()]
        if any([not self._is_span(*span) for span in spans]):  # noqa: C419 (each is to be reported)
            return
        if not versions.holds(verified, item.get("since"), item.get("until")):
            self.problems.add(item.at, f"the class is not there in {verified}, the version it was verified with")
        points = {versions.key(version): version for _, *span in spans for version in span if version is not None}
        reported: dict[tuple[Position, str], None] = {}
        for point in points.values():
            rows = tuple(row for row in parameters if versions.holds(point, row.since, row.until))
            reported |= dict.fromkeys(_signature_problems(rows))
        for at, message in reported:
            self.problems.add(at, message)

    def _is_span(self, at: Position, since: str | None, until: str | None) -> bool:
        try:
            ends = [versions.key(version) for version in (since, until) if version is not None]
        except ValueError as error:
            self.problems.add(at, str(error))
            return False
        if len(ends) == 2 and ends[0] >= ends[1]:
            self.problems.add(at, f"found since {since} and until {until}, expected until to be the later version")
            return False
        return True

    def _check_rate(self, head: Parsed) -> None:
        """A schedule's formula is read once for every hyperparameter that it may speak of."""
        known = {*self.hyperparameters, *self.traits, STEP, LAST}

        def look_up(name: str) -> Formula:
            if name not in known:
                raise RateError(f"unknown hyperparameter {name!r}{nearest(name, known)}")
            return context(name)

        if "rate" in head.value:
            try:
                read_rate(head.get("rate"), look_up)
            except RateError as error:
                self.problems.add(head.value["rate"].at, str(error))

    def _check_rule(self, item: Parsed) -> None:
        for trait, value in self._entries(item, "rule"):
            self._check_trait(trait, value)
        for hyperparameter, overrides in self._entries(item, "rule_when"):
            self._known(hyperparameter, overrides.at)
            for trait, value in overrides.items():
                self._check_trait(trait, value)

    def _check_trait(self, name: str, value: Parsed) -> None:
        trait = self.traits.get(name)
        if trait is None:
            self.problems.unknown(value.at, "trait", name, self.traits)
        elif value.value not in trait.values:
            self.problems.unknown(value.at, f"value of trait {name!r}", value.value, trait.values)

    def _check_rules(self, apis: tuple[Api, ...]) -> None:
        """Every API of an algorithm states the same traits, but for those that have a default."""
        stated = {
            name for api in apis for name in api.rule if name in self.traits and self.traits[name].default is None
        }
        for api in apis:
            absent = sorted(stated - set(api.rule))
            if absent:
                self.problems.add(
                    api.at, f"the rule of {api.name} does not state {', '.join(absent)}, as its siblings do"
                )


def _signature_problems(parameters: tuple[Parameter, ...]) -> Iterator[tuple[Position, str]]:
    """What is wrong with the signature that one version has."""
    seen: dict[str, Parameter] = {}
    tied: dict[str, Parameter] = {}
    optional: Parameter | None = None
    keyword_only: Parameter | None = None
    for parameter in parameters:
        if parameter.name in seen:
            yield parameter.at, f"parameter {parameter.name!r} is given twice in the signature"
        seen[parameter.name] = parameter
        for tie in parameter.ties:
            if tied.setdefault(tie, parameter) is not parameter:
                yield parameter.at, f"{tie!r} is already tied to parameter {tied[tie].name!r}"
        if parameter.keyword_only:
            keyword_only = keyword_only or parameter
            continue
        if keyword_only:
            yield (
                parameter.at,
                f"parameter {parameter.name!r} is positional, but {keyword_only.name!r} before it is not",
            )
        if parameter.required and optional:
            yield parameter.at, f"parameter {parameter.name!r} has no default, but {optional.name!r} before it has one"
        optional = optional or (None if parameter.required else parameter)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
