"""A value as a parameter of the target takes it: in its measure, of the type that it insists on, within its bounds."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any, Final

from optmap.mapping.canonical import PACE, Canonical, is_schedule
from optmap.mapping.formula import Formula, Op, argument, call, each, literal, over, times
from optmap.mapping.plan import Constant, FromArgument, Obstacle, Piece, Problem
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import Conversion, conversion
from optmap.mapping.vocabulary import Accepts, Parameter, same_value

_NO_NUMBERS: Final = (Accepts.OBJECT, Accepts.LIST)


def refused(api: Api, parameter: Parameter, number: Any) -> str | None:
    """Why a class does not take a value that is known; None where it does."""
    if parameter.accepts in _NO_NUMBERS or (number is None and parameter.none_is is not None):
        return None
    if isinstance(number, list | tuple) and parameter.accepts in (Accepts.FLOATS, Accepts.INTS):
        return next((found for item in number if (found := refused(api, parameter, item))), None)
    default = parameter.default
    parts = default if isinstance(default, tuple) else (default,)
    if not (parameter.interval or parameter.required or all(isinstance(part, bool | int | float) for part in parts)):
        return None
    flag = parameter.accepts is Accepts.BOOL or any(isinstance(part, bool) for part in parts)
    if isinstance(number, bool):
        fits = flag
    elif isinstance(number, int | float):
        finite = isinstance(number, float) or abs(number) <= sys.float_info.max
        fits = finite and (parameter.interval is None or number in parameter.interval)
    else:
        fits = number is None and None in parts
    if fits:
        return None
    expected = (
        "only True or False"
        if flag
        else f"only in {parameter.interval}"
        if parameter.interval
        else "as a finite number"
    )
    return f"{api.name} accepts {parameter.name} {expected}, found {number!r}"


def rising(api: Api, parameter: Parameter, numbers: Any) -> str | None:
    """Why a class does not take a list of steps that ends in the number of all steps; None where it does."""
    if parameter.then is None or not isinstance(numbers, list | tuple):
        return None
    wrong = next(((one, other) for one, other in pairwise(numbers) if not one < other), None)
    return wrong and f"{api.name} accepts {parameter.name} only in rising order, found {wrong[1]!r} after {wrong[0]!r}"


def counted(api: Api, parameter: Parameter) -> str:
    """Say that a count of steps may be a fraction."""
    return f"{api.name} counts whole steps by {parameter.name}, and the value may be a fraction; use // or int()"


class Taker:
    """Says how a class of the target takes the values of a call; what it does not take joins `problems`."""

    def __init__(self, source: Canonical, target: Api) -> None:
        self.source = source
        self.target = target
        self.problems: list[Problem] = []

    def take(self, parameter: Parameter, name: str, value: Formula) -> Piece:
        """Derive what the parameter gets for the hyperparameter `name`, whose canonical value is given."""
        found = self._same_measure(parameter, name) or self._measured(parameter, name, value)
        found = self._typed(parameter, name, found)
        if found.op is Op.ARGUMENT and found.element is not None and not self._separable(name):
            message = f"{self.target.name} takes {' and '.join(self.source.parameters[name].ties)} apart"
            self._problem(Obstacle.INSEPARABLE, name, message, "bind the value to a name first and pass the name")
        return self._piece(parameter, name, found)

    def constant(self, parameter: Parameter, value: Literal) -> Constant:
        """A value that the tables give."""
        return Constant(float(value) if parameter.accepts is Accepts.FLOAT and type(value) is int else value)

    def _problem(self, loss: Obstacle, name: str, message: str, remedy: str | None = None) -> None:
        self.problems.append(self.source.problem(loss, name, message, remedy))

    def _separable(self, name: str) -> bool:
        item = self.source.given[self.source.parameters[name].name]
        return item.value.elements is not None or item.value.is_name

    def _same_measure(self, parameter: Parameter, name: str) -> Formula | None:
        """The argument itself, where both sides state the hyperparameter in one measure that is not the canonical one."""
        own = self.source.parameters.get(name)
        item = self.source.given.get(own.name) if own is not None else None
        if own is None or item is None or parameter.below is not None or _measure(own) != _measure(parameter):
            return None
        passed_on = parameter.times in (None, PACE) or parameter.times in self.target.by_tie
        return argument(item.index, item.value) if passed_on and any(_measure(own)) else None

    def _measured(self, parameter: Parameter, name: str, found: Formula) -> Formula:
        """The value in the parameter's own measure; what is None has none."""
        if found.known and found.number is None:
            return found
        if parameter.over:
            found = times(found, self.source.value(parameter.over))
        if parameter.times:
            found = over(found, self.source.value(parameter.times))
        if parameter.plus:
            found = each(found, -parameter.plus)
        if parameter.then is not None:
            if found.op is not Op.LIST:
                ends = f"{self.target.name} ends {parameter.name} in the number of all steps"
                self._problem(Obstacle.INSEPARABLE, name, f"{ends}, and the list is not written out")
                return found
            found = Formula(Op.LIST, (*found.items, self.source.value(parameter.then)), index=found.index)
            known = [item.number for item in found.items if item.known]
            if problem := rising(self.target, parameter, known):
                self._problem(Obstacle.REJECTED_VALUE, name, problem)
        for missing in sorted(found.missing() - self.source.known.named):
            message = f"{self.target.name} needs {missing} for {parameter.name}; pass --set {missing}=N"
            self._problem(Obstacle.MISSING, name, message)
        limit = self.source.value(parameter.below) if parameter.below is not None else None
        if limit is not None and found.known and limit.known and not found.number < limit.number:
            message = f"only below {limit.number!r}, found {found.number!r}"
            self._problem(Obstacle.REJECTED_VALUE, name, f"{self.target.name} accepts {parameter.name} {message}")
        return found

    def _typed(self, parameter: Parameter, name: str, found: Formula, *, item: bool = False) -> Formula:
        """Make the value one of the type that the target insists on; what stands as an argument is converted in its place."""
        accepts = parameter.accepts
        if found.op is Op.LIST and accepts in (Accepts.FLOATS, Accepts.INTS):
            items = tuple(self._typed(parameter, name, each_, item=True) for each_ in found.items)
            return found if items == found.items else Formula(Op.LIST, items, index=found.index)
        refusal = refused(self.target, parameter, found.number) if found.known else None
        if refusal is None and parameter.whole and found.may_be_fraction:
            refusal = counted(self.target, parameter)
        if refusal is not None:
            self._problem(Obstacle.REJECTED_VALUE, name, refusal)
        if accepts in (Accepts.INT, Accepts.INTS):
            return self._whole(parameter, name, found)
        if accepts is Accepts.LIST and not found.value.is_list:
            return Formula(Op.LIST, found.items, index=found.index) if found.op is Op.LIST else call("list", found)
        if accepts not in (Accepts.FLOAT, Accepts.FLOATS, Accepts.NOT_INT) or (found.is_leaf and not item):
            return found
        if found.known and type(found.number) is int:
            return literal(float(found.number))._replace(index=found.index)
        return (
            found
            if found.known or found.is_float or accepts is Accepts.NOT_INT or (accepts is Accepts.FLOATS and not item)
            else call("float", found)
        )

    def _whole(self, parameter: Parameter, name: str, found: Formula) -> Formula:
        if found.known and isinstance(found.number, float) and found.number.is_integer():
            return literal(int(found.number))._replace(index=found.index)
        shown = repr(found.number) if found.known else "an expression that gives a float"
        split = any(leaf.value.is_fraction for leaf in found.arguments())
        if (not found.known and (found.is_float or split)) or (found.known and isinstance(found.number, float)):
            message = f"{self.target.name} accepts {parameter.name} only as an int, found {shown}"
            self._problem(Obstacle.REJECTED_VALUE, name, message)
        return found

    def _piece(self, parameter: Parameter, name: str, found: Formula) -> Piece:
        index = found.index
        if index < 0 and (leaves := found.arguments()):  # in the place of its own argument, if the call has that
            own = self.source.index(name)
            index = leaves[0].index if own is None else own
        if index < 0:
            return Constant(found.number if found.known else None, None if found.known else found)
        if not found.is_leaf or not _copied(found):
            return FromArgument(index, None, Conversion.NONE, found)
        how = conversion(found.value, parameter.accepts)
        if name == "learning_rate" and not (found.known or found.value.is_scalar or is_schedule(self.target)):
            how = Conversion.NONE  # it may be a schedule
        return FromArgument(index, found.element, how)


def _measure(parameter: Parameter) -> tuple[object, ...]:
    return (parameter.times, parameter.over, parameter.plus, parameter.then)


def _copied(found: Formula) -> bool:
    """Tell whether the text of the argument still gives the value."""
    value = found.value.literal
    if found.op is not Op.LITERAL:
        return True
    return found.value.known and same_value(found.literal, value) and type(found.literal) is type(value)  # type: ignore[arg-type]
