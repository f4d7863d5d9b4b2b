"""Clipping between the backward pass and the step: MindSpore clips the gradients that the gradient function returned.

`mindspore.ops.clip_by_norm` of a tuple takes the norm of all, as `clip_grad_norm_` does; both give the same bits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from optmap.source.calls import comments_in
from optmap.source.scopes import chain_of
from optmap.translate.steps.read.plan import NotPlain, Reading

_PATHS: Final = ("torch.nn.utils.", "torch.nn.utils.clip_grad.")
_WORDS: Final = {"clip_grad_norm_": "max_norm", "clip_grad_norm": "max_norm", "clip_grad_value_": "clip_value"}
_IDLE: Final = {"norm_type": 2, "error_if_nonfinite": False}


class Clip(NamedTuple):
    """A statement that clips all gradients, the function of `mindspore.ops` that does so, and the bound."""

    statement: ast.Expr
    function: str
    bound: ast.expr

    def call(self, ops: str, gradients: str) -> str:
        """The statement that takes its place."""
        bound = ast.unparse(self.bound)
        given = bound if self.function == "clip_by_norm" else f"-{bound}, {bound}"
        return f"{gradients} = {ops}.{self.function}({gradients}, {given})"


def clips_between(reading: Reading, statements: Sequence[ast.stmt]) -> Iterator[Clip]:
    """The clipping that stands among the statements. Raises NotPlain where it is of another kind."""
    for node in (node for statement in statements for node in ast.walk(statement)):
        call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
        chain = chain_of(call.func) if call is not None else None
        if isinstance(node, ast.Expr) and call is not None and chain is not None and chain[-1] in _WORDS:
            clip = _clip(reading, node, call, chain)
            if clip is None:
                raise NotPlain(f"the gradients are clipped (line {node.lineno})")
            yield clip


def _clip(reading: Reading, statement: ast.Expr, call: ast.Call, chain: tuple[str, ...]) -> Clip | None:
    word = _WORDS[chain[-1]]
    owner = reading.finder.scopes[id(reading.function)].owner(chain[0])
    paths = [binding.path for binding in owner.bindings[chain[0]]] if owner is not None else []
    if len(paths) != 1 or paths[0] is None or ".".join((paths[0], *chain[1:])) not in {p + chain[-1] for p in _PATHS}:
        return None
    names = ("parameters", word, "norm_type" if word == "max_norm" else "foreach")
    if any(isinstance(item, ast.Starred) for item in call.args) or len(call.args) > len(names):
        return None
    given: dict[str | None, ast.expr] = dict(zip(names, call.args, strict=False))
    given |= {item.arg: item.value for item in call.keywords}
    parameters, bound = given.pop("parameters", None), given.pop(word, None)
    given.pop("foreach", None)
    idle = all(isinstance(value, ast.Constant) and value.value == _IDLE.get(str(name)) for name, value in given.items())
    if not idle or not isinstance(bound, ast.Constant | ast.Name | ast.Attribute) or not _all(reading, parameters):
        return None
    if comments_in(reading.source, reading.source.start(statement), reading.source.end(statement)):
        return None
    if isinstance(bound, ast.Attribute) and chain_of(bound) is None:
        return None
    return Clip(statement, "clip_by_norm" if word == "max_norm" else "clip_by_value", bound)


def _all(reading: Reading, parameters: ast.expr | None) -> bool:
    """Tell whether it is `model.parameters()` of the one model whose parameters, all of them, the optimizer has."""
    models = reading.holder.models or ()
    return len(models) == 1 and _is_parameters(parameters) == models[0] and all(
        _is_parameters(argument) is not None
        for site in reading.holder.sites
        for argument in (_parameters(site.node, site.api.parameters_argument),)
    )  # fmt: skip


def _parameters(call: ast.Call, parameter: object) -> ast.expr | None:
    name = getattr(parameter, "name", None)
    return next((item.value for item in call.keywords if item.arg == name), call.args[0] if call.args else None)


def _is_parameters(node: ast.expr | None) -> tuple[str, ...] | None:
    bare = isinstance(node, ast.Call) and not node.args and not node.keywords
    chain = chain_of(node.func) if bare and isinstance(node, ast.Call) else None
    return chain[:-1] if chain is not None and chain[-1] == "parameters" else None
