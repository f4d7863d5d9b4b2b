"""What to write so that weight decay spares the parameters that the source spares, in the words of the very call.

MindSpore's `mindspore.nn` optimizers skip the decay of ungrouped parameters whose name contains `beta` or `gamma`, which are
those of its normalization layers, and decay every parameter of a group (measured with 2.10; tests/translate/test_decay.py
runs the code that is advised here).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from optmap.mapping.model import Framework
from optmap.mapping.plan import Plan
from optmap.source.calls import CallText
from optmap.source.changes import Change
from optmap.source.compose import edited_text
from optmap.source.text import Source
from optmap.translate.constructors.reasons import Reason, RemedyKind, Subject

_LONGEST: Final = 120

_TORCH: Final = (
    "give torch two groups: spared = {{id(p) for m in {model}.modules() if isinstance(m, "
    "(torch.nn.modules.batchnorm._NormBase, torch.nn.LayerNorm, torch.nn.GroupNorm)) for p in m.parameters(recurse=False)}}, "
    'then [{{"params": [p for p in {model}.parameters() if id(p) not in spared]{decay}}}, '
    '{{"params": [p for p in {model}.parameters() if id(p) in spared], "weight_decay": 0.0}}] '
    "in place of {parameters}"
)


def parameters_text(source: Source, call: CallText, index: int, changes: Sequence[Change]) -> str | None:
    """What the call's parameters argument reads once it is translated; None where it is too long to be quoted."""
    text = edited_text(source, call.arguments[index].value_span, changes)
    return text if len(text) <= _LONGEST and len(text.splitlines()) == 1 else None


def exact_advice(reason: Reason, plan: Plan, parameters: str | None, weight_decay: str | None) -> Reason:
    """Replace the general advice on MindSpore's decay filter by the code that reproduces the source's decay."""
    if reason.subject is not Subject.DECAY_FILTER:
        return reason
    advice = _advice(plan, parameters, weight_decay)
    other = reason.statement if reason.remedy is None or reason.remedy.kind is RemedyKind.DIFFERENCE else reason.message
    return reason._replace(statement=f"{other}. To decay what the source decays, {advice}", remedy=None)


def _advice(plan: Plan, parameters: str | None, weight_decay: str | None) -> str:
    if plan.target.framework is Framework.MINDSPORE:
        if parameters is None:
            return 'pass one group, [{"params": [...]}], in place of the list of parameters'
        return f'write [{{"params": {_as_list(parameters)}}}] in place of {parameters}'
    if plan.target.framework is Framework.TORCH:
        model = _model(parameters)
        decay = f', "weight_decay": {weight_decay}' if weight_decay is not None else ""
        return _TORCH.format(model=model or "model", decay=decay, parameters=parameters or "the parameters")
    return (
        'call the optimizer\'s exclude_from_weight_decay(var_names=["beta", "gamma"]) before it is used: Keras calls the '
        "parameters of its normalization layers so too"
    )


def _as_list(text: str) -> str:
    """A group takes a list: from what can be run over once only, MindSpore trains nothing, and says nothing."""
    known = text.endswith(".trainable_params()") and "(" not in text.removesuffix("()") and " " not in text
    return text if known or (text.startswith("[") and text.endswith("]")) else f"list({text})"


def _model(text: str | None) -> str | None:
    """The one model behind `net.parameters()`, or behind a filter of them."""
    models = set(re.findall(r"(?<![\w.)\]])((?:\w+\.)+)parameters\(\)", text or ""))
    whole = (text or "").count(".parameters()")
    return models.pop().rstrip(".") if len(models) == 1 and whole == 1 else None
