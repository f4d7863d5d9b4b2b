"""`optmap.convert_state`: the saved state of an optimizer as another framework's class stores it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optmap.conformance.calls import Call, arguments_of, canonical_values, target_arguments
from optmap.conformance.engines.saved import Reading, Saved, Writing
from optmap.conformance.expect import describe
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.state import Slot, StateError
from optmap.mapping.state_values import RATE, State, active, canonical, label, slots, stored
from optmap.state.calls import completed_call, describes, named_class, planned, stated_call
from optmap.state.files import check_paths, content, files_of, read
from optmap.state.parameters import Carried, check, in_place, read_map, stated
from optmap.translate.write import WriteError, write_new
from optmap.values import NamedTuple


class Converted(NamedTuple):
    """What was written.

    Attributes:
        source: the source's class.
        target: the class that goes on.
        arguments: the arguments of its call, without the parameters.
        steps: how many steps the state has behind it; None where neither side counts them.
        parameters: the target's parameters, in the order of its optimizer.
        causes: how the update rules differ.
        load: the lines of code that load the file.
    """

    source: str
    target: str
    arguments: Mapping[str, Any]
    steps: int | None
    parameters: tuple[str, ...]
    causes: tuple[str, ...]
    load: tuple[str, ...]


def convert_state(
    source: str | Path,
    target: str | Path,
    *,
    optimizer: str,
    to: str = DEFAULT,
    parameters: str | Path | Iterable[str] | None = None,
    in_order: bool = False,
    steps: int | None = None,
    entry: str = "",
    interpreters: Mapping[str, str] | None = None,
    tables: MappingSet | None = None,
) -> Converted:
    """Convert the saved state of an optimizer, so that training goes on in another framework.

    Args:
        source: a file that torch.save, a Keras model, `save_own_variables` or mindspore.save_checkpoint wrote. Nothing in it
            is run.
        target: the file to write, in one step.
        optimizer: the class that has saved the state, or a call of it with the arguments that the file does not have, such as
            "tf.keras.optimizers.SGD(momentum=0.9)".
        to: the target framework, or one of its classes.
        parameters: a map as a YAML file, or one "FROM=TO" or "FROM=TO:transpose" for each parameter; in the order in which
            the target's optimizer has them. None: by their names, where both files have names.
        in_order: the target has the parameters of the source, in their order.
        steps: the number of steps so far, where the source does not count them.
        entry: the key of the state in the file, where there is more in it; dots stand between several.
        interpreters: by framework, another Python interpreter that has it.
        tables: other tables than optmap's own.

    Raises:
        ValueError: something has no counterpart, is missing or contradictory; then nothing is written.
    """
    tables, source, target = tables or load(), Path(source), Path(target)
    call = stated_call(tables, optimizer)
    framework = tables.frameworks.get(to) or named_class(tables, to).framework
    check_paths(source, target, (call.api.framework, framework))
    given = _given(parameters)
    describes(call.api)
    saved = read(call.api.framework, _reading(tables, call, source, len(given), entry), interpreters or {})
    call, state = _canonical(tables, call, saved, source)
    plan = planned(tables, call, framework, to)
    describes(plan.target)
    carried = _carried(tables, given, saved, state, (plan.source, plan.target), in_order)
    moved = _with_steps(_moved(tables, state, carried), steps, carried)
    arguments = target_arguments(plan, arguments_of(call))
    written = _written(tables, plan.target, arguments, moved, carried)
    data = content(framework, written, interpreters or {})
    try:
        write_new(target, data)
    except WriteError as error:
        raise StateError(f"{target} cannot be written: {error}") from None
    return Converted(
        call.api.name, plan.target.name, arguments, _steps(moved), tuple(item.target for item in carried),
        tuple(describe(plan, cause) for cause in plan.causes),
        tuple(line.replace("{path}", repr(str(target))) for line in files_of(framework).load),
    )  # fmt: skip


def _reading(tables: MappingSet, call: Call, source: Path, count: int, entry: str) -> Reading:
    """The request for the source's file."""
    names = {name: slot.slot for name, slot in slots(call.api).items()}
    siblings = [api for api in tables.apis.values() if api.framework is call.api.framework]
    others = {slot.slot for api in siblings for slot in slots(api).values()} - {*names.values()}
    return Reading(str(source), call.api.name, dict(call.given), names, tuple(sorted(others)), count, entry)


def _given(parameters: str | Path | Iterable[str] | None) -> list[Carried]:
    if isinstance(parameters, str | Path):
        return read_map(Path(parameters))
    return [stated(text) for text in parameters or ()]


def _canonical(tables: MappingSet, call: Call, saved: Saved, source: Path) -> tuple[Call, State]:
    """The call with what the file says of it, and the canonical state."""
    found = dict(saved.state)
    rates = found.pop(RATE, None)
    given = {*call.given, *saved.hyperparameters}
    call = completed_call(tables, call, saved.hyperparameters, rates and next(iter(rates.values())))
    values = canonical_values(call)
    _check_stored(call.api, active(tables, call.api, values), saved, given, source)
    state = canonical(tables, call.api, values, found)
    for name, items in state.items():
        if tables.states[name].scalar and len({float(item) for item in items.values()}) > 1:
            raise StateError(f"the parameters differ in their {label(tables, name)}; the target has one for all")
    if _steps(state) == 0:
        raise StateError("the optimizer has made no step yet: there is nothing to convert")
    return call, state


def _check_stored(api: Api, needed: Mapping[str, Slot], saved: Saved, given: Collection[str], source: Path) -> None:
    """Raise StateError unless the file has what counts for the call, for every parameter, and nothing else that might count."""
    found = saved.state
    if needed and not found.keys() - {RATE}:
        example = next(slot.slot for slot in needed.values()).replace("{parameter}", "NAME")
        raise StateError(
            f"{source} holds no state of {api.name}, such as {example}: another class has saved it, or before its first step"
        )
    for name, slot in slots(api).items():
        if name in needed and (missing := [key for key in saved.names if name in found and key not in found[name]]):
            raise StateError(f"the file has no {slot.slot} of parameter {missing[0]}")
        carrier = api.by_tie.get(slot.when or "")
        idle = carrier is not None and name in found and name not in needed and carrier.name not in given
        if idle and any(item.any() for item in found[name].values()):
            assert carrier is not None
            raise StateError(
                f"the file holds {slot.slot}, which counts only with {carrier.name}: state it, as in "
                f"{api.name}({carrier.name}=...)"
            )


def _carried(
    tables: MappingSet, given: Sequence[Carried], saved: Saved, state: State, apis: tuple[Api, Api], ordered: bool
) -> Sequence[Carried]:
    """The parameters in the target's order, checked against the state."""
    source, target = (files_of(api.framework) for api in apis)
    named = not any(name.isdigit() for name in saved.names)
    if given and ordered:
        raise StateError("the parameters are either mapped or taken in order")
    if not given and not (named if target.named else ordered):
        raise StateError(
            f"which of the {len(saved.names)} parameters becomes which must be stated: list them in a map, in the order of the "
            f"optimizer in {apis[1].framework}" + ("" if target.named else ", or take them in order")
        )
    carried = given or in_place(saved.names)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, items in state.items():
        for key, item in items.items():
            if not tables.states[name].scalar and shapes.setdefault(key, item.shape) != item.shape:
                raise StateError(
                    f"the {name.replace('_', ' ')} of {key} has the shape {item.shape}, expected {shapes[key]}"
                )
    moves = ""
    if source.kernels != target.kernels:
        moves = (
            f"{apis[0].framework} stores the matrix of a layer with the {source.kernels} first, {apis[1].framework} with the "
            f"{target.kernels}"
        )
    check(carried, saved.names, shapes, moves)
    return carried


def _moved(tables: MappingSet, state: State, carried: Sequence[Carried]) -> State:
    """The state by the target's names, with the axes in its order."""
    return {
        name: {
            item.target: items[item.name] if tables.states[name].scalar else item.moved(items[item.name])
            for item in carried
        }
        for name, items in state.items()
    }


def _with_steps(state: State, steps: int | None, carried: Iterable[Carried]) -> State:
    if steps is None:
        return state
    if steps < 1 or _steps(state) not in (None, steps):
        raise StateError(
            f"found {steps} as the number of steps, but the file says {_steps(state) or 'that there were some'}"
        )
    return {**state, "step": {item.target: np.asarray(float(steps)) for item in carried}}


def _steps(state: State) -> int | None:
    return int(next(iter(state["step"].values()))) if state.get("step") else None


def _written(
    tables: MappingSet, api: Api, arguments: dict[str, Any], state: State, carried: Iterable[Carried]
) -> Writing:
    """The request for the target's file."""
    zeros: dict[str, Any] = {item.target: None for item in carried}
    for name, items in state.items():
        if not tables.states[name].scalar:
            zeros |= {key: np.zeros_like(item) for key, item in items.items()}
    values = canonical_values(Call(api, arguments))
    needed = active(tables, api, values)
    if not needed:
        raise StateError(f"this call of {api.name} keeps no state: it goes on without")
    if "step" in needed and "step" not in state:
        raise StateError(f"{api.name} counts its steps, which the source does not: state how many there were")
    own = stored(tables, api, values, state, zeros)
    shapes = {key: np.zeros(1, np.float32) if item is None else item for key, item in zeros.items()}
    return Writing(api.name, arguments, {name: slot.slot for name, slot in slots(api).items()}, shapes, own)
