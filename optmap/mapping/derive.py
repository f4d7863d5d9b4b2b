"""What follows from two sections of the tables for one call: how the target says it, what is lost, what will differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from optmap.mapping.model import (
    PARAMETERS,
    Api,
    Framework,
    Literal,
    MappingSet,
    Parameter,
    Trait,
    same_value,
)
from optmap.mapping.plan import (
    Cause,
    Constant,
    Dropped,
    FromArgument,
    Given,
    Inferred,
    Loss,
    Piece,
    Plan,
    Problem,
    TargetArgument,
    group_key,
    group_ties,
)
from optmap.mapping.values import Conversion, Value, conversion, literal_value, write_literal


class _Effective(NamedTuple):
    """The value that one canonical hyperparameter has in the source call, and where it comes from."""

    value: Value
    parameter: Parameter | None
    index: int | None = None  # type: ignore[assignment]
    element: int | None = None
    fixed: bool = False


def candidates(tables: MappingSet, source: Api, target: Framework) -> tuple[Api, ...]:
    """Return the target's classes that may express a call of the source, in order of preference.

    Classes of superseded modules come after the others; those that no installed framework can run, so that nothing proves
    their arithmetic, come last.
    """
    own = tables.algorithms[source.algorithm]
    algorithms = (own, *(tables.algorithms[name] for name in own.alternatives))
    found = [api for algorithm in algorithms for api in algorithm.apis if api.framework is target and api.exists]
    return tuple(sorted(found, key=lambda api: (api.not_run is not None, api.module.superseded)))


def plans(
    tables: MappingSet, source: Api, given: Sequence[Given], classes: Sequence[Api],
    group_keys: Sequence[str] | None = None,
) -> list[Plan]:  # fmt: skip
    """Derive how each class expresses the call, in the order of the classes.

    Only if none can, flags of the target that change what another argument means are used (decoupled_weight_decay).
    """
    found = [plan(tables, source, given, each, group_keys=group_keys) for each in classes]
    if any(not item.problems for item in found):
        return found
    switched = [plan(tables, source, given, each, group_keys=group_keys, switching=True) for each in classes]
    return switched if any(not item.problems for item in switched) else found


def plan(
    tables: MappingSet, source: Api, given: Sequence[Given], target: Api, *, group_keys: Sequence[str] | None = None,
    switching: bool = False,
) -> Plan:  # fmt: skip
    """Derive how `target` expresses the call of `source` with these arguments. Never raises for a valid table.

    `group_keys` are the keys that parameter groups at the call set, `params` left out; None where there are no groups.
    `switching` allows flags of the target that change what another argument means.
    """
    return _Planner(tables, source, given, target, group_keys, switching).plan()


class _Planner:
    def __init__(
        self, tables: MappingSet, source: Api, given: Sequence[Given], target: Api, keys: Sequence[str] | None,
        switching: bool,
    ) -> None:  # fmt: skip
        self.tables = tables
        self.source = source
        self.given = {item.parameter.name: item for item in given}
        self.target = target
        self.keys = keys
        self.problems: list[Problem] = []
        self.switched: dict[str, str] = {}
        self.causes: list[Cause] = []
        self.effective = self._effective()
        self.switched_on, self.stands_for = self._target_switches() if switching else (set(), {})
        self.in_groups = {tie for key in keys or () for tie in group_ties(source, key, self.switched)}

    def plan(self) -> Plan:
        arguments = [argument for parameter in self.target.current if (argument := self._argument(parameter))]
        self._check_lost()
        self._check_groups()
        used = {piece.index for argument in arguments for piece in argument.pieces if isinstance(piece, FromArgument)}
        dropped = tuple(
            Dropped(item.index, item.parameter, item.parameter.execution)
            for item in self.given.values()
            if item.index not in used
        )
        self.causes[:0] = self._trait_causes()
        return Plan(
            self.source, self.target, tuple(arguments), dropped, tuple(self.problems), tuple(self.causes), self.switched
        )

    def _effective(self) -> dict[str, _Effective]:
        """Canonical name -> value, for all hyperparameters that the source has."""
        found: dict[str, _Effective] = {
            name: _Effective(literal_value(literal), None, fixed=True) for name, literal in self.source.fixed.items()
        }
        for parameter in self.source.current:
            item = self.given.get(parameter.name)
            if item is None and parameter.required:
                continue
            for position, tie in enumerate(parameter.ties):
                element = position if len(parameter.ties) > 1 else None
                if item is not None:
                    found[tie] = _Effective(_element(item.value, element), parameter, item.index, element)
                else:
                    default = literal_value(parameter.default)  # type: ignore[arg-type]
                    found[tie] = _Effective(_element(default, element), parameter, None, element)
        self._apply_switches(found)
        return found

    def _apply_switches(self, found: dict[str, _Effective]) -> None:
        for parameter in self.source.current:
            if not parameter.switches:
                continue
            item = self.given.get(parameter.name)
            on = item.value.literal if item is not None else parameter.default
            known = item is None or item.value.known
            for old, new in parameter.switches.items():
                in_groups = any(old in group_ties(self.source, key) for key in self.keys or ())
                if old not in found or (self._neutral(old, found[old].value) and not in_groups):
                    continue
                if not known:
                    message = f"whether {parameter.name} is set decides what {found[old].parameter.name} means"  # type: ignore[union-attr]
                    index = item.index if item else None
                    self.problems.append(Problem(Loss.UNKNOWN_SWITCH, old, parameter, index, message, None))
                elif on:
                    found[new] = found.pop(old)
                    self.switched[old] = new

    def _target_switches(self) -> tuple[set[str], dict[str, str]]:
        """Flags of the target to set, and which of the source's hyperparameters a tie of the target then stands for."""
        flags: set[str] = set()
        stands_for: dict[str, str] = {}
        for parameter in self.target.current:
            for old, new in parameter.switches.items():
                own = self.effective.get(old)
                free = own is None or self._neutral(old, own.value)
                awake = new in self.effective and not self._neutral(new, self.effective[new].value)
                if awake and free and old in self.target.by_tie and new not in self.target.by_tie:
                    flags.add(parameter.name)
                    stands_for[old] = new
        return flags, stands_for

    def _neutral(self, name: str, value: Value) -> bool:
        hyperparameter = self.tables.hyperparameters.get(name)
        return hyperparameter is not None and value.known and hyperparameter.is_neutral(value.literal)  # type: ignore[arg-type]

    def _inert(self, name: str) -> bool:
        """Tell whether the hyperparameter does nothing in this call: neutral, absent, or inert without another."""
        if name in self.in_groups:
            return False
        if name not in self.effective:
            return True
        if self._neutral(name, self.effective[name].value):
            return True
        needs = self.tables.hyperparameters[name].inert_without
        return needs is not None and self._inert(needs)

    def _argument(self, parameter: Parameter) -> TargetArgument | None:
        """Derive the value of one parameter of the target; None where it can be left out."""
        if parameter.name in self.switched_on:
            return TargetArgument(parameter, (Constant(True),), filled=True)
        if not parameter.ties:
            return None
        if parameter.is_parameters:
            found = self.effective.get(PARAMETERS)
            piece: Piece = Inferred() if found is None or found.index is None else FromArgument(found.index, None)
            return TargetArgument(parameter, (piece,))
        values = [self.effective.get(self.stands_for.get(tie, tie)) for tie in parameter.ties]
        if self._omitted(parameter):
            return None
        whole = self._whole(parameter, values)
        if whole is not None:
            return TargetArgument(parameter, (whole,))
        return self._from_pieces(parameter, values)

    def _omitted(self, parameter: Parameter) -> bool:
        """Leave out what does nothing in this call, such as nesterov without momentum: the target may reject it."""
        if len(parameter.ties) != 1 or parameter.required:
            return False
        tie = parameter.ties[0]
        hyperparameter = self.tables.hyperparameters[tie]
        if hyperparameter.inert_without is None or not self._inert(tie):
            return False
        found = self.effective.get(tie)
        neutral = found is None or self._neutral(tie, found.value)
        return not neutral and hyperparameter.is_neutral(parameter.default)  # type: ignore[arg-type]

    def _whole(self, parameter: Parameter, values: Sequence[_Effective | None]) -> Piece | None:
        """Pass a tuple on as it is where both sides tie the same hyperparameters to it in the same order."""
        first = values[0]
        if len(values) < 2 or first is None or first.index is None or first.parameter is None:
            return None
        if first.parameter.ties != parameter.ties or any(
            value is None or value.index != first.index for value in values
        ):
            return None
        known = [value.value for value in values if value is not None and value.value.known]
        if any(conversion(value, parameter.accepts) is not Conversion.NONE for value in known):
            return None
        return FromArgument(first.index, None)

    def _from_pieces(self, parameter: Parameter, values: Sequence[_Effective | None]) -> TargetArgument | None:
        default = (None,) * len(values) if parameter.required else parameter.default
        defaults = default if len(values) > 1 and isinstance(default, tuple) else (default,)
        pieces: list[Piece] = []
        for tie, value, own_default in zip(parameter.ties, values, defaults, strict=True):
            piece = self._piece(parameter, tie, value, own_default)  # type: ignore[arg-type]
            if piece is None:
                return None
            pieces.append(piece)
        if not any(isinstance(piece, FromArgument) for piece in pieces):
            literals = tuple(piece.literal for piece in pieces if isinstance(piece, Constant))
            wanted = literals if len(literals) > 1 else literals[0]
            if not parameter.required and same_value(wanted, parameter.default):  # type: ignore[arg-type]
                return None
            both_neutral = len(literals) == 1 and self._both_neutral(parameter, literals[0])
            if both_neutral:
                return None
            given = any(value is not None and value.index is not None for value in values)
            return TargetArgument(parameter, tuple(pieces), filled=not given)
        return TargetArgument(parameter, tuple(pieces))

    def _both_neutral(self, parameter: Parameter, literal: Literal) -> bool:
        """Two spellings of nothing, such as a weight decay of 0.0 and of None, need no argument."""
        hyperparameter = self.tables.hyperparameters[parameter.ties[0]]
        default = parameter.default
        return not parameter.required and hyperparameter.is_neutral(literal) and hyperparameter.is_neutral(default)  # type: ignore[arg-type]

    def _piece(self, parameter: Parameter, tie: str, value: _Effective | None, own_default: Literal) -> Piece | None:
        hyperparameter = self.tables.hyperparameters[tie]
        if value is None:
            if tie in self.source.by_tie:  # required by the source and not given: binding has reported it
                return None
            return Constant(
                self._typed(parameter, hyperparameter.neutral if hyperparameter.has_neutral else own_default)
            )
        if value.value.known:
            literal: Literal = value.value.literal  # type: ignore[assignment]
            if literal is None and hyperparameter.has_neutral and hyperparameter.is_neutral(None):
                return Constant(self._typed(parameter, hyperparameter.neutral))
            if not self._accepted(parameter, literal):
                expected = f"only in {parameter.interval}" if parameter.interval else "as a finite number"
                message = f"{self.target.name} accepts {parameter.name} {expected}, found {literal!r}"
                self._problem(Loss.REJECTED_VALUE, tie, value, message, None)
        if value.index is None:
            return Constant(self._typed(parameter, value.value.literal))  # type: ignore[arg-type]
        if value.element is not None and not self._separable(value):
            message = f"{self.target.name} takes {' and '.join(value.parameter.ties)} apart"  # type: ignore[union-attr]
            self._problem(Loss.INSEPARABLE, tie, value, message, "bind the value to a name first and pass the name")
        how = conversion(value.value, parameter.accepts)
        if tie == "learning_rate" and not value.value.known:
            how = Conversion.NONE  # it may be a schedule
        return FromArgument(value.index, value.element, how)

    def _typed(self, parameter: Parameter, literal: Literal) -> Literal:
        return float(literal) if parameter.accepts == "float" and type(literal) is int else literal

    def _accepted(self, parameter: Parameter, literal: Literal) -> bool:
        if isinstance(literal, bool):
            return True
        if not isinstance(literal, int | float):
            return not _takes_numbers(parameter)
        if isinstance(literal, int) and abs(literal) > sys.float_info.max:
            return False
        return parameter.interval is None or literal in parameter.interval

    def _separable(self, value: _Effective) -> bool:
        item = self.given[value.parameter.name]  # type: ignore[union-attr]
        return item.value.elements is not None or item.value.is_name

    def _problem(self, loss: Loss, tie: str, value: _Effective, message: str, remedy: str | None) -> None:
        self.problems.append(Problem(loss, tie, value.parameter, value.index, message, remedy))

    def _check_lost(self) -> None:
        """Find hyperparameters that are awake in the call and that the target has no argument for."""
        for name, value in self.effective.items():
            if name == PARAMETERS or name in self.target.by_tie or name in self.stands_for.values():
                continue
            if name in self.target.fixed:
                self._check_fixed(name, value)
            elif not self._inert(name) and not self._told(name):
                what = value.parameter.name if value.parameter else name
                hyperparameter = self.tables.hyperparameters[name]
                message = f"{self.target.name} has no counterpart of {what} ({hyperparameter.about})"
                known = value.value.known and name not in self.in_groups
                text = write_literal(value.value.literal) if known else value.value.text or what  # type: ignore[arg-type]
                self._problem(Loss.MISSING, name, value, message, hyperparameter.advice(self.target.framework, text))

    def _told(self, name: str) -> bool:
        """What does nothing without another that is missing too, such as ema_momentum, needs no message of its own."""
        needs = self.tables.hyperparameters[name].inert_without
        return needs is not None and needs in self.effective and needs not in self.target.by_tie

    def _check_groups(self) -> None:
        module = self.target.module
        for key in dict.fromkeys(self.keys or ()):
            if group_key(self.source, self.target, key, self.switched) is not None:
                continue
            extra = self.source.module.group_extras.get(key)
            if self.target.parameters_argument is None:
                message = f"{self.target.name} has no parameter groups, and one here sets {key!r}"
            elif module.groups_take_all and extra is None:
                message = f"parameter groups of {self.target.name} cannot set {key!r} (only its own hyperparameters)"
            else:
                own = module.group_keys if self.target.group_keys is None else self.target.group_keys
                allowed = f" (only {', '.join(('params', *own))})" if not module.groups_take_all else ""
                message = f"parameter groups of {self.target.name} cannot set {key!r}{allowed}"
            remedy = extra or "set it for all groups, or use one optimizer for each group"
            self.problems.append(Problem(Loss.GROUP_KEY, key, None, None, message, remedy))

    def _check_fixed(self, name: str, value: _Effective) -> None:
        """Compare with the target's constant; how a default differs from it a trait of the same name may say better."""
        constant = self.target.fixed[name]
        if value.value.known and same_value(value.value.literal, constant):  # type: ignore[arg-type]
            return
        default = value.parameter.default if value.parameter is not None else None
        if value.element is not None and isinstance(default, tuple):
            default = default[value.element]
        is_default = value.value.known and same_value(value.value.literal, default)  # type: ignore[arg-type]
        if value.index is not None and not is_default:
            message = f"{self.target.name} has no argument for {name} and always uses {constant!r}"
            self._problem(Loss.MISSING, name, value, message, None)
            return
        if name in self.tables.traits:
            return
        hyperparameter = self.tables.hyperparameters[name]
        self.causes.append(
            Cause(
                name, hyperparameter.effect, f"uses {name} {value.value.literal!r}", f"always uses {name} {constant!r}",
                None, str(self.target.at), None, hyperparameter.grows_with,
            )
        )  # fmt: skip

    def _trait_causes(self) -> Iterator[Cause]:
        for trait in self.tables.traits.values():
            source, target = self._rule(self.source, trait), self._rule(self.target, trait)
            if source is None or target is None or source == target or not self._awake(trait):
                continue
            yield Cause(
                trait.name, trait.effect, trait.values[source], trait.values[target],
                trait.advice_to.get(target, trait.advice), str(self.target.at),
                trait.needs, trait.grows_with,
            )  # fmt: skip

    def _rule(self, api: Api, trait: Trait) -> str | None:
        """The value of a trait for this call: some hold only while a hyperparameter does something."""
        for name, overrides in api.rule_when.items():
            found = self.effective.get(name)
            if trait.name in overrides and found is not None and found.value.known and not self._inert(name):
                return overrides[trait.name]
        return api.rule.get(trait.name, trait.default)

    def _awake(self, trait: Trait) -> bool:
        if trait.ungrouped_only and self.keys is not None:
            return False
        if trait.grows_with is not None and trait.grows_with not in self.in_groups:
            size = self.effective.get(trait.grows_with)
            if size is not None and size.value.known and same_value(size.value.literal, 0):  # type: ignore[arg-type]
                return False
        return not trait.active_with or not all(map(self._inert, trait.active_with))


def _takes_numbers(parameter: Parameter) -> bool:
    """Tell whether a parameter is a number or a flag, or made of such."""
    default = parameter.default
    typed = parameter.accepts != "any" or parameter.interval is not None
    parts = default if isinstance(default, tuple) else (default,)
    return typed or parameter.required or all(isinstance(part, bool | int | float) for part in parts)


def _element(value: Value, element: int | None) -> Value:
    """The value of one element of a tuple, as far as it is known."""
    if element is None:
        return value
    if value.elements is not None and element < len(value.elements):
        return value.elements[element]
    return Value()
