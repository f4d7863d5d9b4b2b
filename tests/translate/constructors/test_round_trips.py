"""There and back again: a call translated to another framework and back keeps its effective hyperparameters.

What a call means is worked out here from the tables' rows alone: defaults, switches, neutral and inert values. Where the target
has no argument for a value and always uses its own, the translation says so in a cause of that name; nothing else may change.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optmap.mapping.derive import candidates, plans
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.plan import Constant, FromArgument, Plan, Prefer, choose
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, convert, literal_value, read_value, write_literal
from optmap.mapping.vocabulary import Parameter
from optmap.source.calls import Form
from optmap.translate.constructors.arguments import CallArgument, Refusal, bind_call
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import Status
from tests.properties import examples

TABLES = load()
APIS = [api for api in TABLES.apis.values() if api.exists]
PAIRS = [(api, target) for api in APIS for target in Framework if target is not api.framework]
MOST = 5
"""Arguments of a call beside the required ones: with more of them some framework nearly always lacks one."""
FLOATS = st.floats(1e-6, 0.99).map(lambda value: float(f"{value:.3g}"))

Arguments = Mapping[str, Literal]


def meaning(api: Api, arguments: Arguments) -> dict[str, Any]:
    """The hyperparameters that do something in the call, by canonical name."""
    found: dict[str, Any] = dict(api.fixed)
    for parameter in api.current:
        value: Any = arguments.get(parameter.name, parameter.default)
        if not parameter.is_parameters:
            found |= zip(parameter.ties, value if len(parameter.ties) > 1 else (value,), strict=False)
    for parameter in api.current:
        if parameter.switches and arguments.get(parameter.name, parameter.default):  # type: ignore[arg-type]
            for old, new in parameter.switches.items():
                found[new] = found.pop(old)
    return {name: value for name, value in found.items() if not inert(name, found)}


def inert(name: str, values: Mapping[str, Any]) -> bool:
    hyperparameter = TABLES.hyperparameters[name]
    if name not in values or hyperparameter.is_neutral(values[name]):
        return True
    return hyperparameter.inert_without is not None and inert(hyperparameter.inert_without, values)


def values_of(parameter: Parameter) -> st.SearchStrategy[Literal]:
    """Values that the constructor takes."""
    if len(parameter.ties) > 1:
        assert isinstance(parameter.default, tuple)
        return st.tuples(
            *(one_of(parameter, tie, old) for tie, old in zip(parameter.ties, parameter.default, strict=True))
        )
    default = None if parameter.required else parameter.default
    return one_of(parameter, parameter.ties[0] if parameter.ties else "", default)  # type: ignore[arg-type]


def one_of(parameter: Parameter, tie: str, default: Literal) -> st.SearchStrategy[Literal]:
    if isinstance(default, bool):
        return st.booleans()
    hyperparameter = TABLES.hyperparameters.get(tie)
    listed: list[Literal] = [default] if default is not None or not parameter.required else []
    if hyperparameter is not None:
        if isinstance(hyperparameter.neutral, bool):
            return st.booleans()
        listed += [*hyperparameter.samples, *([hyperparameter.neutral] if hyperparameter.has_neutral else [])]
    numbers = FLOATS.filter(lambda value: parameter.interval is None or value in parameter.interval)
    fitting = [
        value for value in listed
        if not isinstance(value, int | float) or parameter.interval is None or value in parameter.interval
    ]  # fmt: skip
    return st.one_of(st.sampled_from(fitting), numbers) if fitting else numbers


@st.composite
def calls(draw: st.DrawFn) -> tuple[Api, Framework, dict[str, Literal]]:
    api, target = draw(st.sampled_from(PAIRS))
    rows = [parameter for parameter in api.current if not parameter.is_parameters and not parameter.execution]
    names = draw(st.sets(st.sampled_from([row.name for row in rows]), max_size=MOST))
    arguments = {row.name: draw(values_of(row)) for row in rows if row.required or row.name in names}
    return api, target, arguments


def chosen(api: Api, arguments: Arguments, target: Framework, prefer: Prefer) -> tuple[Plan, dict[str, Literal]] | None:
    """The plan that the translator picks and the arguments of the call that it makes."""
    given_arguments = [CallArgument(Form.KEYWORD, name, literal_value(value)) for name, value in arguments.items()]
    if api.parameters_argument is not None:
        given_arguments.append(CallArgument(Form.KEYWORD, api.parameters_argument.name, Value()))
    bound = bind_call(api, given_arguments)
    assert not isinstance(bound, Refusal), bound
    plan = choose(plans(TABLES, api, bound, candidates(TABLES, api, target)), prefer)
    return (plan, written(plan, given_arguments)) if plan is not None else None


def written(plan: Plan, arguments: list[CallArgument]) -> dict[str, Literal]:
    found: dict[str, Literal] = {}
    for argument in plan.arguments:
        if argument.parameter.is_parameters:
            continue
        values: list[Any] = []
        for piece in argument.pieces:
            if isinstance(piece, Constant):
                values.append(piece.literal)
                continue
            assert isinstance(piece, FromArgument)
            literal: Any = arguments[piece.index].value.literal
            values.append(convert(literal if piece.element is None else literal[piece.element], piece.conversion))
        found[argument.parameter.name] = tuple(values) if argument.compound else values[0]
    return found


def told(*made: Plan) -> set[str]:
    """Hyperparameters whose change the translations told."""
    traits = {cause.trait for plan in made for cause in plan.causes}
    return traits | ({"epsilon"} if "epsilon_placement" in traits else set())


def assert_same(before: Mapping[str, Any], after: Mapping[str, Any], changed: set[str]) -> None:
    for name in {*before, *after} - changed:
        assert before.get(name) == after.get(name), f"{name}: {before.get(name)!r} became {after.get(name)!r}"


@examples(300)
@given(calls(), st.sampled_from(Prefer))
def test_plans_there_and_back(call: tuple[Api, Framework, dict[str, Literal]], prefer: Prefer) -> None:
    api, target, arguments = call
    there = chosen(api, arguments, target, prefer)
    assume(there is not None)
    assert there is not None
    plan, other = there
    assert_same(meaning(api, arguments), meaning(plan.target, other), told(plan))
    back = chosen(plan.target, other, api.framework, prefer)
    assert back is not None, f"{plan.target.name}({other}) has no way back to {api.framework}"
    last, again = back
    assert_same(meaning(api, arguments), meaning(last.target, again), told(plan, last))


MODELS = {
    Framework("torch"): "net.parameters()", Framework("mindspore"): "net.trainable_params()", Framework("tensorflow"): "",
}  # fmt: skip
IMPORTS = "import mindspore\nimport tensorflow as tf\nimport torch\n"


def source_text(api: Api, arguments: Arguments) -> str:
    parts = [MODELS[api.framework], *(f"{name}={write_literal(value)}" for name, value in arguments.items())]
    return f"{IMPORTS}opt = {api.name}({', '.join(filter(None, parts))})\n"


def read_back(text: str) -> tuple[Api, dict[str, Literal]]:
    """The one optimizer call of a file, with the values of its keyword arguments."""
    call = next(
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and len(ast.unparse(node.func)) > 12
    )
    api = TABLES.named(ast.unparse(call.func))[0]
    values = {str(item.arg): read_value(item.value) for item in call.keywords}
    return api, {name: value.literal for name, value in values.items() if value.known and name in api.by_name}  # type: ignore[misc]


def translated(text: str, source: Framework, target: Framework) -> str | None:
    options = Options(target, frozenset({source}), params=MODELS[target] or None)
    result = translate_bytes(text.encode(), TABLES, options)
    refused = any(call.status is Status.REFUSED for call in result.calls)
    return None if refused else f"{IMPORTS}{result.output.decode()}"


@examples(120)
@given(calls())
def test_source_there_and_back(call: tuple[Api, Framework, dict[str, Literal]]) -> None:
    api, target, arguments = call
    there = translated(source_text(api, arguments), api.framework, target)
    assume(there is not None)
    assert there is not None
    assume("register_step_pre_hook" not in there)  # a loss scale, which does not come back
    other, values = read_back(there)
    assert other.framework is target
    back = translated(there, target, api.framework)
    assert back is not None, f"no way back for {there}"
    last, again = read_back(back)
    assert last.framework is api.framework
    plans_made = [
        made
        for made in (
            chosen(api, arguments, target, Prefer.DOCUMENTED),
            chosen(other, values, api.framework, Prefer.DOCUMENTED),
        )
        if made
    ]
    assert_same(meaning(api, arguments), meaning(last, again), told(*(plan for plan, _ in plans_made)))


def required(api: Api) -> dict[str, Literal]:
    return {item.name: 0.1 for item in api.current if item.required and not item.is_parameters}


WITH_COUNTERPART = [(api, target) for api, target in PAIRS if chosen(api, required(api), target, Prefer.DOCUMENTED)]


@pytest.mark.parametrize(
    ("api", "target"), WITH_COUNTERPART, ids=[f"{api.name}->{target}" for api, target in WITH_COUNTERPART]
)
def test_every_class_comes_back_from_its_defaults(api: Api, target: Framework) -> None:
    there = chosen(api, required(api), target, Prefer.DOCUMENTED)
    assert there is not None
    plan, other = there
    back = chosen(plan.target, other, api.framework, Prefer.DOCUMENTED)
    assert back is not None
    assert_same(meaning(api, required(api)), meaning(back[0].target, back[1]), told(plan, back[0]))
