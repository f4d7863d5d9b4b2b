"""Parsed table files to a MappingSet: check what shapes cannot say of each other, and report every error at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optmap.mapping.formula import Formula, context
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import FOLDER, OptimizerModule
from optmap.mapping.model import MappingSet, assembled
from optmap.mapping.rate import LAST, STEP, RateError, read_rate
from optmap.mapping.records import Position
from optmap.mapping.sections import Algorithm, Api, TableFile
from optmap.mapping.signatures import default_problems, kind_problem, version_problems
from optmap.mapping.state import Quantity, Slot
from optmap.mapping.state_values import problems
from optmap.mapping.vocabulary import PARAMETERS, REQUIRED, Hyperparameter, Parameter, Trait
from optmap.mapping.yamlnodes import Parsed, Problems, parse
from optmap.nearest import nearest
from optmap.reading import TEXT_BYTES, read_regular


class Builder:
    """Collects parsed sections from several files, then resolves what they say of each other."""

    def __init__(self, known: Mapping[str, Framework]) -> None:
        self.frameworks = known
        self.problems = Problems()
        self.hyperparameters: dict[str, Hyperparameter] = {}
        self.traits: dict[str, Trait] = {}
        self.states: dict[str, Quantity] = {}
        self.modules: dict[str, OptimizerModule] = {}
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
                contents.append((str(path), read_regular(path, TEXT_BYTES)))
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
            ("state", self.states),
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
            self.modules[name] = framework.own(item.make(OptimizerModule, name))
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
        return assembled(self.hyperparameters, self.traits, self.modules, algorithms, apis, self.states)

    def _check_vocabulary(self) -> None:
        for hyperparameter in self.hyperparameters.values():
            seen = {hyperparameter.name}
            needs = hyperparameter.inert_without
            self._check_size(hyperparameter)
            for framework in hyperparameter.remedies:
                if framework not in self.frameworks:
                    self.problems.unknown(hyperparameter.at, "framework in 'remedies'", framework, self.frameworks)
            for value in hyperparameter.samples:
                self._add(hyperparameter.at, kind_problem(hyperparameter, value))
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
            if trait.cancels is not None:
                self._known(trait.cancels, trait.at)
            for value in trait.squares:
                if value not in trait.values:
                    self.problems.unknown(trait.at, "value of trait in 'squares'", value, trait.values)
            for value in trait.advice_to:
                if value not in trait.values:
                    self.problems.unknown(trait.at, "value of trait in 'advice_to'", value, trait.values)
            if trait.default is not None and trait.default not in trait.values:
                self.problems.unknown(trait.at, "default value of trait", trait.default, trait.values)
            for name in trait.active_with:
                self._known(name, trait.at)
        for module in self.modules.values():
            self._check_state(module.state)
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
        self._check_rule(item)
        for _, older in self._entries(item, "earlier"):
            self._check_rule(older)
        api = item.make(Api, name)._replace(algorithm=algorithm, module=module, parameters=parameters)
        for at, message in version_problems(api):
            self.problems.add(at, message)
        self._check_state(api.state)
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
        if found.execution and found.required:
            self.problems.add(
                row.at, f"parameter {found.name!r} affects execution alone; expected a default, as it can be left out"
            )
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
            at, default = row.value["default"].at, found.default
            wrong = list(default_problems(found, default))
            values = default if isinstance(default, tuple) else (default,)
            ties = zip(found.ties, values, strict=False) if not wrong or len(values) == len(found.ties) else ()
            wrong += [text for tie, value in ties if (text := kind_problem(self.hyperparameters.get(tie), value))]  # type: ignore[arg-type]
            for text in wrong:
                self.problems.add(at, text)
        return [found]

    def _add(self, at: Position, message: str | None) -> None:
        if message is not None:
            self.problems.add(at, message)

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

    def _check_state(self, rows: Mapping[str, Slot]) -> None:
        for at, message in problems(self.states, self.hyperparameters, rows):
            self.problems.add(at, message)

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
