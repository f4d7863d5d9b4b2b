"""A rate for each step becomes a LambdaLR, and a loss scale a hook: run under torch, and held against MindSpore's rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optmap
from tests.later import later

torch = later("torch")
RATES = [0.5, 0.25, 0.125]


def run(text: str, **names: Any) -> dict[str, Any]:
    """Translate MindSpore's constructor of `opt` for torch, and run it."""
    made = optmap.translate_source(f"from mindspore import nn\n{text}\n", to="torch", sources=["mindspore"])
    assert not made.refused, made.diagnostics
    weight = torch.nn.Parameter(torch.ones(2))
    namespace = {"net": type("Net", (), {"parameters": lambda self: [weight]})(), "weight": weight, **names}
    exec(made.output.decode(), namespace)
    return namespace


def rates(made: dict[str, Any], steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(made["opt"].param_groups[0]["lr"])
        made["weight"].grad = torch.ones(2)
        made["opt"].step()
        made["scheduler"].step()
    return found


@pytest.mark.parametrize("given", ["rates", "make(3)", "[0.5, 0.25, 0.125]", "np.array(rates)", "rates[:]"])
def test_each_step_has_its_rate_and_the_last_one_stays(given: str) -> None:
    text = f"import numpy as np\nrates = {RATES}\ndef make(n):\n    return [0.5 ** i for i in range(1, n + 1)]\n"
    made = run(f"{text}opt = nn.SGD(net.trainable_params(), {given})")
    assert rates(made, 5) == [*RATES, 0.125, 0.125]


@pytest.mark.parametrize(("given", "expected"), [(RATES, RATES), (np.array(RATES), RATES), (0.5, [0.5] * 3)])
def test_what_may_be_a_number_or_rates_is_right_either_way(given: object, expected: list[float]) -> None:
    text = "from mindspore import Tensor\nopt = nn.SGD(net.trainable_params(), Tensor(args.lr))"
    assert rates(run(text, args=type("Args", (), {"lr": given})), 3) == expected


def test_a_number_where_rates_are_expected_fails_when_the_schedule_is_made() -> None:
    text = "import sys\nget_lr = sys.modules['builtins'].float\nopt = nn.SGD(net.trainable_params(), get_lr(0.1))"
    with pytest.raises(TypeError):
        run(text)


def test_a_group_at_the_rate_of_all_others_follows_it() -> None:
    groups = "[{'params': net.trainable_params(), 'lr': lr, 'weight_decay': 0.0}]"
    assert rates(run(f"lr = {RATES}\nopt = nn.SGD({groups}, lr)"), 4) == [*RATES, 0.125]


def test_a_name_that_is_bound_again_keeps_the_rates() -> None:
    made = run("lr = [0.5, 0.25]\nopt = nn.SGD(net.trainable_params(), lr)\nlr = [9.0]")
    assert rates(made, 2) == [0.5, 0.25]


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_hook_divides_as_mindspore_does(decay: float) -> None:
    made = run(f"opt = nn.Momentum(net.trainable_params(), 0.1, 0.9, {decay}, loss_scale=8.0)")
    gradients = [{"weight": np.array([4.0, -8.0], "float32") * step} for step in (1, 2, 3)]
    settings = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": decay, "loss_scale": 8.0}
    wanted = optmap.simulate("mindspore.nn.Momentum", settings, {"weight": np.ones(2, "float32")}, gradients)
    for gradient, expected in zip(gradients, wanted, strict=True):
        made["weight"].grad = torch.tensor(gradient["weight"])
        made["opt"].step()
        np.testing.assert_allclose(made["weight"].detach().numpy(), expected["weight"], rtol=1e-6)


def test_a_loss_scale_does_nothing_to_a_loss_that_has_it() -> None:
    weights, gradients = {"weight": np.ones(2, "float32")}, [{"weight": np.array([0.5, -1.0], "float32")}] * 4
    settings = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    plain = optmap.simulate("mindspore.nn.Momentum", settings, weights, gradients)
    scaled = [{"weight": 1024 * item["weight"]} for item in gradients]
    with_scale = optmap.simulate("mindspore.nn.Momentum", {**settings, "loss_scale": 1024.0}, weights, scaled)
    for one, other in zip(plain, with_scale, strict=True):
        np.testing.assert_allclose(one["weight"], other["weight"], rtol=1e-6)
