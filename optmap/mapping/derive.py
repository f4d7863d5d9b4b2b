"""What follows from two sections of the tables for one call: how the target expresses it, what is lost, what will differ.

Optimizers and learning-rate schedules are planned alike. The arguments of the call become canonical hyperparameters
(`canonical`), these become arguments of the target (`taken`), and what is left over becomes problems and causes (`losses`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from optmap.mapping.canonical import NOTHING, Canonical, Context, attached
from optmap.mapping.formula import Formula, Op, literal
from optmap.mapping.framework import Framework
from optmap.mapping.losses import is_squared, losses, trait_losses
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import (
    BoundArgument,
    Constant,
    Dropped,
    FromArgument,
    Inferred,
    Obstacle,
    Piece,
    Plan,
    Problem,
    TargetArgument,
)
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.taken import Taker
from optmap.mapping.values import Conversion, conversion
from optmap.mapping.vocabulary import OPTIMIZER, PARAMETERS, Parameter, Required, same_value


def candidates(tables: MappingSet, source: Api, target: Framework, *, attach: bool | None = None) -> tuple[Api, ...]:
    """Return the target's classes that may express a call of the source, in order of preference.

    Classes of superseded modules come after the others; those that no installed framework can run, so that nothing proves
    their arithmetic, come last. For a schedule, `attach` tells whether to return those that are attached or those that are
    passed; a function of a step that the file would have to count is none.
    """
    own = tables.algorithms[source.algorithm]
    algorithms = (own, *(tables.algorithms[name] for name in own.alternatives))
    found = [
        api for algorithm in algorithms for api in algorithm.apis
        if api.framework == target and api.exists
        and (attach is None or (attached(api) is attach and "global_step" not in api.by_tie))
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda api: (api.not_run is not None, api.module.superseded)))


def plans(
    tables: MappingSet, source: Api, given: Sequence[BoundArgument], classes: Sequence[Api],
    group_keys: Sequence[str] | None = None, known: Context = NOTHING,
) -> list[Plan]:  # fmt: skip
    """Derive how each class expresses the call, in the order of the classes.

    Only if none can, flags of the target that change what another argument means are used (decoupled_weight_decay).
    """
    found = [plan(tables, source, given, each, group_keys=group_keys, known=known) for each in classes]
    if any(not item.problems for item in found):
        return found
    switched = [
        plan(tables, source, given, each, group_keys=group_keys, known=known, switching=True) for each in classes
    ]
    return switched if any(not item.problems for item in switched) else found


def plan(
    tables: MappingSet, source: Api, given: Sequence[BoundArgument], target: Api, *, group_keys: Sequence[str] | None = None,
    known: Context = NOTHING, switching: bool = False,
) -> Plan:  # fmt: skip
    """Derive how `target` expresses the call of `source` with these arguments. Never raises for a valid table.

    `group_keys` are the keys that parameter groups at the call set, `params` left out; None where there are no groups.
    Quantities that the call does not hold and `known` lacks stay in the plan's formulas. `switching` allows flags of the target
    that change what another argument means.
    """
    return _Planner(tables, Canonical(tables, source, given, known, group_keys), target, switching).plan()


class _Planner:
    def __init__(self, tables: MappingSet, call: Canonical, target: Api, switching: bool) -> None:
        self.tables = tables
        self.call = call
        self.target = target
        self.taker = Taker(call, target)
        self.switched_on, self.stands_for = self._target_switches() if switching else (set(), {})

    def plan(self) -> Plan:
        call = self.call
        arguments = tuple(argument for parameter in self.target.current if (argument := self._argument(parameter)))
        lost, differing = list(losses(call, self.target, self.stands_for)), list(trait_losses(call, self.target))
        problems = [*call.problems, *self.taker.problems]
        problems += [item for item in (*lost, *differing) if isinstance(item, Problem)]
        used = {piece.index for item in arguments for piece in item.pieces if isinstance(piece, FromArgument)}
        dropped = tuple(
            Dropped(item.index, item.parameter, item.parameter.execution)
            for item in call.given.values()
            if item.index not in used
        )
        causes = tuple(item for item in (*differing, *lost) if not isinstance(item, Problem))
        problems += self._repeated(arguments)
        return Plan(call.source, self.target, arguments, dropped, tuple(problems), causes, call.switched)

    def _target_switches(self) -> tuple[set[str], dict[str, str]]:
        """Flags of the target to set, and which of the source's hyperparameters a tie of the target then stands for."""
        call, flags, stands_for = self.call, set[str](), dict[str, str]()
        for parameter in self.target.current:
            for old, new in parameter.switches.items():
                free = old not in call.values or call.neutral(old)
                awake = new in call.values and not call.neutral(new)
                if awake and free and old in self.target.by_tie and new not in self.target.by_tie:
                    flags.add(parameter.name)
                    stands_for[old] = new
        return flags, stands_for

    def _argument(self, parameter: Parameter) -> TargetArgument | None:
        """Derive the value of one parameter of the target; None where it can be left out."""
        if parameter.name in self.switched_on:
            return TargetArgument(parameter, (Constant(True),), filled=True)
        if not parameter.ties or (parameter.ties == (OPTIMIZER,) and OPTIMIZER not in self.call.values):
            return None  # whoever attaches a schedule knows the optimizer
        if parameter.is_parameters:
            found = self.call.values.get(PARAMETERS)
            piece: Piece = Inferred() if found is None or found.index < 0 else FromArgument(found.index, None)
            return TargetArgument(parameter, (piece,))
        if self._omitted(parameter):
            return None
        names = [self.stands_for.get(tie, tie) for tie in parameter.ties]
        whole = self._whole(parameter, [self.call.values.get(name) for name in names])
        return TargetArgument(parameter, (whole,)) if whole is not None else self._from_pieces(parameter, names)

    def _omitted(self, parameter: Parameter) -> bool:
        """Leave out what does nothing in this call, such as nesterov without momentum: the target may reject it."""
        if len(parameter.ties) != 1 or parameter.required:
            return False
        tie = parameter.ties[0]
        hyperparameter = self.tables.hyperparameters[tie]
        if hyperparameter.inert_without is None or not self.call.inert(tie):
            return False
        neutral = tie not in self.call.values or self.call.neutral(tie)
        return not neutral and hyperparameter.is_neutral(parameter.default)  # type: ignore[arg-type]

    def _whole(self, parameter: Parameter, values: Sequence[Formula | None]) -> Piece | None:
        """Pass a tuple on as it is where both sides tie the same hyperparameters to it in the same order."""
        first = values[0]
        if len(values) < 2 or first is None or first.index < 0:
            return None
        given = next(item for item in self.call.given.values() if item.index == first.index)
        if given.parameter.ties != parameter.ties or any(
            value is None or value.index != first.index for value in values
        ):
            return None
        known = [value.value for value in values if value is not None and value.known]
        if any(conversion(value, parameter.accepts) is not Conversion.NONE for value in known):
            return None
        return FromArgument(first.index, None)

    def _from_pieces(self, parameter: Parameter, names: Sequence[str]) -> TargetArgument | None:
        own = (None,) * len(names) if parameter.required else parameter.default
        defaults = own if len(names) > 1 and isinstance(own, tuple) else (own,)
        pieces: list[Piece] = []
        for tie, name, own_default in zip(parameter.ties, names, defaults, strict=True):
            piece = self._piece(parameter, tie, name, own_default)  # type: ignore[arg-type]
            if piece is None:
                return None
            pieces.append(piece)
        literals = tuple(piece.literal for piece in pieces if isinstance(piece, Constant) and piece.formula is None)
        if len(literals) < len(pieces):
            return TargetArgument(parameter, tuple(pieces))
        wanted: Any = literals if len(literals) > 1 else literals[0]
        default, hyperparameter = parameter.default, self.tables.hyperparameters[parameter.ties[0]]
        if not isinstance(default, Required):
            both_neutral = hyperparameter.is_neutral(wanted) and hyperparameter.is_neutral(default)
            if same_value(wanted, default) or (both_neutral and len(literals) == 1):
                return None
        given = any(self.call.index(name) is not None for name in names)
        return TargetArgument(parameter, tuple(pieces), filled=not given)

    def _piece(self, parameter: Parameter, tie: str, name: str, own_default: Literal) -> Piece | None:
        """What the parameter, or one element of it, gets; None where it can be left out."""
        hyperparameter = self.tables.hyperparameters[tie]
        value = self.call.values.get(name)
        if value is None:
            if tie in self.call.source.by_tie:  # required by the source and not given: binding has reported it
                return None
            if parameter.required:
                return self.taker.take(parameter, name, self.call.value(name))
            return self.taker.constant(parameter, hyperparameter.neutral if hyperparameter.has_neutral else own_default)
        if value.known and value.number is None and hyperparameter.has_neutral and hyperparameter.is_neutral(None):
            return self.taker.constant(parameter, hyperparameter.neutral)
        if any(
            trait.grows_with == name and is_squared(self.call, self.target, trait)
            for trait in self.tables.traits.values()
        ):
            value = literal(float(f"{value.number**2:.15g}"))._replace(index=value.index)
        return self.taker.take(parameter, name, value)

    def _repeated(self, arguments: Sequence[TargetArgument]) -> Iterator[Problem]:
        """No expression may be evaluated twice."""
        values = {item.index: item.value for item in self.call.given.values()}
        leaves = [leaf for item in arguments for piece in item.pieces for leaf in _leaves(piece, values)]
        for leaf in dict.fromkeys(leaves):
            if leaves.count(leaf) > 1 and not leaf.value.is_name and not leaf.value.known:
                parameter = next(item.parameter for item in self.call.given.values() if item.index == leaf.index)
                message = f"{self.target.name} needs {parameter.name} more than once"
                remedy = "bind the value to a name first and pass the name"
                yield Problem(Obstacle.INSEPARABLE, parameter.ties[0], parameter, leaf.index, message, remedy)


def _leaves(piece: Piece, values: dict[int, Any]) -> list[Formula]:
    if not isinstance(piece, FromArgument):
        return []
    if piece.formula is None:
        return [Formula(Op.ARGUMENT, index=piece.index, element=piece.element, value=values[piece.index])]
    return piece.formula.arguments()
