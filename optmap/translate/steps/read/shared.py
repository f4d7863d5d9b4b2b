"""Several tapes, or a persistent one, over one forward part, whose losses train different models, as those of a GAN do.

torch takes each of these gradients for itself, so that no loss adds to the gradients of another's model.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from optmap.mapping.frameworks import Kind
from optmap.source.syntax import chain_of, inner
from optmap.translate.steps.read.step import Step
from optmap.translate.steps.reasons import NotPlain, Why
from optmap.values import NamedTuple


class Siblings(NamedTuple):
    """The statements behind tapes that take gradients, give them to optimizers, and delete a tape."""

    takes: tuple[ast.stmt, ...]
    applies: tuple[ast.stmt, ...]
    deletes: tuple[ast.stmt, ...]


def tapes(step: Step, statement: ast.stmt) -> Mapping[str, bool]:
    """The tapes that a statement opens, by name, each with whether it is persistent; none where it opens anything else."""
    found: dict[str, bool] = {}
    _, _, called = (step.event.site.api.framework.facts.steps.tape or "").rpartition(".")
    for item in statement.items if isinstance(statement, ast.With) else ():
        name, made = item.optional_vars, item.context_expr
        chain = chain_of(made.func) if isinstance(made, ast.Call) else None
        words = [(word.arg, getattr(word.value, "value", None)) for word in getattr(made, "keywords", ())]
        plain = isinstance(made, ast.Call) and not made.args and words in ([], [("persistent", True)])
        if not plain or not isinstance(name, ast.Name) or chain is None or chain[-1] != called:
            return {}
        found[name.id] = bool(words)
    return found


def siblings(step: Step, head: ast.With) -> Siblings:
    """What is done with the tapes of a statement. Raises NotPlain where parameters change before all gradients are taken."""
    names, gradients = tapes(step, head).keys(), set[str]()
    takes, applies, deletes = list[ast.stmt](), list[ast.stmt](), list[ast.stmt]()
    events = {
        id(step.module.statement(item.call)) for item in step.training.events if item.kind is Kind.APPLY_GRADIENTS
    }
    for item in step.block[step.block.index(head) + 1 :]:
        if tapes(step, item).keys() & names:
            break
        call = item.value if isinstance(item, ast.Assign) else None
        chain = chain_of(call.func) if isinstance(call, ast.Call) else None
        if chain is not None and len(chain) == 2 and chain[0] in names and chain[1] == "gradient":
            if applies or step.effects.binds(item) & gradients:
                raise NotPlain(Why.OUT_OF_ORDER)
            takes.append(item)
            gradients |= set(step.effects.binds(item))
        elif isinstance(item, ast.Delete) and all(
            isinstance(word, ast.Name) and word.id in names for word in item.targets
        ):
            deletes.append(item)
        elif id(item) in events and any(isinstance(word, ast.Name) and word.id in gradients for word in inner(item)):
            applies.append(item)
    return Siblings(tuple(takes), tuple(applies), tuple(deletes))
