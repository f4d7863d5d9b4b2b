"""Advice on parameters in the words of one call: what decays, what is left out, and which model it is about.

MindSpore's `mindspore.nn` optimizers skip the decay of ungrouped parameters whose name contains `beta` or `gamma`, which are
those of its normalization layers, and decay every parameter of a group (measured with 2.10; the code that is advised here
is run in tests/translate/parameters/test_decay.py).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Final

from optmap.diagnostics import PARAMETERS_ELSEWHERE, PARAMETERS_PICKED
from optmap.mapping.frameworks import Parameters, fill
from optmap.mapping.plan import Plan
from optmap.mapping.sections import Api
from optmap.source.calls import CallText
from optmap.source.changes import Change
from optmap.source.compose import edited_text
from optmap.source.syntax import chain_of
from optmap.source.text import Source
from optmap.translate.constructors.reasons import CallReason, Remedy, RemedyKind, Subject
from optmap.translate.findings import Finding, Place
from optmap.translate.parameters.groups import ParametersArgument

_LONGEST_ADVICE: Final = 120
_SAME: Final = ("list", "tuple", "iter")
"""Builtins that return what they are given, as far as an optimizer is concerned."""
_LONGEST: Final = 60
_ANY: Final = "model.parameters()"


def parameters_text(source: Source, call: CallText, index: int, changes: Sequence[Change]) -> str | None:
    """What the call's parameters argument reads once it is translated; None where it is too long to be quoted."""
    text = edited_text(source, call.arguments[index].value_span, changes)
    return text if len(text) <= _LONGEST_ADVICE and len(text.splitlines()) == 1 else None


def exact_advice(reason: CallReason, plan: Plan, parameters: str | None, weight_decay: str | None) -> CallReason:
    """Replace the general advice on MindSpore's decay filter by the code that reproduces the source's decay."""
    if reason.subject is not Subject.DECAY_FILTER:
        return reason
    advice = _advice(plan.target.framework.facts.parameters, parameters, weight_decay)
    if advice is None:
        return reason
    other = reason.statement if reason.remedy is None or reason.remedy.kind is RemedyKind.DIFFERENCE else reason.message
    return reason._replace(statement=other, remedy=Remedy(RemedyKind.VALUE, advice))


def _advice(target: Parameters, parameters: str | None, weight_decay: str | None) -> str | None:
    if target.spare is None or (parameters is None and target.spare_any is not None):
        return target.spare_any
    text = parameters or "the parameters"
    return fill(
        target.spare,
        parameters=text,
        list=_as_list(text, target.trainable),
        model=_model(parameters, target.trainable) or "model",
        decay=f', "weight_decay": {weight_decay}' if weight_decay is not None else "",
    )


def _as_list(text: str, trainable: str) -> str:
    """A group takes a list: from an iterator MindSpore trains nothing, and reports nothing."""
    known = text.endswith(f".{trainable}()") and "(" not in text.removesuffix("()") and " " not in text
    return text if known or (text.startswith("[") and text.endswith("]")) else f"list({text})"


def _model(text: str | None, trainable: str) -> str | None:
    """The one model behind `net.parameters()`, or behind a filter of them."""
    models = set(re.findall(rf"(?<![\w.)\]])((?:\w+\.)+){trainable}\(\)", text or ""))
    whole = (text or "").count(f".{trainable}()")
    return models.pop().rstrip(".") if len(models) == 1 and whole == 1 else None


def left_out(source: Source, node: ast.expr, at: Place, api: Api, target: Api) -> Finding:
    """Say that the parameters were left out; a warning where they may be but some of a model's."""
    text = source.text_of(node)
    shown = text if len(text) <= _LONGEST and "\n" not in text and "\r" not in text else "the parameters argument"
    said = target.framework.facts.parameters
    if _is_whole_model(node, api):
        message = f"{shown} left out: {said.left_out}"
        return Finding(PARAMETERS_ELSEWHERE, message, at)
    message = f"{shown} left out, perhaps not all of a model's parameters: {said.left_out_some}"
    return Finding(PARAMETERS_PICKED, message, at)


def _is_whole_model(node: ast.expr, api: Api) -> bool:
    """Whether the expression is what a model's own method gives: `net.parameters()`, `self.net.trainable_params()`."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id in _SAME and len(node.args) == 1 and not node.keywords:
        return _is_whole_model(node.args[0], api)
    chain = chain_of(node.func)
    names = api.framework.facts.parameters
    if chain is None or node.args or node.keywords or chain[-1] not in (names.trainable, *names.also):
        return False
    model = [name for name in chain[:-1] if name not in ("self", "module")]
    return len(model) <= 1


def in_own_words(reasons: tuple[CallReason, ...], parameters: ParametersArgument | None) -> tuple[CallReason, ...]:
    """Advice speaks of `model.parameters()`; where the call shows which one model that is, it is named."""
    calls = parameters.accessors if parameters is not None else ()
    models = {ast.unparse(call.func.value) for call in calls if isinstance(call.func, ast.Attribute)}
    if len(models) != 1:
        return reasons
    own = f"{models.pop()}.parameters()"
    return tuple(
        reason._replace(
            statement=reason.statement.replace(_ANY, own),
            remedy=reason.remedy and reason.remedy._replace(text=reason.remedy.text.replace(_ANY, own)),
        )
        for reason in reasons
    )
