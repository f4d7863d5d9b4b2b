"""What a call says, in canonical hyperparameters: each a formula over the call's arguments, in the measure that all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from optmap.mapping.formula import Formula, Op, argument, call, context, each, literal, over, times
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import BoundArgument, Obstacle, Problem, group_ties
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, literal_value
from optmap.mapping.vocabulary import OPTIMIZER, Parameter, same_value
from optmap.values import NamedTuple

PACE: Final = "steps_per_epoch"
TOTAL: Final = "total_steps"


class Context(NamedTuple):
    """What is known beside the call: quantities by their canonical names. `named` are those that may stay names."""

    known: Mapping[str, Value] = {}
    named: frozenset[str] = frozenset()

    def formula(self, name: str) -> Formula:
        value = self.known.get(name)
        return literal(value.literal) if value is not None and value.known else context(name)  # type: ignore[arg-type]


NOTHING: Final = Context()


def is_schedule(api: Api) -> bool:
    """Tell a learning-rate schedule from an optimizer."""
    return bool(api.module.serves)


def attached(api: Api) -> bool:
    """Tell whether the schedule is attached to an optimizer, rather than passed to it."""
    return OPTIMIZER in api.by_tie


def canonical_values(
    tables: MappingSet, api: Api, given: Sequence[BoundArgument], known: Context = NOTHING
) -> dict[str, Formula]:
    """The hyperparameters of a call in their canonical measures."""
    return Canonical(tables, api, given, known).values


class Canonical:
    """The hyperparameters of one call of `source`.

    `values` are those that the call has, by canonical name, and `parameters` what carries them. `switched` maps canonical names
    to those that a flag at the call makes of them. `keys` are what parameter groups at the call set; None without groups.
    """

    def __init__(
        self, tables: MappingSet, source: Api, given: Sequence[BoundArgument], known: Context = NOTHING,
        keys: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self.tables = tables
        self.source = source
        self.given = {item.parameter.name: item for item in given}
        self.known = known
        self.keys = keys
        self.problems: list[Problem] = []
        self.switched: dict[str, str] = {}
        self.parameters: dict[str, Parameter] = dict(source.by_tie)
        self.values: dict[str, Formula] = {}
        for name in (*source.fixed, *source.by_tie):
            if name in source.fixed or source.by_tie[name].name in self.given or not source.by_tie[name].required:
                self.value(name)
        self.values = {name: self.values[name] for name in (*source.fixed, *source.by_tie) if name in self.values}
        self._apply_switches()
        self.in_groups = {tie for key in keys or () for tie in group_ties(source, key, self.switched)}

    def value(self, name: str) -> Formula:
        """A hyperparameter; what is known beside the call, or what makes it do nothing, of one that the call does not have."""
        source, parameter = self.source, self.source.by_tie.get(name)
        if name in self.values:
            return self.values[name]
        if name in source.fixed or (parameter and (parameter.name in self.given or not parameter.required)):
            self.values[name] = context(name)  # stops a circle that no table should have
            self.values[name] = self._read(name)
            return self.values[name]
        if name == PACE and not attached(source):
            return literal(1)
        hyperparameter = self.tables.hyperparameters[name]
        if name not in self.known.known and name != PACE and hyperparameter.has_neutral:
            return literal(hyperparameter.neutral)
        return self.known.formula(name)

    def _read(self, name: str) -> Formula:
        parameter = self.source.by_tie.get(name)
        if parameter is None:  # a version that has the parameter does not fix its value
            constant = self.source.fixed[name]
            return self.value(constant) if isinstance(constant, str) else literal(constant)
        element = parameter.ties.index(name) if len(parameter.ties) > 1 else None
        item = self.given.get(parameter.name)
        if item is not None and (stands_for := _stands_for(parameter, item.value)) is not None:
            return self._to_canonical(parameter, literal(stands_for)._replace(index=item.index))
        if item is not None:
            return self._to_canonical(parameter, argument(item.index, item.value, element))
        default = literal_value(parameter.default)  # type: ignore[arg-type]
        return self._to_canonical(parameter, argument(-1, default, element))

    def _to_canonical(self, parameter: Parameter, found: Formula) -> Formula:
        if found.known and found.number is None:
            return found
        if parameter.then is not None:
            if found.op is not Op.LIST:
                message = f"the last item of {parameter.name} is apart from the others"
                self.problems.append(self.problem(Obstacle.INSEPARABLE, parameter.ties[0], message))
                return call("but_last", found)
            found = Formula(Op.LIST, found.items[:-1], index=found.index)
        if parameter.plus:
            found = each(found, parameter.plus)
        if parameter.times:
            found = times(found, self.value(parameter.times))
        return over(found, self.value(parameter.over)) if parameter.over else found

    def _apply_switches(self) -> None:
        for parameter in self.source.current:
            item = self.given.get(parameter.name)
            known = item is None or item.value.known
            on = item.value.literal if item is not None else parameter.default
            for old, new in parameter.switches.items():
                in_groups = any(old in group_ties(self.source, key) for key in self.keys or ())
                if old not in self.values or (self.neutral(old) and not in_groups):
                    continue
                if not known:
                    message = f"whether {parameter.name} is set decides what {self.parameters[old].name} means"
                    index = item.index if item else None
                    self.problems.append(Problem(Obstacle.UNKNOWN_SWITCH, old, parameter, index, message, None))
                elif on:
                    self.values[new], self.parameters[new] = self.values.pop(old), self.parameters.pop(old)
                    self.switched[old] = new

    def neutral(self, name: str) -> bool:
        """Tell whether the call gives the hyperparameter the value at which it does nothing."""
        hyperparameter = self.tables.hyperparameters.get(name)
        value = self.values[name]
        return hyperparameter is not None and value.known and hyperparameter.is_neutral(value.number)

    def inert(self, name: str) -> bool:
        """Tell whether the hyperparameter does nothing in this call: neutral, absent, or inert without another."""
        if name in self.in_groups:
            return False
        if name not in self.values:
            return name != PACE or self.value(PACE) == literal(1)
        needs = self.tables.hyperparameters[name].inert_without
        return self.neutral(name) or (needs is not None and self.inert(needs))

    def index(self, name: str) -> int | None:
        """The argument that holds a hyperparameter, if the call gives it."""
        parameter = self.parameters.get(name)
        item = self.given.get(parameter.name) if parameter is not None else None
        return item.index if item is not None else None

    def problem(self, loss: Obstacle, name: str, message: str, remedy: str | None = None) -> Problem:
        """What a target cannot express of a hyperparameter."""
        return Problem(loss, name, self.parameters.get(name), self.index(name), message, remedy)


def _stands_for(parameter: Parameter, value: Value) -> Literal:
    """What a class takes instead of None or 0, where it takes something else; None where it takes the value as it is."""
    if value.literal is None:
        return parameter.none_is
    return parameter.zero_is if value.known and same_value(value.literal, 0) else None  # type: ignore[arg-type]
