"""Is a step with a gradient tape plain: one tape, one gradient of one loss, one `apply_gradients`, nothing else in between?

Models are called as they are: where Keras is told `training=True`, MindSpore's model is put into training mode for the call.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Gradients
from optmap.source.bind import Bound, bind, signature_of
from optmap.source.edits import rest_of_line
from optmap.source.model import Module
from optmap.source.syntax import chain_of, inner
from optmap.translate.discover.trained import Chain
from optmap.translate.parameters.handed import outside
from optmap.translate.parameters.inferred import infer_parameters
from optmap.translate.parameters.training import applied
from optmap.translate.parameters.variables import Trained, TrainedKind, parts_of, text_of
from optmap.translate.steps.read.clipping import assigned_clips
from optmap.translate.steps.read.isolation import check_harmless, check_layout
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.read.region import check_region
from optmap.translate.steps.read.shared import siblings, tapes
from optmap.translate.steps.read.step import Step, shown, stand
from optmap.translate.steps.reasons import NotPlain, Why

VARIABLES: Final = ("trainable_variables", "trainable_weights")
_GRADIENT: Final = signature_of("target, sources")
_KNOWN: Final = ("tensorflow.", "keras.", "mindspore.", "numpy.", "math.")
_MODELS: Final = re.compile(r"(?:^|\.)keras\.(?:.*\.)?(?:Sequential$|Model$|applications\.|layers\.)")


def read_taped(step: Step, target: Framework) -> tuple[Step, tuple[Chain, ...]]:
    """Read the tape and what is under it, and which models are called in training mode there. Raises NotPlain."""
    step = stand(step, Why.APPLIED_USED, Why.IN_LAMBDA_ASYNC_OR_CLASS, ast.AsyncFunctionDef)
    pairs = applied(step.module, step.event.call)
    parts = _trained(step, pairs[1]) if pairs is not None else ()
    if pairs is None or not parts or any(word.arg != "grads_and_vars" for word in step.event.call.keywords):
        raise NotPlain(Why.NOT_ZIPPED)
    chains = [chain_of(part.node) for part in parts if part.kind is TrainedKind.MODEL]
    models = tuple(chain for chain in chains if chain is not None)
    recorded = target.facts.steps.gradients is Gradients.RECORDED
    if not recorded and any(isinstance(node, ast.ListComp | ast.GeneratorExp) for node in inner(step.event.call)):
        raise NotPlain(Why.LEAVES_OUT, line=step.event.call.lineno, framework=target.facts.title)
    if len(models) < len(parts) and not recorded:  # whether variables get gradients in every step is not looked at
        raise NotPlain(Why.NOT_ZIPPED)
    step, taken, gradient = _taken(step, *pairs)
    if step.clips and len(parts) > 1:
        raise NotPlain(Why.NOT_ONE_MODEL, optimizer=step.holder.text)
    tape, loss = _differentiated(step, gradient, parts)
    head = _head(step, tape, taken)
    holder = step.holder._replace(models=models)
    gone = tuple(_idle(step, (pairs[1], _given(gradient)[1])))
    step = step._replace(
        head=head, region=tuple(head.body), backward=taken, loss=loss, total=ast.Name(loss), holder=holder, gone=gone
    )
    opened = tapes(step, head)
    step, known = _shared(step, parts, target) if len(opened) > 1 or opened[tape] else (step, ())
    _check_uses(step, tape, Why.TAPE_USED, head, known)
    step = step.tried(lambda step: _check_head(step, head))
    if loss not in step.effects.binds(head):
        raise NotPlain(Why.NOT_UNDER_TAPE, loss=loss)
    step = check_region(step)
    laid = [*step.region, taken, step.event.call, *gone, *(clip.statement for clip in step.clips)]
    step = step.tried(lambda step: check_layout(step.source, map(step.module.statement, laid)))
    step = step.tried(lambda step: _check_trained(step, parts, target))
    _check_between(step, head, taken, step.others)
    return step, tuple(dict.fromkeys(_training_models(step)))


def _shared(step: Step, parts: Sequence[Trained], target: Framework) -> tuple[Step, Sequence[ast.stmt]]:
    """A step whose forward part others have, too, and the statements that take gradients there. Raises NotPlain."""
    head = step.head
    assert head is not None
    found = siblings(step, head)
    step = step._replace(gone=(*step.gone, *found.deletes))
    if len(found.takes) == len(tapes(step, head)) == 1:
        return step, found.takes
    if target.facts.steps.gradients is not Gradients.RECORDED:
        raise NotPlain(Why.SEVERAL_TAPES, line=head.lineno, framework=target.facts.title)
    if step.clips or step.backward is step.statement:
        raise NotPlain(Why.CLIPPED if step.clips else Why.TAPE_USED, line=head.lineno)
    others = (*found.takes, *found.applies)
    return step._replace(others=others, shared=text_of(parts, target.facts.parameters)), found.takes


def taped_plan(step: Step, toggled: tuple[Chain, ...], hoist: ast.stmt) -> PlainStep:
    """The plan of a tape that was read to its end."""
    assert step.statement is not None
    assert step.backward is not None
    assert step.loss is not None
    nested = [step.backward] if step.backward is not step.statement else []
    return PlainStep(
        step.event, step.holder, step.region, (*nested, *step.gone), step.backward, step.statement, hoist, step.loss,
        ast.Name(step.loss), step.interface.arguments, step.interface.returned, clips=step.clips, head=step.head,
        toggled=toggled, shared=step.shared,
    )  # fmt: skip


def _taken(step: Step, gradients: ast.expr, variables: ast.expr) -> tuple[Step, ast.Assign | ast.Expr, ast.Call]:
    """The statement that takes the gradients, and the call that does, behind what clips them. Raises NotPlain."""
    if isinstance(gradients, ast.Call) and isinstance(step.statement, ast.Expr):
        return step, step.statement, gradients
    if not isinstance(gradients, ast.Name):
        raise NotPlain(Why.NOT_ZIPPED)
    clips, name = assigned_clips(step, gradients.id)
    before = step.block[: step.block.index(clips[0].statement if clips else step.statement)]
    found = next((item for item in reversed(before) if name in step.effects.binds(item)), None)
    named = isinstance(found, ast.Assign) and len(found.targets) == 1 and isinstance(found.targets[0], ast.Name)
    if not named or not isinstance(found, ast.Assign) or not isinstance(found.value, ast.Call):
        raise NotPlain(Why.NOT_OF_TAPE, name=name, variables=shown(variables))
    step = step._replace(clips=clips)
    known = [step.statement, *(clip.statement for clip in clips)]
    for held, made in ((name, found), *((clip.made, clip.statement) for clip in clips)):
        _check_uses(step, held, Why.GRADIENTS_USED, made, known)
    return step, found, found.value


def _differentiated(step: Step, call: ast.Call, parts: Sequence[Trained]) -> tuple[str, str]:
    """The tape and the loss in `tape.gradient(loss, model.trainable_variables)`. Raises NotPlain."""
    chain, (loss, variables) = chain_of(call.func), _given(call)
    plain = chain is not None and len(chain) == 2 and chain[1] == "gradient"
    same = _texts(_trained(step, variables)) == _texts(parts)
    if plain and chain is not None and isinstance(loss, ast.Name) and same:
        return chain[0], loss.id
    applied_to = " and ".join(part.text for part in parts)
    raise NotPlain(Why.NOT_OF_TAPE, name="what is applied", variables=f"the variables of {applied_to}")


def _given(call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    """What a tape is given: the loss and the variables."""
    bound = bind(_GRADIENT, call)
    given = [item.value for item in bound.given.values()] if isinstance(bound, Bound) else []
    return (given[0], given[1]) if len(given) == 2 else (None, None)


def _idle(step: Step, variables: Sequence[ast.expr | None]) -> Iterator[ast.stmt]:
    """The statement `variables = model.trainable_variables` that only the step needs."""
    named = [node for node in variables if isinstance(node, ast.Name)]
    found = {variable for node in named if (variable := step.module.variable(node)) is not None}
    for variable in found:
        (binding,) = variable.bindings if len(variable.bindings) == 1 else (None,)
        statement = step.module.statement(binding.target) if binding is not None else None
        alone = isinstance(statement, ast.Assign) and len(statement.targets) == 1
        if alone and isinstance(statement, ast.stmt) and all(use in named for use in variable.uses):
            yield statement


def _head(step: Step, tape: str, taken: ast.stmt) -> ast.With:
    """The last tape of a name before its gradient is taken."""
    for item in reversed(step.block[: step.block.index(taken)]):
        if isinstance(item, ast.With) and tape in tapes(step, item):
            return item
    raise NotPlain(Why.NO_TAPE, tape=tape)


def _check_uses(step: Step, name: str, why: Why, made: ast.stmt, known: Sequence[ast.stmt | None] = ()) -> None:
    """The tape is used once in the step's block, gradients by `known` statements, and nowhere else in a function.

    What else the name holds is not looked at: `made` is the statement that sets it.
    """
    variable, module = step.variable(name), step.module
    own = [item for item in variable.bindings if module.statement(item.target) is made] if variable is not None else []
    uses = [use for item in own if variable is not None for use in module.uses_of(variable, item)]
    here = [use for use in uses if step.inside(use, step.block)]
    others = len(here) != len(uses) and step.function is not step.module.tree
    under = any(isinstance(node, ast.Name) and node.id == name for item in step.region for node in inner(item))
    plain = all(any(step.module.statement(use) is item for item in known) for use in here) if known else len(here) == 1
    if not plain or under or others:
        raise NotPlain(why)


def _check_head(step: Step, head: ast.With) -> None:
    end = step.source.end(head.items[-1].optional_vars or head)
    if b"#" in step.source.body[end : rest_of_line(step.source, end).end]:
        raise NotPlain(Why.COMMENT, line=head.lineno)
    if head.body[0].lineno == head.lineno:
        raise NotPlain(Why.SHARED_LINE, line=head.lineno)


def _check_trained(step: Step, parts: Sequence[Trained], target: Framework) -> None:
    """The new optimizer must hold what the old one was given."""
    recorded, through = (
        target.facts.steps.gradients is Gradients.RECORDED,
        step.event.site.api.framework.facts.steps.compiles,
    )
    for site in step.holder.sites:
        named = [outside(step.module, part.node, site.node, through) if recorded else part.node for part in parts]
        told = [part._replace(node=node) for part, node in zip(parts, named, strict=True) if node is not None]
        text = text_of(told, target.facts.parameters) if len(told) == len(parts) else None
        if infer_parameters(step.source, site, target) != text:
            raise NotPlain(Why.TRAINS_OTHER, model=" and ".join(part.text for part in parts))


def _check_between(step: Step, head: ast.With, taken: ast.stmt, others: Sequence[ast.stmt]) -> None:
    place = step.block.index
    end = place(step.statement)
    if not place(head) < place(taken) <= end:
        raise NotPlain(Why.OUT_OF_ORDER)
    for statement in step.block[place(head) + 1 : end]:
        if statement is not taken and statement not in (*step.gone, *others):
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


def untold_models(module: Module, plan: PlainStep, *, sure: bool = True) -> tuple[Chain, ...]:
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


def untold_in_functions(module: Module, plan: PlainStep) -> tuple[Chain, ...]:
    """What the functions of the file that a forward part calls call without `training`, and may be a model."""
    functions = module.with_called(plan.region)[len(plan.region) :]
    found: dict[Chain, None] = {}
    for node in (node for item in functions for node in inner(item) if isinstance(node, ast.Call)):
        chain = chain_of(node.func) if _flag(node) is None else None
        if chain is not None and (_is_model(module, node.func, chain) or _may_be_model(module, node)):
            found[chain] = None
    return tuple(found)


def untrained_models(module: Module, function: ast.FunctionDef | None) -> Iterator[Chain]:
    """What a forward function calls, may be a model, and is not put into training mode anywhere in the file."""
    calls = [node for node in inner(function) if isinstance(node, ast.Call)] if function is not None else []
    told = {chain_of(node.value) for node in module.attributes("set_train")}
    for chain, call in {chain_of(call.func): call for call in calls}.items():
        if chain is not None and chain not in told and _may_be_model(module, call):
            yield chain


def _may_be_model(module: Module, call: ast.Call) -> bool:
    """Tell whether what is called with one value may be a model: a variable that holds no function or loss that is known."""
    if module.variable(call.func) is None or len(call.args) != 1 or call.keywords:
        return False
    if module.definition(call.func) is not None:
        return False
    made = [value.func for value in module.reaching(call.func).values if isinstance(value, ast.Call)]
    paths = {path for item in (call.func, *made) for path in module.paths(item)}
    return not any(path is not None and path.startswith(_KNOWN) for path in paths)


def _trained(step: Step, node: ast.expr | None) -> Sequence[Trained]:
    """The models, or variables, that are trained by `a.trainable_variables + b.trainable_variables`, or a name for them."""
    return parts_of(step.module, node, VARIABLES) if node is not None else ()


def _texts(parts: Sequence[Trained]) -> list[tuple[object, str]]:
    return [(part.kind, part.text) for part in parts]
