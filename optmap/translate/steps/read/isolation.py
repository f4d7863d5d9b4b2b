"""What stands around and inside a step must have nothing to do with its gradients."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from optmap.mapping.frameworks import Kind
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.model import How
from optmap.source.syntax import chain_of, inner, parameters
from optmap.source.text import Source
from optmap.translate.steps.read.detached import is_off
from optmap.translate.steps.read.region import GROUND, is_autocast
from optmap.translate.steps.read.step import Step, is_backward, shown, within
from optmap.translate.steps.reasons import NotPlain, Why, because

JUMPS: Final = (ast.Continue, ast.Break, ast.Return, ast.Raise)
_CONTEXTS: Final = ("autocast", "grad", "torch", "amp", "no_sync")
"""Parts of contexts under which gradients are not what they are elsewhere."""
_FLOW_WORDS: Final = ("grad", "backward", "step", "scale", "reduce", "sync")
"""Parts of names of methods that may look at gradients or change parameters."""


def check_contexts(step: Step) -> Step:
    """Raises NotPlain where the step runs in a context of its own."""
    inner = within(step.module, step.backward, step.function) if step.backward is not None else ()
    for node in dict.fromkeys((*reversed(step.around()), *inner)):
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                text = shown(item.context_expr)
                if any(word in text for word in _CONTEXTS):
                    if not is_autocast(step, node):
                        raise NotPlain(Why.CONTEXT, context=text, line=node.lineno)
                    step = step.refuse(Why.CONTEXT, context=text, line=node.lineno)
        if isinstance(node, ast.Try):
            step = step.refuse(Why.TRY, line=node.lineno)
    return step.refuse(Why.ASYNC) if isinstance(step.function, ast.AsyncFunctionDef) else step


def check_company(step: Step) -> Step:
    """Raises NotPlain where something else in the same function has to do with gradients."""
    check_layout(step.source, [clip.statement for clip in step.clips])
    for event in step.training.by_place[id(step.function)]:
        if event.kind not in (Kind.STEP, Kind.SCALED_STEP):
            continue
        if event.holder is not step.event.holder:
            step = step._replace(others=(*step.others, step.module.statement(event.call)))
        elif event.kind is Kind.STEP and event is not step.event:
            step = step.refuse(Why.STEPS_AGAIN, optimizer=step.holder.text, line=event.call.lineno)
    return check_gradient_words(step)


def check_gradient_words(step: Step) -> Step:
    """Raises NotPlain where the function reads, changes or adds to gradients beside the step."""
    assert step.backward is not None
    known = [*(clip.statement for clip in step.clips), *step.gone, *step.zeros]
    for node, why in _gradient_words(step).get(id(step.function), ()):
        statement = step.module.statement(node)
        mine = why is Why.ANOTHER_BACKWARD and (not is_backward(statement) or step.inside(statement, [step.backward]))
        if mine or step.inside(node, known):
            continue
        reason = because(why, line=node.lineno)
        if _concerns(step, statement):
            raise NotPlain(reason)
        read = why is Why.GRADIENTS_READ
        step = step.refuse(reason) if read else step._replace(others=(*step.others, statement))
    return step


def _concerns(step: Step, statement: ast.stmt) -> bool:
    """Tell whether what a statement does with gradients may concern those of the step: unless they are cleared in between."""
    assert step.backward is not None
    assert step.statement is not None
    place = step.block.index
    zeros = [zero for zero in step.zeros if zero in step.block]
    cleared = [place(zero) for zero in zeros if place(zero) < place(step.backward)]
    if not cleared or step.statement not in step.block:
        return True
    between = step.block[max(cleared) : place(step.statement)]
    return step.inside(statement, between)


Words: TypeAlias = Mapping[int, Sequence[tuple[ast.expr, Why]]]


_BEGINNINGS: Final = (b"clip_grad", b"register_")
_WORDS: Final = {
    b"backward": (Why.ANOTHER_BACKWARD, None),
    b"grad": (Why.GRADIENTS_READ, None),
    b"register_": (Why.GRADIENTS_READ, None),
    b"clip_grad": (Why.CLIPPED, Why.CLIPPED),
    b"unscale_": (Why.SCALER, Why.SCALER),
    b"GradScaler": (Why.SCALER, Why.SCALER),
}
"""What an attribute, and what a name, of that spelling tells; of that beginning where the word is one of the beginnings."""


def _gradient_words(step: Step) -> Words:
    """Every name and attribute of the file that has to do with gradients, by the id of the function or class it stands in."""
    known: Words | None = step.source.memo.get(_gradient_words)
    if known is not None:
        return known
    found: list[tuple[ast.expr, Why]] = []
    for word in step.source.words:
        if word in _WORDS or word.startswith(_BEGINNINGS):
            means = _WORDS[word if word in _WORDS else next(item for item in _BEGINNINGS if word.startswith(item))]
            for why, nodes in zip(means, (step.module.attributes, step.module.names), strict=True):
                found += ((node, why) for node in nodes(word.decode()) if why is not None)
    found.sort(key=lambda item: (item[0].lineno, item[0].col_offset))
    by_place: dict[int, list[tuple[ast.expr, Why]]] = {}
    for node, why in found:
        by_place.setdefault(id(step.home(node)), []).append((node, why))
    step.source.memo[_gradient_words] = by_place
    return by_place


def check_step_layout(step: Step) -> Step:
    """Raises NotPlain where a statement of the step shares its lines with another."""
    assert step.statement is not None
    assert step.backward is not None
    check_layout(step.source, (*step.region, *step.zeros, step.backward, step.statement))
    return step


def check_layout(source: Source, statements: Iterable[ast.stmt]) -> None:
    """Raises NotPlain where one of the statements shares its lines with another."""
    for statement in statements:
        line = rest_of_line(source, source.end(statement))
        tail = source.text(line.start, line.end).strip()
        if not starts_line(source, source.start(statement)) or (tail and not tail.startswith("#")):
            raise NotPlain(Why.SHARED_LINE, line=statement.lineno)


def check_between(step: Step) -> Step:
    """What stays between the forward part and the step must not see gradients or parameters. Raises NotPlain."""
    assert step.backward is not None
    assert step.statement is not None
    place = step.block.index
    first = place(step.region[-1] if step.region else step.backward) + 1
    for statement in step.block[first : place(step.statement)]:
        if statement is not step.backward and statement not in step.zeros and statement not in step.gone:
            # a jump must leave no gradients behind that the next step would add to
            early = place(statement) < place(step.backward)
            jumps = early or all(place(zero) < place(step.backward) for zero in step.zeros)
            check_harmless(step, statement, may_jump=jumps)
    return step


def check_harmless(step: Step, statement: ast.stmt, *, may_jump: bool) -> None:
    """Raises NotPlain where a statement may see gradients or parameters."""
    allowed = (*GROUND, *JUMPS) if may_jump else GROUND
    clips = [clip.statement for clip in step.clips]
    line = statement.lineno
    nodes: list[ast.AST] = [statement]
    for node in nodes:  # grows while it is walked
        if any(node is clip for clip in clips):
            continue
        if isinstance(node, ast.stmt) and not isinstance(node, allowed):
            raise NotPlain(Why.BETWEEN, line=line)
        chain = chain_of(node) if isinstance(node, ast.Name | ast.Attribute) else None
        if chain is not None and (_is_held(step, node, chain) or step.model_of(node) is not None):
            raise NotPlain(Why.BETWEEN_USES, line=line, used=".".join(chain))
        if isinstance(node, ast.Call) and not _is_harmless_call(step, node.func):
            raise NotPlain(Why.BETWEEN_CALLS, line=line, called=shown(node.func))
        if not isinstance(node, ast.Raise):
            nodes += ast.iter_child_nodes(node)


def _is_held(step: Step, node: ast.AST, chain: tuple[str, ...]) -> bool:
    held = step.holder.chain
    return chain[: len(held)] == held and step.chain(node) is not None


def _is_own_harmless(step: Step, name: ast.Name) -> bool:
    """Tell whether a function of the file only computes with what it is given: `accuracy(output, target)`."""
    module, found = step.module, step.module.definition(name)
    if not isinstance(found, ast.FunctionDef) or found.decorator_list or module.yields(found):
        return False
    own = {item.arg for item in parameters(found.args)} | set().union(*map(step.effects.binds, found.body))
    for node in (node for item in found.body for node in inner(item)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own:
            variable = module.variable(node)
            if variable is not None and any(item.how is not How.IMPORT for item in variable.bindings):
                return False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not step.is_harmless(node.func):
            return False
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            return False
        if isinstance(node, ast.Attribute) and not is_off(module, step.recording, node):
            changes = node.attr.endswith("_") and not _is_summed(step, node.value)
            if changes or any(word in node.attr for word in _FLOW_WORDS):
                return False
    return True


def _is_summed(step: Step, node: ast.expr) -> bool:
    """Tell whether a variable holds a sum or a mean, and so a tensor of its own."""
    variable = step.module.variable(node) if isinstance(node, ast.Name) else None
    values = [item.value for item in variable.bindings] if variable is not None else []
    made = [item.func for item in values if isinstance(item, ast.Call)]
    return bool(values) and len(made) == len(values) and all(
        isinstance(item, ast.Attribute) and item.attr in ("sum", "mean") for item in made
    )  # fmt: skip


def _is_harmless_call(step: Step, function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return step.is_harmless(function) or _is_own_harmless(step, function)
    chain = chain_of(function)
    last = function.attr if isinstance(function, ast.Attribute) else ""
    own = chain is not None and chain[0] == "self"
    return bool(last) and not (own and chain is not None and len(chain) == 2) and not any(
        word in last for word in _FLOW_WORDS
    )  # fmt: skip
