"""Every replacement in MindSpore does what it is said to do: it is run under the real framework."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.later import later
from tests.translate.surroundings.replacements import GRADIENTS, Replacement, claimed, clipped_by_torch, replacements

mindspore = later("mindspore")
torch = later("torch")

NN, EXPERIMENTAL = "mindspore.nn", "mindspore.experimental.optim"
CASES = list(replacements("mindspore", NN, EXPERIMENTAL))
Space = dict[str, Any]
"""The value of all elements of the two gradients, of shapes (2, 3) and (2,)."""


def space(module: str, finite: bool = True) -> Space:
    """A model, its optimizer after one step, gradients, a scaler and averages, as a user's names."""
    model = mindspore.nn.Dense(3, 2)
    parameters = model.trainable_params()
    build = mindspore.nn.Momentum if module == NN else mindspore.experimental.optim.SGD
    optimizer = build(parameters, 0.1, 0.0)
    grads = tuple(full(item.shape, value) for item, value in zip(parameters, GRADIENTS, strict=True))
    optimizer(tuple(mindspore.ops.zeros_like(gradient) for gradient in grads))
    if not finite:
        grads = (grads[0], full((2,), float("inf")))
    return {
        "mindspore": mindspore, "math": math, "model": model, "optimizer": optimizer, "grads": grads, "n": 1, "lr": 0.1,
        "loss": mindspore.Tensor(3.0), "scaler": mindspore.amp.DynamicLossScaler(1024.0, 2, 5), "decay": 0.9, "epoch": 3,
        "average": [mindspore.Parameter(parameter * 0, name=f"kept{i}") for i, parameter in enumerate(parameters)],
        "parameters": [mindspore.Parameter(full((3,), 1.0), name="more")],
        "loader": [(full((4, 3), 2.0), None)],
    }  # fmt: skip


def full(shape: tuple[int, ...], value: float) -> Any:
    return mindspore.Tensor(np.full(shape, value, "float32"))


def run(case: Replacement, finite: bool = True) -> Space:
    names = space(case.target, finite)
    names["before"] = weights(names)
    exec(case.code, names)
    return names


def weights(names: Space) -> list[Any]:
    return [item.asnumpy().copy() for item in names["model"].trainable_params()]


def firsts(values: Any) -> list[float]:
    return [float(np.ravel(value.asnumpy())[0]) for value in values]


def clip_grad_norm(case: Replacement) -> None:
    order = 2.0 if case.name.endswith(".0") else 3.0
    expected = clipped_by_torch(lambda items: torch.nn.utils.clip_grad_norm_(items, 1.0, order))
    assert firsts(run(case)["grads"]) == pytest.approx(expected, rel=1e-5)


def clip_grad_value(case: Replacement) -> None:
    expected = clipped_by_torch(lambda items: torch.nn.utils.clip_grad_value_(items, 0.5))
    assert firsts(run(case)["grads"]) == expected


def makes_scaler(case: Replacement) -> None:
    made = run(case)["scaler"]
    assert isinstance(made, mindspore.amp.DynamicLossScaler)
    assert float(made.scale_value.asnumpy()) == 1024.0
    assert (made.scale_factor, made.scale_window) == (2, 5)


def scales(case: Replacement) -> None:
    assert float(run(case)["scaled_loss"].asnumpy()) == 3 * 1024.0


def unscales(case: Replacement) -> None:
    assert firsts(run(case)["grads"]) == [2 / 1024, 3 / 1024]


def steps_if_finite(case: Replacement) -> None:
    done = run(case)
    for before, after, gradient in zip(done["before"], weights(done), GRADIENTS, strict=True):
        assert before - after == pytest.approx(0.1 * gradient * np.ones_like(before), rel=1e-4)
    left = run(case, finite=False)
    assert all((before == after).all() for before, after in zip(left["before"], weights(left), strict=True))


def adapts(case: Replacement) -> None:
    assert float(run(case)["scaler"].scale_value.asnumpy()) == 1024.0
    assert float(run(case, finite=False)["scaler"].scale_value.asnumpy()) == 512.0


def copies(case: Replacement) -> None:
    done = run(case)
    for kept, new in zip(done["average"], done["model"].trainable_params(), strict=True):
        assert (kept.asnumpy() == new.asnumpy()).all()
        mindspore.ops.assign(new, new + 1.0)
        assert (kept.asnumpy() != new.asnumpy()).all()


def averages_equally(case: Replacement) -> None:
    """The average of torch's AveragedModel, which has seen one update before this one."""
    done = run(case)
    source = torch.nn.Linear(3, 2)
    average = torch.optim.swa_utils.AveragedModel(source)
    with torch.no_grad():
        for kept, new, value in zip(average.module.parameters(), source.parameters(), done["before"], strict=True):
            kept.zero_()
            new.copy_(torch.tensor(value))
    average.n_averaged += 1
    average.update_parameters(source)
    for kept, expected in zip(done["average"], average.module.parameters(), strict=True):
        assert kept.asnumpy() == pytest.approx(expected.detach().numpy(), rel=1e-6)


def averages_exponentially(case: Replacement) -> None:
    done = run(case)
    for kept, new in zip(done["average"], done["before"], strict=True):
        assert kept.asnumpy() == pytest.approx(new * 0.1, rel=1e-5)


def anneals(case: Replacement) -> None:
    """The learning rate of torch's SWALR after three epochs."""
    source = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    strategy = "cos" if case.name.endswith(".0") else "linear"
    scheduler = torch.optim.swa_utils.SWALR(source, 0.05, anneal_epochs=10, anneal_strategy=strategy)
    for _ in range(3):
        source.step()
        scheduler.step()
    assert rate_used(run(case)) == pytest.approx(source.param_groups[0]["lr"], rel=1e-4)


def rate_used(done: Space) -> float:
    """The learning rate that a step really takes."""
    before = weights(done)
    done["optimizer"](tuple(mindspore.ops.ones_like(item) for item in done["grads"]))
    return float((before[0] - weights(done)[0]).mean())


def update_statistics(case: Replacement) -> None:
    names = space(case.target)
    names["model"] = mindspore.nn.BatchNorm1d(3)
    exec(case.code, names)
    assert (names["model"].moving_mean.asnumpy() != 0).all()


def saves(case: Replacement) -> None:
    run(case)
    assert len(mindspore.load_checkpoint("optimizer.ckpt")) > 0


def loads(case: Replacement) -> None:
    names = space(case.target)
    mindspore.save_checkpoint(names["optimizer"], "optimizer.ckpt")
    weight = names["model"].weight
    expected = weight.asnumpy().copy()
    mindspore.ops.assign(weight, weight + 1.0)
    exec(case.code, names)
    assert (weight.asnumpy() == expected).all()


def shows_state(case: Replacement) -> None:
    assert len(run(case)["state"]) > 1


def makes_callback(case: Replacement) -> None:
    made = run(case)["callback"]
    assert isinstance(made, mindspore.train.ReduceLROnPlateau)
    assert (made.monitor, made.factor, made.patience) == ("loss", 0.5, 2)


def sets_rate(case: Replacement) -> None:
    assert rate_used(run(case)) == pytest.approx(0.05, rel=1e-4)
    if case.current is not None:
        assert float(eval(case.current, space(case.target)).asnumpy()) == pytest.approx(0.1)


def reads_rate(case: Replacement) -> None:
    assert run(case)["lr"] == pytest.approx(0.1)


def shows_parameters(case: Replacement) -> None:
    assert len(run(case)["parameters"]) == 2


def adds_group(case: Replacement) -> None:
    assert len(run(case)["optimizer"].param_groups) == 2


def counts_steps(case: Replacement) -> None:
    assert run(case)["steps"] == 1


def clips_one(case: Replacement) -> None:
    assert float(np.linalg.norm(run(case)["clipped"].asnumpy())) == pytest.approx(1.0, rel=1e-5)


def clips_together(case: Replacement) -> None:
    parts = [item.asnumpy().ravel() for item in run(case)["clipped"]]
    assert float(np.linalg.norm(np.concatenate(parts))) == pytest.approx(1.0, rel=1e-5)
    assert parts[1][0] / parts[0][0] == pytest.approx(1.5)


def clips_elements(case: Replacement) -> None:
    assert firsts([run(case)["clipped"]]) == [0.25]


CLAIMS: dict[str, Callable[[Replacement], None]] = {
    "torch.clip_grad_norm": clip_grad_norm,
    "torch.clip_grad_value": clip_grad_value,
    "torch.grad_scaler": makes_scaler,
    "torch.cuda_grad_scaler": makes_scaler,
    "torch.scaler_scale": scales,
    "torch.scaler_unscale": unscales,
    "torch.scaler_step": steps_if_finite,
    "torch.scaler_update": adapts,
    "torch.scaler_get_scale": lambda case: check(run(case)["scale"] == 1024.0),
    "torch.scaler_state": lambda case: check(run(case)["saved"] == 1024.0),
    "torch.averaged_model": copies,
    "torch.averaged_update": averages_equally,
    "torch.swa_lr": anneals,
    "torch.update_bn": update_statistics,
    "torch.ema_function": averages_exponentially,
    "torch.state_dict": saves,
    "torch.load_state_dict": loads,
    "torch.state": shows_state,
    "torch.write_rate": sets_rate,
    "torch.read_rate": reads_rate,
    "torch.param_groups": shows_parameters,
    "torch.add_param_group": adds_group,
    "tensorflow.clip_by_norm": clips_one,
    "tensorflow.clip_by_global_norm": clips_together,
    "tensorflow.clip_by_value": clips_elements,
    "tensorflow.loss_scale_optimizer": makes_scaler,
    "tensorflow.scaled_loss": scales,
    "tensorflow.unscaled_gradients": unscales,
    "tensorflow.moving_average": averages_exponentially,
    "tensorflow.moving_average_apply": averages_exponentially,
    "tensorflow.get_weights": shows_state,
    "tensorflow.checkpoint": saves,
    "tensorflow.write_rate": sets_rate,
    "tensorflow.assign_rate": sets_rate,
    "tensorflow.set_value": sets_rate,
    "tensorflow.learning_rate_scheduler": sets_rate,
    "tensorflow.reduce_on_plateau": makes_callback,
    "tensorflow.get_value": reads_rate,
    "tensorflow.read_rate": reads_rate,
    "tensorflow.iterations": counts_steps,
}


def check(holds: bool) -> None:
    assert holds


test_replacement, test_no_claim_is_left_over = claimed(CASES, CLAIMS)
