"""`optmap.simulate`: replays gradients through MindSpore's update rules, without MindSpore."""

from collections.abc import Mapping, Sequence

import numpy as np

from optmap.conformance.rules import SparseRows
from optmap.conformance.simulated import Array, Gradients, Group, simulated_parameters

__all__ = ["Group", "SparseRows", "simulate"]


DTYPES = ("float32", "float64")


def simulate(
    api: str,
    hyperparameters: Mapping[str, object],
    parameters: Mapping[str, Array],
    gradients: Sequence[Gradients],
    *,
    groups: Sequence[Group] | None = None,
    dtype: str = "float32",
    state: Mapping[str, object] | None = None,
) -> list[dict[str, Array]]:
    """The parameters after every step of a MindSpore optimizer that is given these gradients.

    In float32 every step is bit-equal to MindSpore 2.10.0 on CPU with kernel threads set to one, as long as no weight,
    gradient, state or square of a gradient is a denormal number (below 1.2e-38); zeros, infinities, NaN and overflow are
    within. MindSpore flushes denormals in some kernels and not in others. float64 is the same formula, quirks included, in
    double precision. MindSpore's own classes take weights of other dtypes differently: some refuse them, some compute in
    float32, and mindspore.experimental.optim.Adagrad leaves float16 and float64 weights as they are.

    Args:
        api: full name, such as "mindspore.nn.Adam"; `optmap.conformance.rules.RULES` has them all.
        hyperparameters: values by the API's keyword names; omitted ones have the API's defaults. The learning rate is a
            number, or a sequence with at least one number per step.
        parameters: initial values by name; non-empty float arrays of any shape. Names matter: `mindspore.nn` does not
            decay ungrouped parameters whose name contains `beta` or `gamma`.
        gradients: one mapping per step with, for every parameter, a float array of its shape, or SparseRows where the
            rule accepts them (`nn.LazyAdam` and `nn.Adam(use_lazy=True)`). Other names are an error.
        groups: parameter groups; together they must name every parameter once. None: all parameters, ungrouped.
        dtype: "float32" or "float64"; floats of another width are cast to it on entry.
        state: where the optimizer starts, if not at its first step, by the canonical names of the tables: `step` and other
            single quantities are numbers, `first_moment` and the like have an array for each parameter.

    Returns:
        One dict per step, from parameter name to a new array of the parameter's shape and of `dtype`. No input is changed,
        and no two arrays share memory.

    Raises:
        TypeError: parameters, or the gradients of a step, are no mapping.
        ValueError: unknown API, hyperparameter or dtype; a value that MindSpore rejects; a gradient that is missing, of
            another shape, or not a float array (integers and bools are rejected, not cast); a state that is incomplete, or has
            what the optimizer does not store; groups that leave out, repeat or invent a parameter; fewer learning rates than
            steps; no parameters.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    for what, values in (("parameters", [parameters]), ("gradients", gradients)):
        odd = next((item for item in values if not isinstance(item, Mapping)), None)
        if odd is not None:
            raise TypeError(f"{what}: found {type(odd).__name__}, expected a mapping from names to arrays")
    real = np.dtype(dtype)
    simulated = simulated_parameters(api, hyperparameters, parameters, groups, len(gradients), real)
    if state is not None:
        from optmap.conformance.held import start

        before = start(api, hyperparameters, simulated, state)
        for parameter in simulated:
            parameter.before = before
    history: list[dict[str, Array]] = []
    with np.errstate(all="ignore"):
        for index, given in enumerate(gradients):
            for name in given:
                if name not in parameters:
                    raise ValueError(f"step {index + 1}: gradient for {name!r}, which is not a parameter")
            for parameter in simulated:
                parameter.advance(index, given)
            history.append({parameter.name: parameter.weight.copy() for parameter in simulated})
    return history
