"""Is a step with a gradient tape plain: one tape, one gradient of one loss, one `apply_gradients`, nothing else in between?

Models are called as they are: where Keras is told `training=True`, MindSpore's model is put into training mode for the call.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.mapping.framework import Framework
from optmap.source.edits import rest_of_line
from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.trained import Chain
from optmap.translate.parameters.inferred import infer_parameters
from optmap.translate.steps.read.isolation import check_harmless, check_layout
from optmap.translate.steps.read.plan import Plan
from optmap.translate.steps.read.region import check_region
from optmap.translate.steps.read.step import Step, stand
from optmap.translate.steps.reasons import NotPlain, Why

VARIABLES: Final = ("trainable_variables", "trainable_weights")
_KNOWN: Final = ("tensorflow.", "keras.", "numpy.", "math.")
_MODELS: Final = re.compile(r"(?:^|\.)keras\.(?:.*\.)?(?:Sequential$|Model$|applications\.|layers\.)")


def read_taped(step: Step, target: Framework) -> tuple[Step, tuple[Chain, ...]]:
    """Read the tape and what is under it, and which models are called in training mode there. Raises NotPlain."""
    step = stand(step, Why.APPLIED_USED, Why.IN_LAMBDA_ASYNC_OR_CLASS, ast.AsyncFunctionDef)
    gradients, model = _applied(step.event.call)
    taken, tape, loss = _taken(step, gradients, model)
    head = _head(step, tape)
    holder = step.holder._replace(models=(model,))
    step = step._replace(head=head, region=tuple(head.body), backward=taken, loss=loss, holder=holder)
    _check_uses(step, gradients, Why.GRADIENTS_USED)
    _check_uses(step, tape, Why.TAPE_USED)
    step = step.tried(lambda step: _check_head(step, head))
    if loss not in step.effects.binds(head):
        raise NotPlain(Why.NOT_UNDER_TAPE, loss=loss)
    step = check_region(step)
    laid = [*step.region, taken, step.event.call]
    step = step.tried(lambda step: check_layout(step.source, map(step.module.statement, laid)))
    step = step.tried(lambda step: _check_trained(step, model, target))
    _check_between(step, head, taken)
    return step, tuple(dict.fromkeys(_training_models(step)))


def taped_plan(step: Step, toggled: tuple[Chain, ...], hoist: ast.stmt) -> Plan:
    """The plan of a tape that was read to its end."""
    assert step.statement is not None
    assert step.backward is not None
    assert step.loss is not None
    return Plan(
        step.event, step.holder, step.region, (step.backward,), step.backward, step.statement, hoist, step.loss,
        ast.Name(step.loss), step.interface.arguments, step.interface.returned, head=step.head, toggled=toggled,
    )  # fmt: skip


def _applied(call: ast.Call) -> tuple[str, Chain]:
    """The variable of the gradients and the model in `apply_gradients(zip(grads, model.trainable_variables))`."""
    pairs = call.args[0] if len(call.args) == 1 and not call.keywords else None
    zipped = isinstance(pairs, ast.Call) and isinstance(pairs.func, ast.Name) and pairs.func.id == "zip"
    parts = pairs.args if isinstance(pairs, ast.Call) and zipped and not pairs.keywords else []
    model = _model(parts[1]) if len(parts) == 2 else None
    if model is None or not isinstance(parts[0], ast.Name):
        raise NotPlain(Why.NOT_ZIPPED)
    return parts[0].id, model


def _taken(step: Step, gradients: str, model: Chain) -> tuple[ast.Assign, str, str]:
    """The statement `grads = tape.gradient(loss, model.trainable_variables)`, the tape and the loss."""
    before = step.block[: step.block.index(step.statement)]
    found = next((item for item in before if _calls(item) and gradients in step.effects.binds(item)), None)
    if isinstance(found, ast.Assign) and isinstance(found.value, ast.Call):
        call, chain = found.value, chain_of(found.value.func)
        named = len(found.targets) == 1 and isinstance(found.targets[0], ast.Name)
        given = call.args if len(call.args) == 2 and not call.keywords else []
        plain = named and chain is not None and len(chain) == 2 and chain[1] == "gradient"
        if plain and chain is not None and given and isinstance(given[0], ast.Name) and _model(given[1]) == model:
            return found, chain[0], given[0].id
    raise NotPlain(Why.NOT_OF_TAPE, name=gradients, model=".".join(model))


def _calls(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)


def _head(step: Step, tape: str) -> ast.With:
    for item in step.block:
        if not isinstance(item, ast.With) or len(item.items) != 1:
            continue
        name, made = item.items[0].optional_vars, item.items[0].context_expr
        bare = isinstance(made, ast.Call) and not made.args and not made.keywords
        chain = chain_of(made.func) if isinstance(made, ast.Call) and bare else None
        if isinstance(name, ast.Name) and name.id == tape and chain is not None and chain[-1] == "GradientTape":
            return item
    raise NotPlain(Why.NO_TAPE, tape=tape)


def _check_uses(step: Step, name: str, why: Why) -> None:
    """The gradients and the tape are used once in the step's block, and nowhere else in a function."""
    variable = step.variable(name)
    uses = variable.uses if variable is not None else ()
    here = [use for use in uses if step.inside(use, step.block)]
    others = len(here) != len(uses) and step.function is not step.module.tree
    under = any(isinstance(node, ast.Name) and node.id == name for item in step.region for node in inner(item))
    if len(here) != 1 or under or others:
        raise NotPlain(why)


def _check_head(step: Step, head: ast.With) -> None:
    end = step.source.end(head.items[0].optional_vars or head)
    if b"#" in step.source.body[end : rest_of_line(step.source, end).end]:
        raise NotPlain(Why.COMMENT, line=head.lineno)
    if head.body[0].lineno == head.lineno:
        raise NotPlain(Why.SHARED_LINE, line=head.lineno)


def _check_trained(step: Step, model: Chain, target: Framework) -> None:
    """The new optimizer must hold what the old one was given."""
    name = ".".join(model)
    for site in step.holder.sites:
        if infer_parameters(step.source, site, target) != f"{name}.{target.facts.parameters.trainable}()":
            raise NotPlain(Why.TRAINS_OTHER, model=name)


def _check_between(step: Step, head: ast.With, taken: ast.Assign) -> None:
    place = step.block.index
    end = place(step.statement)
    if not place(head) < place(taken) < end:
        raise NotPlain(Why.OUT_OF_ORDER)
    for statement in step.block[place(head) + 1 : end]:
        if statement is not taken:
            check_harmless(step, statement, may_jump=True)


def training_flags(region: Sequence[ast.stmt]) -> Iterator[tuple[ast.Call, ast.keyword]]:
    """The calls of a forward part that are given `training`, each with the keyword."""
    for node in (node for item in region for node in inner(item)):
        word = _flag(node)
        if isinstance(node, ast.Call) and word is not None:
            yield node, word


def _flag(node: ast.AST) -> ast.keyword | None:
    return (
        next((word for word in node.keywords if word.arg == "training"), None) if isinstance(node, ast.Call) else None
    )


def _training_models(step: Step) -> Iterator[Chain]:
    bound = {name for item in step.region for name in step.effects.binds(item)}
    calls = [node for item in step.region for node in inner(item) if isinstance(node, ast.Call)]
    for node, word in training_flags(step.region):
        chain = chain_of(node.func)
        if chain is None or not isinstance(word.value, ast.Constant) or word.value.value is not True:
            raise NotPlain(Why.TRAINING_FLAG, line=node.lineno, value=ast.unparse(word.value))
        if chain[0] in bound:
            raise NotPlain(Why.MODEL_BOUND, name=chain[0])
        if any((chain_of(call.func) or ())[: len(chain)] == chain and _flag(call) is None for call in calls):
            raise NotPlain(Why.MIXED_FLAGS, model=".".join(chain))
        yield chain


def untold_models(module: Module, plan: Plan, *, sure: bool = True) -> tuple[Chain, ...]:
    """What is called under the tape, is a model, and is not told that it is for training: Keras computes as in inference.

    Without `sure`, what may be a model.
    """
    calls = [node for item in plan.region for node in inner(item) if isinstance(node, ast.Call) and _flag(node) is None]
    words = (word for item in plan.region for word in inner(item) if isinstance(word, ast.Name))
    bound = {word.id for word in words if isinstance(word.ctx, ast.Store)}
    found: dict[Chain, None] = {}
    for call in calls:
        chain = chain_of(call.func)
        if chain is None or chain in plan.toggled or chain[0] in bound:
            continue
        known = chain in (plan.holder.models or ()) or _is_model(module, call.func, chain)
        if known if sure else not known and _may_be_model(module, call):
            found[chain] = None
    return tuple(found)


def _is_model(module: Module, node: ast.expr, chain: Chain) -> bool:
    """Tell whether a value is made as a model, is asked for its variables, or is told a mode elsewhere."""
    asked = (node.value for name in VARIABLES for node in module.attributes(name))
    calls = (module.parent(node) for node in (*module.names(chain[-1]), *module.attributes(chain[-1])))
    told = (call.func for call in calls if isinstance(call, ast.Call) and _flag(call) is not None)
    if any(chain_of(node) == chain for node in (*asked, *told)):
        return True
    made = [value.func for value in module.reaching(node).values if isinstance(value, ast.Call)]
    owners = [module.definition(item) for item in made]
    own = any(isinstance(owner, ast.ClassDef) and module.method(owner, "call") is not None for owner in owners)
    return own or any(path is not None and _MODELS.search(path) for item in made for path in module.paths(item))


def _may_be_model(module: Module, call: ast.Call) -> bool:
    """Tell whether what is called with one value may be a model: a variable that holds no function or loss that is known."""
    if module.variable(call.func) is None or len(call.args) != 1 or call.keywords:
        return False
    if module.definition(call.func) is not None:
        return False
    made = [value.func for value in module.reaching(call.func).values if isinstance(value, ast.Call)]
    paths = {path for item in (call.func, *made) for path in module.paths(item)}
    return not any(path is not None and path.startswith(_KNOWN) for path in paths)


def _model(node: ast.expr) -> Chain | None:
    """`model` in `model.trainable_variables`."""
    chain = chain_of(node)
    return chain[:-1] if chain is not None and len(chain) > 1 and chain[-1] in VARIABLES else None
