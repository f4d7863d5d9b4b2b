"""Preprocessing of gradients before the update rule: weight decay, loss scale, maximize.

`mindspore.nn`: `g = (g + w * f32(weight_decay * loss_scale)) * f32(1 / loss_scale)`. The decay of ungrouped parameters is
skipped where the parameter's name contains `beta` or `gamma`, anywhere (`alphabeta` is skipped, a bias is decayed); any
grouping turns that filter off. `mindspore.experimental.optim`: `g = w * f32(weight_decay) + (-g if maximize else g)`, no
filter. All products and sums round to the parameter's dtype.

Source: `mindspore/nn/optim/optimizer.py` and `mindspore/experimental/optim/optimizer.py` of MindSpore 2.10.0.
"""

from optmap.conformance.rules.arithmetic import Array
from optmap.conformance.rules.rule import At, NnRule, ScaledRule, SparseRows

UNDECAYED = ("beta", "gamma")


def decays(name: str) -> bool:
    """Whether `mindspore.nn` applies weight decay to an ungrouped parameter of this name."""
    return not any(part in name for part in UNDECAYED)


def nn_gradient(rule: NnRule, weight: Array, gradient: Array, at: At) -> Array:
    """The input of a `mindspore.nn` rule: the gradient with weight decay, unscaled; shape and dtype of the parameter."""
    real = weight.dtype.type
    scale = rule.loss_scale if isinstance(rule, ScaledRule) else 1.0
    if rule.weight_decay > 0 and at.decayed:
        gradient = weight * real(rule.weight_decay * scale) + gradient
    return gradient if scale == 1.0 else gradient * real(1.0 / scale)


def nn_rows(rule: NnRule, weight: Array, rows: SparseRows, at: At) -> SparseRows:
    """As `nn_gradient` for a sparse gradient: only its rows are decayed, a repeated row once per occurrence."""
    return SparseRows(rows.indices, nn_gradient(rule, weight[rows.indices], rows.values, at))


def experimental_gradient(weight: Array, gradient: Array, *, weight_decay: float, maximize: bool = False) -> Array:
    """The input of a `mindspore.experimental.optim` rule; shape and dtype of the parameter."""
    if maximize:
        gradient = -gradient
    if weight_decay != 0.0:
        gradient = weight * weight.dtype.type(weight_decay) + gradient
    return gradient
