"""Advice that the tables give for any model, in the words of one call."""

from __future__ import annotations

import ast
from typing import Final

from optmap.translate.constructors.reasons import Reason
from optmap.translate.parameters.edits import ParametersArgument

_ANY: Final = "model.parameters()"


def in_own_words(reasons: tuple[Reason, ...], parameters: ParametersArgument | None) -> tuple[Reason, ...]:
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
