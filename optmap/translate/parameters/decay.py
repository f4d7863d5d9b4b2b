"""What to write so that weight decay spares the parameters that the source spares, in the words of the very call.

MindSpore's `mindspore.nn` optimizers skip the decay of ungrouped parameters whose name contains `beta` or `gamma`, which are
those of its normalization layers, and decay every parameter of a group (measured with 2.10; tests/translate/test_decay.py
runs the code that is advised here).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from optmap.mapping.frameworks import Parameters, fill
from optmap.mapping.plan import Plan
from optmap.source.calls import CallText
from optmap.source.changes import Change
from optmap.source.compose import edited_text
from optmap.source.text import Source
from optmap.translate.constructors.reasons import Reason, RemedyKind, Subject

_LONGEST: Final = 120


def parameters_text(source: Source, call: CallText, index: int, changes: Sequence[Change]) -> str | None:
    """What the call's parameters argument reads once it is translated; None where it is too long to be quoted."""
    text = edited_text(source, call.arguments[index].value_span, changes)
    return text if len(text) <= _LONGEST and len(text.splitlines()) == 1 else None


def exact_advice(reason: Reason, plan: Plan, parameters: str | None, weight_decay: str | None) -> Reason:
    """Replace the general advice on MindSpore's decay filter by the code that reproduces the source's decay."""
    if reason.subject is not Subject.DECAY_FILTER:
        return reason
    advice = _advice(plan.target.framework.facts.parameters, parameters, weight_decay)
    if advice is None:
        return reason
    other = reason.statement if reason.remedy is None or reason.remedy.kind is RemedyKind.DIFFERENCE else reason.message
    return reason._replace(statement=f"{other}. To decay what the source decays, {advice}", remedy=None)


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
    """A group takes a list: from what can be run over once only, MindSpore trains nothing, and says nothing."""
    known = text.endswith(f".{trainable}()") and "(" not in text.removesuffix("()") and " " not in text
    return text if known or (text.startswith("[") and text.endswith("]")) else f"list({text})"


def _model(text: str | None, trainable: str) -> str | None:
    """The one model behind `net.parameters()`, or behind a filter of them."""
    models = set(re.findall(rf"(?<![\w.)\]])((?:\w+\.)+){trainable}\(\)", text or ""))
    whole = (text or "").count(f".{trainable}()")
    return models.pop().rstrip(".") if len(models) == 1 and whole == 1 else None
