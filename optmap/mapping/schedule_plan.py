"""How a class of the target expresses a call of a learning-rate schedule: as `derive`, but measures are converted.

A schedule has no way out: where the target would give other rates, there is no plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from optmap.mapping.formula import Formula, Op, argument, call, context, each, literal, over, same, times
from optmap.mapping.model import (
    OPTIMIZER,
    REQUIRED,
    Accepts,
    Api,
    Framework,
    Literal,
    MappingSet,
    Parameter,
    same_value,
)
from optmap.mapping.plan import Constant, Dropped, FromArgument, Given, Loss, Piece, Plan, Problem, TargetArgument
from optmap.mapping.values import Conversion, Value, literal_value

PACE: Final = "steps_per_epoch"
TOTAL: Final = "total_steps"
_UNSAID: Final = (OPTIMIZER, "global_step", PACE, TOTAL)
"""What a schedule may lack without giving other rates: who counts, and how far."""


class Context(NamedTuple):
    """What is known beside the call: quantities by their canonical names. `named` are those that may stay names."""

    known: Mapping[str, Value] = {}
    named: frozenset[str] = frozenset()

    def formula(self, name: str) -> Formula:
        value = self.known.get(name)
        return literal(value.literal) if value is not None and value.known else context(name)  # type: ignore[arg-type]


NOTHING: Final = Context()


def attached(api: Api) -> bool:
    """Tell whether the schedule is attached to an optimizer, rather than passed to it."""
    return OPTIMIZER in api.by_tie


def schedule_candidates(tables: MappingSet, source: Api, target: Framework, *, attach: bool) -> tuple[Api, ...]:
    """Return the target's schedules that may express the source's, attached or passed, in order of preference.

    A function of a step that the file would have to count is none.
    """
    own = tables.algorithms[source.algorithm]
    algorithms = (own, *(tables.algorithms[name] for name in own.alternatives))
    found = (api for algorithm in algorithms for api in algorithm.apis)
    return tuple(
        api for api in found
        if api.framework is target and attached(api) is attach and "global_step" not in api.by_tie
    )  # fmt: skip


def plan_schedule(
    tables: MappingSet, source: Api, given: Sequence[Given], target: Api, known: Context = NOTHING
) -> Plan:
    """Derive how `target` expresses the schedule. Quantities that `known` lacks stay in the plan's formulas."""
    return _Planner(tables, source, given, target, known).plan()


def canonical_values(
    tables: MappingSet, api: Api, given: Sequence[Given], known: Context = NOTHING
) -> dict[str, Formula]:
    """The hyperparameters of a call in their canonical measures."""
    return _Planner(tables, api, given, api, known).values()


class _Planner:
    def __init__(self, tables: MappingSet, source: Api, given: Sequence[Given], target: Api, known: Context) -> None:
        self.tables = tables
        self.source = source
        self.given = {item.parameter.name: item for item in given}
        self.target = target
        self.known = known
        self.problems: list[Problem] = []
        self.canonical: dict[str, Formula] = {}

    def plan(self) -> Plan:
        names = dict.fromkeys([*self.source.by_tie, *self.source.fixed])
        for name in names:
            self._canonical(name)
        arguments = [found for parameter in self.target.current if (found := self._argument(parameter))]
        for name in names:
            self._check_lost(name)
        self._check_traits()
        self._check_uses(arguments)
        used = {piece.index for item in arguments for piece in item.pieces if isinstance(piece, FromArgument)}
        dropped = tuple(
            Dropped(item.index, item.parameter, item.parameter.execution)
            for item in self.given.values()
            if item.index not in used
        )
        return Plan(self.source, self.target, tuple(arguments), dropped, tuple(self.problems), (), {})

    def values(self) -> dict[str, Formula]:
        """Every hyperparameter that the source has."""
        return {name: self._canonical(name) for name in [*self.source.by_tie, *self.source.fixed]}

    def _canonical(self, name: str) -> Formula:
        """The value of a hyperparameter in its canonical measure."""
        if name not in self.canonical:
            self.canonical[name] = context(name)  # stops a circle that no table should have
            self.canonical[name] = self._read(name)
        return self.canonical[name]

    def _read(self, name: str) -> Formula:
        if name in self.source.fixed:
            constant = self.source.fixed[name]
            return self._canonical(constant) if isinstance(constant, str) else literal(constant)
        parameter = self.source.by_tie.get(name)
        if parameter is None:
            return literal(1) if name == PACE and not attached(self.source) else self.known.formula(name)
        item = self.given.get(parameter.name)
        if item is not None:
            found = argument(item.index, item.value)
        elif parameter.default is REQUIRED:
            return context(name)
        else:
            found = argument(-1, literal_value(parameter.default))  # type: ignore[arg-type]
        return self._to_canonical(parameter, found)

    def _to_canonical(self, parameter: Parameter, found: Formula) -> Formula:
        if parameter.then is not None:
            if found.op is not Op.LIST:
                self._problem(
                    Loss.INSEPARABLE, parameter, f"the last item of {parameter.name} is apart from the others"
                )
                return found
            found = Formula(Op.LIST, found.items[:-1], index=found.index)
        if parameter.plus:
            found = each(found, parameter.plus)
        if parameter.times:
            found = times(found, self._canonical(parameter.times))
        return over(found, self._canonical(parameter.over)) if parameter.over else found

    def _argument(self, parameter: Parameter) -> TargetArgument | None:
        """Derive the value of one parameter of the target; None where it can be left out."""
        if not parameter.ties:
            return None
        tie = parameter.ties[0]
        if tie == OPTIMIZER and not attached(self.source):
            return None  # whoever attaches it knows
        present = tie in self.source.by_tie or tie in self.source.fixed
        if not present and not parameter.required:
            hyperparameter = self.tables.hyperparameters[tie]
            if tie in (PACE, TOTAL) or not hyperparameter.has_neutral:
                return None
            if same_value(hyperparameter.neutral, parameter.default) or hyperparameter.is_neutral(parameter.default):  # type: ignore[arg-type]
                return None
            return TargetArgument(parameter, (Constant(hyperparameter.neutral),))
        found = self._same_measure(parameter) or self._from_canonical(parameter, self._canonical(tie))
        default = not parameter.required and found.known and found.index < 0
        if default and same_value(found.number, parameter.default):  # type: ignore[arg-type]
            return None
        return TargetArgument(parameter, (self._piece(parameter, self._typed(parameter, found)),), found.index < 0)

    def _same_measure(self, parameter: Parameter) -> Formula | None:
        """The argument itself, where both sides state the hyperparameter in the same way."""
        own = self.source.by_tie.get(parameter.ties[0])
        if own is None or (own.times, own.over, own.plus, own.then) != (
            parameter.times,
            parameter.over,
            parameter.plus,
            parameter.then,
        ):
            return None
        if own.name not in self.given or parameter.below is not None:
            return None
        factor = parameter.times
        passed_on = factor is None or factor == PACE or factor in self.target.by_tie
        return argument(self.given[own.name].index, self.given[own.name].value) if passed_on else None

    def _from_canonical(self, parameter: Parameter, found: Formula) -> Formula:
        if parameter.over:
            found = times(found, self._canonical(parameter.over))
        if parameter.times:
            found = over(found, self._canonical(parameter.times))
        if parameter.plus:
            found = each(found, -parameter.plus)
        if parameter.then is not None:
            last = self._canonical(parameter.then)
            if found.op is not Op.LIST:
                message = f"{self.target.name} ends {parameter.name} in the number of all steps, and the list is not written out"
                self._problem(Loss.INSEPARABLE, parameter, message)
                return found
            found = Formula(Op.LIST, (*found.items, last), index=found.index)
        for name in sorted(found.missing() - self.known.named):
            message = f"{self.target.name} needs {name} for {parameter.name}; pass --set {name}=N"
            self._problem(Loss.MISSING, parameter, message)
        if parameter.below is not None:
            limit = self._canonical(parameter.below)
            if found.known and limit.known and not found.number < limit.number:
                message = (
                    f"{self.target.name} accepts {parameter.name} only below {limit.number!r}, found {found.number!r}"
                )
                self._problem(Loss.REJECTED_VALUE, parameter, message)
        return found

    def _typed(self, parameter: Parameter, found: Formula) -> Formula:
        """Make the value one of the type that the target insists on."""
        if parameter.accepts is Accepts.FLOATS and found.op is Op.LIST:
            return self._typed(parameter._replace(accepts=Accepts.FLOAT), found)
        if found.op is Op.LIST and parameter.accepts in (Accepts.FLOAT, Accepts.INT):
            items = tuple(self._typed(parameter, item) for item in found.items)
            return found if items == found.items else Formula(Op.LIST, items, index=found.index)
        if found.known:
            self._check_value(parameter, found.number)
        if parameter.accepts is Accepts.FLOAT:
            if found.known and type(found.number) is int:
                return literal(float(found.number))._replace(index=found.index)
            return found if found.known or found.is_float or found.written else call("float", found)
        if parameter.accepts is Accepts.INT:
            return self._whole(parameter, found)
        if parameter.accepts is Accepts.LIST and found.op is Op.LIST:
            return found if found.value.is_list else Formula(Op.LIST, found.items, index=found.index)
        if parameter.accepts is Accepts.LIST and not found.value.is_list:
            return call("list", found)
        return found

    def _whole(self, parameter: Parameter, found: Formula) -> Formula:
        if found.known and isinstance(found.number, float):
            if found.number.is_integer():
                return literal(int(found.number))._replace(index=found.index)
            message = f"{self.target.name} accepts {parameter.name} only as an int, found {found.number!r}"
            self._problem(Loss.REJECTED_VALUE, parameter, message)
        elif not found.known and found.is_float:
            message = (
                f"{self.target.name} accepts {parameter.name} only as an int, found an expression that gives a float"
            )
            self._problem(Loss.REJECTED_VALUE, parameter, message)
        return found

    def _check_value(self, parameter: Parameter, number: Any) -> None:
        wrong = not isinstance(number, int | float) or isinstance(number, bool)
        if parameter.interval is None or number is None or isinstance(number, bool):
            return
        if wrong or number not in parameter.interval:
            message = f"{self.target.name} accepts {parameter.name} only in {parameter.interval}, found {number!r}"
            self._problem(Loss.REJECTED_VALUE, parameter, message)

    def _piece(self, parameter: Parameter, found: Formula) -> Piece:
        index = found.index if found.index >= 0 else next((leaf.index for leaf in found.arguments()), -1)
        if index < 0:
            return Constant(found.number if found.known else None, None if found.known else found)
        if found.written and self._copied(found):
            how = Conversion.NONE
            if parameter.accepts is Accepts.FLOAT and not found.is_float:
                how = Conversion.FLOAT
            if (
                parameter.accepts is Accepts.BOOL
                and not found.value.is_bool
                and not isinstance(found.value.literal, bool)
            ):
                how = Conversion.BOOL
            return FromArgument(index, None, how)
        return FromArgument(index, None, Conversion.NONE, found)

    def _copied(self, found: Formula) -> bool:
        """Whether the text of the argument still says the value."""
        if found.op is Op.LITERAL:
            return found.value.known and same_value(found.literal, found.value.literal) and (  # type: ignore[arg-type]
                type(found.literal) is type(found.value.literal)
            )  # fmt: skip
        return True

    def _check_lost(self, name: str) -> None:
        """Find what does something in the call and that the target has no argument for."""
        value = self.canonical[name]
        if name in _UNSAID or name in self.target.by_tie:
            return
        if name == "learning_rate" and attached(self.target) and not attached(self.source):
            return  # it is the optimizer's
        constant: Literal = self.target.fixed.get(name)
        if name in self.target.fixed:
            wanted = self._canonical(constant) if isinstance(constant, str) else literal(constant)
            if same(value, wanted):
                return
        elif self._inert(name) or self._told(name):
            return
        hyperparameter = self.tables.hyperparameters[name]
        parameter = self.source.by_tie.get(name)
        what = parameter.name if parameter else name
        message = f"{self.target.name} has no counterpart of {what} ({hyperparameter.about})"
        if name in self.target.fixed:
            message = f"{self.target.name} always uses {name} {constant!r}"
        self.problems.append(
            Problem(Loss.MISSING, name, parameter, self._index(parameter), message, hyperparameter.remedy)
        )

    def _inert(self, name: str) -> bool:
        hyperparameter = self.tables.hyperparameters[name]
        value = self.canonical.get(name)
        if value is None or (value.known and hyperparameter.is_neutral(value.number)):
            return True
        return hyperparameter.inert_without is not None and self._inert(hyperparameter.inert_without)

    def _told(self, name: str) -> bool:
        """What does nothing without another that is missing too needs no message of its own."""
        needs = self.tables.hyperparameters[name].inert_without
        return needs is not None and needs in self.canonical and needs not in self.target.by_tie

    def _check_traits(self) -> None:
        for trait in self.tables.traits.values():
            own, other = self._rule(self.source, trait.name), self._rule(self.target, trait.name)
            own, other = own or trait.default, other or trait.default
            awake = not trait.active_with or not all(self._inert(name) for name in trait.active_with)
            if own is not None and other is not None and own != other and awake:
                message = f"{self.source.name} {trait.values[own]}; {self.target.name} {trait.values[other]}"
                self.problems.append(Problem(Loss.MISSING, trait.name, None, None, message, trait.advice))

    def _rule(self, api: Api, trait: str) -> str | None:
        for name, overrides in api.rule_when.items():
            value = self.canonical.get(name)
            if trait in overrides and value is not None and value.known and not self._inert(name):
                return overrides[trait]
        return api.rule.get(trait)

    def _check_uses(self, arguments: Sequence[TargetArgument]) -> None:
        """No expression may be evaluated twice."""
        leaves = [
            leaf
            for item in arguments
            for piece in item.pieces
            for leaf in _leaves(piece, {given.index: given.value for given in self.given.values()})
        ]
        for leaf in dict.fromkeys(leaves):
            if leaves.count(leaf) > 1 and not leaf.value.is_name and not leaf.value.known:
                parameter = next(item.parameter for item in self.given.values() if item.index == leaf.index)
                message = f"{self.target.name} needs {parameter.name} more than once"
                remedy = "bind the value to a name first and pass the name"
                self.problems.append(
                    Problem(Loss.INSEPARABLE, parameter.ties[0], parameter, leaf.index, message, remedy)
                )

    def _problem(self, loss: Loss, parameter: Parameter, message: str) -> None:
        own = self.source.by_tie.get(parameter.ties[0])
        self.problems.append(Problem(loss, parameter.ties[0], own, self._index(own), message, None))

    def _index(self, parameter: Parameter | None) -> int | None:
        item = self.given.get(parameter.name) if parameter is not None else None
        return item.index if item is not None else None


def _leaves(piece: Piece, values: Mapping[int, Value]) -> list[Formula]:
    if not isinstance(piece, FromArgument):
        return []
    if piece.formula is None:
        return [Formula(Op.ARGUMENT, index=piece.index, value=values[piece.index])]
    return piece.formula.arguments()
