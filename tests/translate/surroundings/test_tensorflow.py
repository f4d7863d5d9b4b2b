"""Every replacement in TensorFlow and Keras does what it is said to do: it is run under the real framework."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.later import later
from tests.translate.surroundings.replacements import GRADIENTS, Replacement, claimed, clipped_by_torch, replacements

tf = later("tensorflow")
torch = later("torch")

CASES = list(replacements("tensorflow"))
Space = dict[str, Any]


def space(wrapped: bool = False, finite: bool = True, ema: bool = False) -> Space:
    """A model, its optimizer after one step, and gradients, as a user's names."""
    model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
    optimizer = tf.keras.optimizers.SGD(0.1, use_ema=ema, ema_momentum=0.9)
    if wrapped:
        optimizer = tf.keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip([tf.zeros_like(item) for item in variables], variables, strict=True))
    grads = [tf.fill(item.shape, value) for item, value in zip(variables, GRADIENTS, strict=True)]
    if not finite:
        grads[1] = tf.fill((2,), float("inf"))
    return {
        "tf": tf, "math": math, "model": model, "optimizer": optimizer, "grads": grads, "n": 1, "lr": 0.1, "epoch": 3, "step": 7,
        "loss": tf.constant(3.0), "average": [tf.Variable(tf.zeros_like(item)) for item in variables],
        "loader": [(tf.fill((4, 3), 2.0), None)],
    }  # fmt: skip


def run(case: Replacement, names: Space | None = None) -> Space:
    names = names if names is not None else space()
    names["before"] = weights(names)
    exec(case.code, names)
    return names


def weights(names: Space) -> list[Any]:
    return [item.numpy() for item in names["model"].trainable_variables]


def firsts(values: Any) -> list[float]:
    return [float(np.ravel(value.numpy())[0]) for value in values]


def clip_grad_norm(case: Replacement) -> None:
    order = 2.0 if case.name.endswith(".0") else 3.0
    expected = clipped_by_torch(lambda items: torch.nn.utils.clip_grad_norm_(items, 1.0, order))
    assert firsts(run(case)["grads"]) == pytest.approx(expected, rel=1e-5)


def clip_grad_value(case: Replacement) -> None:
    expected = clipped_by_torch(lambda items: torch.nn.utils.clip_grad_value_(items, 0.5))
    assert firsts(run(case)["grads"]) == expected


def wraps(case: Replacement) -> None:
    made = run(case)["optimizer"]
    assert isinstance(made, tf.keras.optimizers.LossScaleOptimizer)
    assert (made.initial_scale, made.dynamic_growth_steps) == (1024.0, 5)


def scales(case: Replacement) -> None:
    assert float(run(case, space(wrapped=True))["scaled_loss"]) == 3 * 1024.0


def steps_if_finite(case: Replacement) -> None:
    done = run(case, space(wrapped=True))
    for before, after, gradient in zip(done["before"], weights(done), GRADIENTS, strict=True):
        assert before - after == pytest.approx(np.full_like(before, 0.1 * gradient / 1024), rel=5e-2)
    left = run(case, space(wrapped=True, finite=False))
    assert all((before == after).all() for before, after in zip(left["before"], weights(left), strict=True))


def keeps_constant_scale(case: Replacement) -> None:
    optimizer = run(case)["optimizer"]
    assert float(optimizer.scale_loss(tf.constant(1.0))) == 1024.0


def reads_scale(case: Replacement) -> None:
    assert run(case, space(wrapped=True))["scale"] == 1024.0


def copies(case: Replacement) -> None:
    done = run(case)
    for kept, new in zip(done["average"], done["model"].trainable_variables, strict=True):
        assert (kept.numpy() == new.numpy()).all()
        new.assign_add(tf.ones_like(new))
        assert (kept.numpy() != new.numpy()).all()


def averages_equally(case: Replacement) -> None:
    done = run(case)
    for kept, new in zip(done["average"], done["before"], strict=True):
        assert kept.numpy() == pytest.approx(new / 2)


def averages_exponentially(case: Replacement) -> None:
    """Keras keeps the average itself, and puts it into the model where the code says so."""
    names = space(ema=True)
    variables = names["model"].trainable_variables
    start = weights(names)
    names["optimizer"].apply_gradients(zip(names["grads"], variables, strict=True))
    done = run(case, names)
    for first, new, mean in zip(start, done["before"], weights(done), strict=True):
        assert mean == pytest.approx(0.9 * first + 0.1 * new, rel=1e-4, abs=1e-6)


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
    variables = done["model"].trainable_variables
    done["optimizer"].apply_gradients(zip([tf.ones_like(item) for item in variables], variables, strict=True))
    return float((before[0] - weights(done)[0]).mean())


def update_statistics(case: Replacement) -> None:
    names = space()
    names["model"] = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.BatchNormalization()])
    exec(case.code, names)
    assert (names["model"].layers[0].moving_mean.numpy() != 0).all()


def saves(case: Replacement) -> None:
    run(case)
    assert list(Path().glob("optimizer*"))


def loads(case: Replacement) -> None:
    names = space()
    tf.train.Checkpoint(optimizer=names["optimizer"]).write("optimizer")
    names["optimizer"].learning_rate = 7.0
    assert float(run(case, names)["optimizer"].learning_rate) == pytest.approx(0.1)


def shows_state(case: Replacement) -> None:
    assert any("learning_rate" in name for name in run(case)["state"])


def makes_callback(case: Replacement) -> None:
    made = run(case)["callback"]
    assert isinstance(made, tf.keras.callbacks.ReduceLROnPlateau)
    assert (made.monitor, made.factor, made.patience, made.min_delta) == ("loss", 0.5, 2, 0.01)


def sets_rate(case: Replacement) -> None:
    assert rate_used(run(case)) == pytest.approx(0.05, rel=1e-4)
    if case.current is not None:
        assert float(eval(case.current, space())) == pytest.approx(0.1)


def reads_rate(case: Replacement) -> None:
    assert run(case)["lr"] == pytest.approx(0.1)


def shows_parameters(case: Replacement) -> None:
    assert len(run(case)["parameters"]) == 2


def clips_together(case: Replacement) -> None:
    done = run(case)
    assert float(tf.linalg.global_norm(done["clipped"])) == pytest.approx(1.0, rel=1e-5)
    first, second = firsts(done["clipped"])
    assert second / first == pytest.approx(1.5)


def clips_elements(case: Replacement) -> None:
    names = space()
    names["grads"] = tf.constant([2.0, -3.0])
    assert list(run(case, names)["clipped"].numpy()) == [0.25, -0.5]


def counts_steps(case: Replacement) -> None:
    assert run(case)["steps"] == 1


CLAIMS: dict[str, Callable[[Replacement], None]] = {
    "torch.clip_grad_norm": clip_grad_norm,
    "torch.clip_grad_value": clip_grad_value,
    "torch.grad_scaler": wraps,
    "torch.cuda_grad_scaler": wraps,
    "torch.scaler_scale": scales,
    "torch.scaler_step": steps_if_finite,
    "torch.scaler_get_scale": reads_scale,
    "torch.scaler_state": saves,
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
    "mindspore.clip_by_norm": clips_together,
    "mindspore.clip_by_global_norm": clips_together,
    "mindspore.clip_by_value": clips_elements,
    "mindspore.dynamic_scaler": wraps,
    "mindspore.update_cell": wraps,
    "mindspore.dynamic_manager": wraps,
    "mindspore.static_scaler": keeps_constant_scale,
    "mindspore.fixed_cell": keeps_constant_scale,
    "mindspore.fixed_manager": keeps_constant_scale,
    "mindspore.train_cell": steps_if_finite,
    "mindspore.scaler_scale": scales,
    "mindspore.get_lr": reads_rate,
    "mindspore.set_rate": sets_rate,
    "mindspore.learning_rate_scheduler": sets_rate,
    "mindspore.reduce_on_plateau": makes_callback,
    "mindspore.assign_rate": sets_rate,
    "mindspore.write_rate": sets_rate,
    "mindspore.read_rate": reads_rate,
    "mindspore.parameters": shows_parameters,
    "mindspore.global_step": counts_steps,
    "mindspore.save_checkpoint": saves,
    "mindspore.load_param_into_net": loads,
}


test_replacement, test_no_claim_is_left_over = claimed(CASES, CLAIMS)
