"""Every replacement in PyTorch does what it is said to do: it is run under the real framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.later import later
from tests.translate.surroundings.replacements import Replacement, claimed, replacements

torch = later("torch")

CASES = list(replacements("torch"))
Space = dict[str, Any]
GRADIENTS = (2.0, 3.0)


def space() -> Space:
    """A model with gradients, its optimizer after one step, a scaler for CPU and an average, as a user's names."""
    torch.manual_seed(1)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.step()
    for parameter, value in zip(model.parameters(), GRADIENTS, strict=True):
        parameter.grad = torch.full_like(parameter, value)
    loss = (model.weight * 3).sum() + model.bias.sum()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    return {
        "torch": torch, "model": model, "optimizer": optimizer, "loss": loss, "scaler": scaler,
        "average": torch.optim.swa_utils.AveragedModel(model), "decay": 0.9, "grads": None, "state": None, "epoch": 3, "step": 7,
    }  # fmt: skip


def run(case: Replacement, names: Space | None = None) -> Space:
    names = names if names is not None else space()
    names["before"] = weights(names)
    exec(case.code.replace('"cuda"', '"cpu"'), names)
    return names


def weights(names: Space) -> list[Any]:
    return [item.detach().clone() for item in names["model"].parameters()]


def gradients(names: Space) -> list[float]:
    return [float(item.grad.ravel()[0]) for item in names["model"].parameters()]


def norms(names: Space) -> list[float]:
    return [float(item.grad.norm()) for item in names["model"].parameters()]


def clips_one(case: Replacement) -> None:
    assert norms(run(case)) == pytest.approx([1.0, 1.0], rel=1e-5)


def clips_together(case: Replacement) -> None:
    order = 3.0 if "3.0" in case.code else 2.0
    done = run(case)
    everything = torch.cat([item.grad.ravel() for item in done["model"].parameters()])
    assert float(torch.linalg.vector_norm(everything, order)) == pytest.approx(1.0, rel=1e-5)
    first, second = gradients(done)
    assert second / first == pytest.approx(1.5)


def clips_elements(case: Replacement) -> None:
    names = space()
    names["model"].bias.grad.fill_(-3.0)
    assert gradients(run(case, names)) == [0.25, -0.5]


def makes_scaler(case: Replacement) -> None:
    made = run(case)["scaler"]
    assert made.get_scale() == 1024.0
    assert (made.get_growth_factor(), made.get_backoff_factor(), made.get_growth_interval()) == (2.0, 0.5, 5)


def differentiates_scaled_loss(case: Replacement) -> None:
    names = space()
    names["optimizer"].zero_grad()
    assert gradients(run(case, names)) == [3 * 1024.0, 1024.0]


def unscales(case: Replacement) -> None:
    names = space()
    names["scaler"].scale(torch.zeros(1))
    assert gradients(run(case, names)) == [2 / 1024, 3 / 1024]


def divides(case: Replacement) -> None:
    assert gradients(run(case)) == [2 / 1024, 3 / 1024]


def steps(case: Replacement) -> None:
    names = space()
    if "backward" in case.code:
        names["optimizer"].zero_grad()
        expected = [3.0, 1.0]
    else:
        names["scaler"].scale(torch.zeros(1))
        expected = [2 / 1024, 3 / 1024]
    done = run(case, names)
    for before, after, gradient in zip(done["before"], weights(done), expected, strict=True):
        assert before - after == pytest.approx(torch.full_like(before, 0.1 * gradient), rel=1e-2)


def skips_infinite(case: Replacement) -> None:
    names = space()
    names["scaler"].scale(torch.zeros(1))
    names["model"].bias.grad.fill_(float("inf"))
    done = run(case, names)
    assert all(bool((before == after).all()) for before, after in zip(done["before"], weights(done), strict=True))
    assert done["scaler"].get_scale() == 512.0


def steps_or_skips(case: Replacement) -> None:
    steps(case)
    skips_infinite(case)


def averages_exponentially(case: Replacement) -> None:
    """The second update is the first that averages: torch's first one copies."""
    names = run(case)
    average, model = names["average"], names["model"]
    average.update_parameters(model)
    before = [item.detach().clone() for item in average.module.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    average.update_parameters(model)
    for old, new in zip(before, average.module.parameters(), strict=True):
        assert (new - old).detach() == pytest.approx(torch.full_like(old, 0.1), rel=1e-4)


def updates_average(case: Replacement) -> None:
    assert int(run(case)["average"].n_averaged) == 1


def shows_hyperparameters(case: Replacement) -> None:
    config = run(case)["config"]
    assert config["lr"] == 0.1
    assert "params" not in config


def shows_state(case: Replacement) -> None:
    assert run(case)["state"]["param_groups"][0]["lr"] == 0.1


def saves(case: Replacement) -> None:
    run(case)
    written = next(path for path in ("optimizer.pt", "optimizer.ckpt") if Path(path).exists())
    assert torch.load(written)["param_groups"][0]["lr"] == 0.1


def loads(case: Replacement) -> None:
    names = space()
    torch.save({**names["optimizer"].state_dict()}, "optimizer.pt")
    names["optimizer"].param_groups[0]["lr"] = 7.0
    assert run(case, names)["optimizer"].param_groups[0]["lr"] == 0.1


def lowers_rate(case: Replacement) -> None:
    """As Keras does: two epochs that are not better by 0.01 halve the rate."""
    done = run(case)
    for loss in (1.0, 0.999):
        done["scheduler"].step(loss)
    assert done["optimizer"].param_groups[0]["lr"] == 0.1
    done["scheduler"].step(0.998)
    assert done["optimizer"].param_groups[0]["lr"] == 0.05


def sets_rate(case: Replacement) -> None:
    done = run(case)
    done["optimizer"].step()
    assert float((done["before"][0] - weights(done)[0]).mean()) == pytest.approx(0.05 * 2, rel=1e-4)
    if case.current is not None:
        assert eval(case.current, space()) == 0.1


def reads_rate(case: Replacement) -> None:
    assert run(case)["lr"] == 0.1


def shows_parameters(case: Replacement) -> None:
    done = run(case)
    assert [id(item) for item in done["parameters"]] == [id(item) for item in done["model"].parameters()]


CLAIMS: dict[str, Callable[[Replacement], None]] = {
    "tensorflow.clip_by_norm": clips_one,
    "tensorflow.clip_by_global_norm": clips_together,
    "tensorflow.clip_by_value": clips_elements,
    "tensorflow.loss_scale_optimizer": makes_scaler,
    "tensorflow.scaled_loss": differentiates_scaled_loss,
    "tensorflow.unscaled_gradients": unscales,
    "tensorflow.moving_average": averages_exponentially,
    "tensorflow.moving_average_apply": updates_average,
    "tensorflow.get_config": shows_hyperparameters,
    "tensorflow.get_weights": shows_state,
    "tensorflow.checkpoint": saves,
    "tensorflow.write_rate": sets_rate,
    "tensorflow.assign_rate": sets_rate,
    "tensorflow.set_value": sets_rate,
    "tensorflow.learning_rate_scheduler": sets_rate,
    "tensorflow.reduce_on_plateau": lowers_rate,
    "tensorflow.get_value": reads_rate,
    "tensorflow.read_rate": reads_rate,
    "mindspore.clip_by_norm": clips_together,
    "mindspore.clip_by_global_norm": clips_together,
    "mindspore.clip_by_value": clips_elements,
    "mindspore.dynamic_scaler": makes_scaler,
    "mindspore.update_cell": makes_scaler,
    "mindspore.dynamic_manager": makes_scaler,
    "mindspore.static_scaler": divides,
    "mindspore.fixed_cell": divides,
    "mindspore.fixed_manager": divides,
    "mindspore.train_cell": steps,
    "mindspore.scaler_scale": differentiates_scaled_loss,
    "mindspore.scaler_unscale": unscales,
    "mindspore.scaler_adjust": steps_or_skips,
    "mindspore.get_lr": reads_rate,
    "mindspore.set_rate": sets_rate,
    "mindspore.learning_rate_scheduler": sets_rate,
    "mindspore.reduce_on_plateau": lowers_rate,
    "mindspore.assign_rate": sets_rate,
    "mindspore.write_rate": sets_rate,
    "mindspore.read_rate": reads_rate,
    "mindspore.parameters": shows_parameters,
    "mindspore.save_checkpoint": saves,
    "mindspore.load_param_into_net": loads,
}


test_replacement, test_no_claim_is_left_over = claimed(CASES, CLAIMS)
