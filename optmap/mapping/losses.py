"""What a class of the target loses of a call: hyperparameters, keys of parameter groups, properties of the update rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from optmap.mapping.canonical import PACE, TOTAL, Canonical, attached, is_schedule
from optmap.mapping.formula import Formula, literal, same
from optmap.mapping.plan import Cause, Obstacle, Problem, group_key
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal
from optmap.mapping.vocabulary import OPTIMIZER, PARAMETERS, Trait

_BESIDE = (PARAMETERS, OPTIMIZER, "global_step", PACE, TOTAL)
"""What a target may lack without giving other numbers: what is trained, who counts, and how far."""


def losses(call: Canonical, target: Api, stands_for: Mapping[str, str]) -> Iterator[Problem | Cause]:
    """Find the hyperparameters and keys of groups that are lost.

    A Cause is given where the target can be used all the same, and will give other numbers; a schedule has no way out: where
    the target would give other rates, that is a Problem. `stands_for` maps canonical names to those that a flag of the target
    makes of them.
    """
    for name, value in call.values.items():
        if name in _BESIDE or name in target.by_tie or name in stands_for.values():
            continue
        if name == "learning_rate" and attached(target) and not attached(call.source):
            continue  # it is the optimizer's
        if name in target.fixed:
            yield from _fixed(call, target, name, value)
        elif not call.inert(name) and not _told(call, target, name):
            yield _missing(call, target, name, value)
    yield from _group_losses(call, target)


def _missing(call: Canonical, target: Api, name: str, value: Formula) -> Problem:
    parameter, hyperparameter = call.parameters.get(name), call.tables.hyperparameters[name]
    what = parameter.name if parameter else name
    message = f"{target.name} has no {what}"
    known = value.known and name not in call.in_groups
    text = write_literal(value.number) if known else value.value.text or what
    return call.problem(Obstacle.MISSING, name, message, hyperparameter.advice(target.framework, text))


def _told(call: Canonical, target: Api, name: str) -> bool:
    """What does nothing without another that is missing too, such as ema_momentum, needs no message of its own."""
    needs = call.tables.hyperparameters[name].inert_without
    return needs is not None and needs in call.values and needs not in target.by_tie


def _fixed(call: Canonical, target: Api, name: str, value: Formula) -> Iterator[Problem | Cause]:
    """Compare with the target's constant; how a default differs from it a trait of the same name may say better."""
    constant = target.fixed[name]
    wanted = call.value(constant) if isinstance(constant, str) else literal(constant)
    if same(value, wanted):
        return
    parameter, hyperparameter = call.parameters.get(name), call.tables.hyperparameters[name]
    default: Any = None if parameter is None or parameter.required else parameter.default
    if value.element is not None and isinstance(default, tuple):
        default = default[value.element]
    given = call.index(name) is not None and not (value.known and same(value, literal(default)))
    if given or is_schedule(target):
        text = constant if isinstance(constant, str) else repr(constant)
        message = f"{target.name} always uses {name} {text}"
        yield call.problem(Obstacle.MISSING, name, message, hyperparameter.remedy if is_schedule(target) else None)
    elif name not in call.tables.traits:
        yield Cause(
            name, hyperparameter.effect, f"uses {name} {value.number!r}", f"always uses {name} {constant!r}",
            None, str(target.at), None, _size(call, target, hyperparameter.grows_with),
            _in_squares(call, target, name), _start(call), constant, f"{name} is always {constant!r}, not {value.number!r}",
        )  # fmt: skip


def _group_losses(call: Canonical, target: Api) -> Iterator[Problem]:
    module = target.module
    for key in dict.fromkeys(call.keys or ()):
        if group_key(call.source, target, key, call.switched) is not None:
            continue
        extra = call.source.module.group_extras.get(key)
        if target.parameters_argument is None:
            message = f"{target.name} has no groups, and one here sets {key!r}"
        elif module.groups_take_all and extra is None:
            message = f"groups of {target.name} cannot set {key!r}"
        else:
            own = module.group_keys if target.group_keys is None else target.group_keys
            allowed = f" (only {', '.join(('params', *own))})" if not module.groups_take_all else ""
            message = f"groups of {target.name} cannot set {key!r}{allowed}"
        remedy = extra or "set it for all groups, or use an optimizer for each"
        yield Problem(Obstacle.GROUP_KEY, key, None, None, message, remedy)


def trait_losses(call: Canonical, target: Api) -> Iterator[Problem | Cause]:
    """How the update rules differ for this call."""
    for trait in call.tables.traits.values():
        own, other = _rule(call, call.source, trait), _rule(call, target, trait)
        if own is None or other is None or own == other or not _awake(call, trait):
            continue
        if is_schedule(target):
            message = f"{call.source.name} {trait.values[own]}; {target.name} {trait.values[other]}"
            yield Problem(Obstacle.MISSING, trait.name, None, None, message, trait.advice)
            continue
        size, squared = _size(call, target, trait.grows_with), (own in trait.squares) != (other in trait.squares)
        if squared and (size is None or trait.grows_with in call.in_groups):
            size = math.inf
        elif squared and is_squared(call, target, trait):
            squared = False
        elif squared and trait.cancels is not None and not call.inert(trait.cancels):
            size, squared = math.sqrt(abs(size or 0)), False
        yield Cause(
            trait.name, trait.effect, trait.values[own], trait.values[other], trait.advice_to.get(other, trait.advice),
            str(target.at), trait.needs, size, squared, _start(call), other, trait.becomes.get(other),
        )  # fmt: skip


def traits_of(call: Canonical, api: Api) -> dict[str, str]:
    """The value of every trait that a class has for this call."""
    found = {name: _rule(call, api, trait) for name, trait in call.tables.traits.items()}
    return {name: value for name, value in found.items() if value is not None}


_SMALLEST: Final = math.sqrt(1e-37)
"""Squares of smaller numbers vanish in float32."""
_LARGEST: Final = math.sqrt(3e38)
"""Squares of larger numbers are infinite in float32."""


def is_squared(call: Canonical, target: Api, trait: Trait) -> bool:
    """Tell whether the target takes the square of the hyperparameter that the trait grows with.

    Beside a root it is compared with what the root gives, inside with what it is taken of. The rules agree where one of both is
    negligible; where the squares cancel it would not be.
    """
    own, other = _rule(call, call.source, trait), _rule(call, target, trait)
    name = trait.grows_with
    if name is None or own is None or own in trait.squares or other not in trait.squares:
        return False
    if name not in target.by_tie or (trait.cancels is not None and not call.inert(trait.cancels)):
        return False
    value = call.values.get(name)
    number = value.number if value is not None and value.known and name not in call.in_groups else None
    return isinstance(number, int | float) and not isinstance(number, bool) and _SMALLEST < abs(number) < _LARGEST


def _in_squares(call: Canonical, target: Api, name: str) -> bool:
    """Whether both sides add a hyperparameter to squares of gradients."""
    return any(
        trait.grows_with == name and all(_rule(call, api, trait) in trait.squares for api in (call.source, target))
        for trait in call.tables.traits.values()
    )


def _start(call: Canonical) -> float:
    """What a sum of squared gradients starts from."""
    value = call.values.get("initial_accumulator")
    known = value is not None and value.known and isinstance(value.number, int | float)
    return float(value.number) if value is not None and known else 0.0


def _size(call: Canonical, target: Api, name: str | None) -> float | None:
    """The size of the hyperparameter that decides how far the rules differ; None where it is not known, or there is none."""
    own = call.values.get(name or "")
    given = (own.number if own is not None and own.known else None, target.fixed.get(name or ""))
    sizes = [float(size) for size in given if isinstance(size, int | float) and not isinstance(size, bool)]
    return max(sizes, default=None)


def _rule(call: Canonical, api: Api, trait: Trait) -> str | None:
    """The value of a trait for this call: some hold only while a hyperparameter does something."""
    for name, overrides in api.rule_when.items():
        if trait.name in overrides and name in call.values and call.values[name].known and not call.inert(name):
            return overrides[trait.name]
    return api.rule.get(trait.name, trait.default)


def _awake(call: Canonical, trait: Trait) -> bool:
    if trait.ungrouped_only and call.keys is not None:
        return False
    if trait.grows_with is not None and trait.grows_with not in call.in_groups:
        size = call.values.get(trait.grows_with)
        if size is not None and same(size, literal(0)):
            return False
    return not trait.active_with or not all(map(call.inert, trait.active_with))
