"""Which models must be put into training mode, and where: torch's are in it from the start, others are not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.holders import Holder
from optmap.translate.discover.sites import CallSite
from optmap.translate.discover.trained import Chain, seen, trained
from optmap.translate.steps.read.isolation import check_layout
from optmap.translate.steps.read.plan import Ready
from optmap.translate.steps.read.step import Step
from optmap.translate.steps.reasons import NotPlain, Why

ASKED: Final = ("parameters", "named_parameters", "train", "eval", "state_dict", "load_state_dict")
"""Methods that only models have."""
_ASKED: Final = frozenset(
    {"parameters", "named_parameters", "train", "eval", "to", "cuda", "state_dict", "load_state_dict", "modules", "apply"}
)  # fmt: skip
"""Methods of models that compute no results."""
_GROWS: Final = ("append", "extend", "insert", "update", "add_module", "register_module")
"""Methods that give models parts."""
_LAYERS: Final = ("Sequential", "Dropout")
"""What the names of torch's classes end with that are models though no class of the file makes them."""
_HOLDS: Final = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Tuple, ast.List)
"""What may stand around the value of a variable."""


def choose_modes(step: Step) -> Step:
    """Find the models to put into training mode in front of the forward function. Raises NotPlain.

    Where the file puts models into evaluation mode, that would undo it: `ready` then names the statements that construct
    the optimizer, behind which models are put into training mode.
    """
    if step.holder.models is None:
        raise NotPlain(Why.MODELS_UNKNOWN)
    found: list[Chain] = []
    sites: dict[int, CallSite] = {}
    for holder, model in trained_models(step):
        step.check_model(model)
        whole = _whole(step, model)
        if not is_trained_before(step, model) and whole not in found:
            found.append(whole)
            sites |= {id(site): site for site in holder.sites}
    made = made_models(step.module)
    trained_whole = {_whole(step, model) for _, model in trained_models(step)}
    early = [model for model in made if model in trained_whole and _computes_early(step, model, made[model])]
    ready = [Ready(made[model], (model,)) for model in made if model in early or model not in trained_whole]
    for item in ready:
        _check_copied(step, item.statement)
    found = [model for model in found if model not in early]
    if found and evaluates(step.module):
        ready += [_constructed(step, site) for site in sites.values()]
        found = []
    for item in ready:
        for model in item.models:
            _check_grown(step, model, item.statement, once=True)
    for model in found:
        _check_grown(step, model, step.interface.hoist or step.anchor, once=False)
    return step._replace(modes=tuple(found), ready=tuple(ready))


def _check_copied(step: Step, statement: ast.stmt) -> None:
    """A copy of a model is in the mode that the model was in, which was no evaluation. Raises NotPlain."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    model = copied(step.module, value)
    lines = [line for line, mode in modes_of(step.module, model).items() if mode == "eval"] if model else []
    if model is not None and any(line < statement.lineno for line in lines):
        raise NotPlain(Why.IN_EVALUATION, model=".".join(model), line=min(lines))


def _check_grown(step: Step, model: Chain, ready: ast.stmt, *, once: bool) -> None:
    """A part that a model is given after this statement is not in training mode, into which it is put `once`. Raises NotPlain."""
    own = step.module.function_of(ready)
    for node in _parts(step, model):
        same = step.module.function_of(node) is own
        if (same and node.lineno > ready.lineno) or (once and not same):
            raise NotPlain(Why.GROWS, model=".".join(model), line=node.lineno)


def _parts(step: Step, model: Chain) -> Iterator[ast.expr]:
    """The model wherever it may be given another part: `model.head = ...`, `model.layers.append(...)`, `setattr(model, ...)`."""
    for node in step.module.nodes(ast.Attribute, ast.Subscript):
        grows = getattr(node, "attr", "") in _GROWS and step.module.call_of(node) is not None
        if not grows and not isinstance(node.ctx, ast.Store):
            continue
        owner = node.value
        while isinstance(owner, ast.Attribute | ast.Subscript) and chain_of(owner) != model:
            owner = owner.value
        if chain_of(owner) == model and step.chain(owner) is not None:
            yield owner
    for name in step.module.names("setattr"):
        call = step.module.call_of(name)
        if call is not None and call.args and step.chain(call.args[0]) == model:
            yield call.args[0]


def made_models(module: Module) -> dict[Chain, ast.stmt]:
    """The models that the file makes, beside those that are parts of others, each with the statement that does so.

    Left out are those that nothing calls, those whose name stands for several objects, and those without a variable.
    """
    known: dict[Chain, ast.stmt] | None = module.source.memo.get(made_models)
    if known is not None:
        return known
    found: dict[Chain, ast.stmt] = {}
    used = (item for item in module.nodes(ast.ClassDef) if module.names(item.name) or module.attributes(item.name))
    models = {item.name for item in used if _is_model(module, item)}
    layers = any(module.source.holds(name.encode()) for name in (*_LAYERS, "deepcopy"))
    for call in module.nodes(ast.Call) if models or layers else ():
        if not layers and getattr(call.func, "id", getattr(call.func, "attr", None)) not in models:
            continue
        value: ast.expr = call
        while isinstance(outer := module.parent(value), ast.Attribute) and isinstance(module.parent(outer), ast.Call):
            value = module.parent(outer)  # type: ignore[assignment]
        held = module.holder(value) if isinstance(outer, _HOLDS) and _makes_model(module, call) else None
        if held is None or len(held.bindings) != 1:
            continue
        statement = module.statement(value)
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        owner = held.scope if len(held.chain) > 1 else None
        inside = isinstance(owner, ast.ClassDef) and _is_model(module, owner)
        if not inside and any(_is_called(module, use) for use in held.uses):
            found[held.chain] = statement
    module.source.memo[made_models] = found
    return found


def _makes_model(module: Module, call: ast.Call) -> bool:
    """Tell whether a call constructs a model: of a class of the file, or a container of layers."""
    made = module.definition(call.func)
    if isinstance(made, ast.ClassDef):
        return _is_model(module, made)
    if copied(module, call) is not None:
        return True
    if isinstance(call.func, ast.Attribute) and not call.func.attr.endswith(_LAYERS):
        return False
    paths = [path for path in module.paths(call.func) if path is not None]
    return any(path.startswith("torch.nn.") and path.endswith(_LAYERS) for path in paths)


def copied(module: Module, call: ast.expr | None) -> Chain | None:
    """The names of what `copy.deepcopy(x)` copies; what is called afterwards, as made models are, is a model."""
    plain = isinstance(call, ast.Call) and len(call.args) == 1 and module.paths(call.func) == {"copy.deepcopy"}
    return chain_of(call.args[0]) if plain and isinstance(call, ast.Call) else None


def _is_model(module: Module, owner: ast.ClassDef) -> bool:
    return any(module.method(owner, name) is not None for name in ("forward", "construct"))


def _is_called(module: Module, use: ast.expr) -> bool:
    call = module.parent(use)
    return isinstance(call, ast.Call)


def _computes_early(step: Step, model: Chain, made: ast.stmt) -> bool:
    """Tell whether a model may compute between its construction and the forward function of the step."""
    module = step.module
    variable = (
        module.holder(made.value) if isinstance(made, ast.Assign | ast.AnnAssign) and made.value is not None else None
    )
    hoist = step.interface.hoist or step.anchor
    settled = {id(node) for site in step.holder.sites for node in inner(site.node)} | set(map(id, _parts(step, model)))
    for use in variable.uses if variable is not None else ():
        outer = module.parent(use)
        asked = isinstance(outer, ast.Attribute) and outer.attr in _ASKED
        if (
            id(use) not in settled
            and not asked
            and made.lineno < use.lineno < hoist.lineno
            and not _in_function(step, use)
        ):
            return True
    return False


def _in_function(step: Step, use: ast.expr) -> bool:
    """Tell whether a use stands in a function that is only defined where it stands."""
    function = step.module.function_of(use)
    return function is not None and function is not step.module.function_of(step.event.call)


def trained_models(step: Step) -> Iterator[tuple[Holder, Chain]]:
    """The optimizer's models, and those of other optimizers that the forward part calls."""
    yield from ((step.holder, model) for model in step.models)
    others = [item for item in step.training.holders if not set(item.models or ()) <= set(step.models)]
    nodes = (node for item in (*step.region, step.backward) if item is not None and others for node in inner(item))
    called = {chain_of(node.func) for node in nodes if isinstance(node, ast.Call) and step.chain(node.func)}
    for holder in others:
        for model in holder.models or ():
            inside = holder.chain[0] == "self" and holder.place is step.holder.place
            variable = step.variable(model[0])
            same = inside or (variable is not None and seen(step.module, model[0], holder.place) is variable)
            if same and model in called and model not in step.models:
                yield holder, model


def is_trained_before(step: Step, model: Chain) -> bool:
    """Tell whether the function surely puts a model, or what it is a part of, into training mode before it steps."""
    module, at = step.module, step.statement
    assert at is not None
    path = [at, *(item for item in step.around() if isinstance(item, ast.stmt))]
    places = {id(block): place for block, place in map(module.block, path)}
    for call, mode in _mode_calls(module):
        chain = _of(call)
        statement = module.statement(call)
        alone = isinstance(statement, ast.Expr) or (isinstance(statement, ast.Assign) and len(statement.targets) == 1)
        if mode == "train" and alone and chain and chain == model[: len(chain)] and step.chain(call.func) is not None:
            block, place = module.block(statement)
            if place < places.get(id(block), -1):
                return True
    return False


def evaluates(module: Module) -> bool:
    """Tell whether the file puts anything into evaluation mode."""
    return any(
        not call.args if call.func.attr == "eval" else bool(call.args or call.keywords)  # type: ignore[attr-defined]
        for call, _ in _mode_calls(module)
    )


def _mode_calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Every `x.train(...)` and `x.eval()`, each with the mode that it sets."""
    for node in (*module.attributes("train"), *module.attributes("eval")):
        if (call := module.call_of(node)) is not None:
            given = call.args[0] if call.args else None
            off = given is not None and not (isinstance(given, ast.Constant) and given.value is True)
            yield call, "eval" if off else node.attr


def modes_of(module: Module, model: Chain) -> dict[int, str]:
    """The lines that set a model's mode, each with the mode."""
    return {call.lineno: mode for call, mode in _mode_calls(module) if _of(call) == model}


def _of(call: ast.Call) -> Chain | None:
    """The model whose mode a call sets."""
    chain = chain_of(call.func)
    return chain[:-1] if chain is not None else None


def _whole(step: Step, model: Chain) -> Chain:
    """The model that a part such as `model.head` belongs to: the rest of it is in training mode, too."""
    least = 1 if model[0] != "self" else 2
    if len(model) <= least:
        return model
    if model[:least] in made_models(step.module):
        return model[:least]
    if least == 2 and model[:2] in {chain[:2] for chain in step.models if len(chain) == 2}:
        return model[:2]
    variable = step.variable(model[0]) if least == 1 else None
    value = variable.bindings[0].value if variable is not None and len(variable.bindings) == 1 else None
    made = step.module.definition(value.func) if isinstance(value, ast.Call) else None
    if isinstance(made, ast.ClassDef) and made.bases:
        return model[:1]
    raise NotPlain(Why.PART_OF_MODEL, model=".".join(model))


def _constructed(step: Step, site: CallSite) -> Ready:
    """Where, and by what names, the models of a constructor can be put into training mode. Raises NotPlain."""
    module, statement = step.module, step.module.parent(site.node)
    nodes = trained(module, site)
    if nodes is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
        raise NotPlain(Why.EVALUATES)
    models = tuple(dict.fromkeys(_whole(step, chain) for node in nodes if (chain := chain_of(node)) is not None))
    check_layout(step.source, [statement])
    for call, mode in _mode_calls(module):
        model = _of(call)
        before = mode == "eval" and call.lineno < statement.lineno and step.home(call) is step.home(statement)
        if before and model is not None and model in models:
            raise NotPlain(Why.IN_EVALUATION, model=".".join(model), line=call.lineno)
    return Ready(statement, models)
