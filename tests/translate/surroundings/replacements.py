"""Every replacement of mappings/around for one target, with canonical arguments filled in, ready to be run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from optmap.mapping.around import Pattern, load_around
from optmap.mapping.values import write_literal
from optmap.translate.surroundings.messages import fill

ARGUMENTS = {
    "max_norm": "1.0", "norm_type": "3.0", "clip_value": "0.5", "outputs": "loss", "inputs": "loss", "optimizer": "optimizer",
    "model": "model", "swa_lr": "0.05", "loader": "loader", "decay": "0.9", "t": "grads[0]", "clip_norm": "1.0",
    "clip_value_min": "-0.5", "clip_value_max": "0.25", "x": "grads", "t_list": "grads", "loss": "loss", "grads": "grads",
    "value": "0.05", "scale_value": "1024.0", "scale_factor": "2", "scale_window": "5", "loss_scale_value": "1024.0",
    "initial_scale": "1024.0", "dynamic_growth_steps": "5", "loss_scale": "1024.0", "init_loss_scale": "1024.0",
    "init_scale": "1024.0", "growth_factor": "2.0", "growth_interval": "5", "ckpt_file_name": '"optimizer.ckpt"',
    "index": "0", "anneal_epochs": "10", "param_group": "{}", "state_dict": "state", "enabled": "True", "schedule": "lambda epoch: 0.05", "learning_rate_function": "lambda rate, step: rate / 2",
    "monitor": '"loss"', "factor": "0.5", "patience": "2", "min_delta": "0.01", "cooldown": "0", "min_lr": "0.001",
}  # fmt: skip
GRADIENTS = (2.0, 3.0)
"""What every element of the gradients of a model's weights and biases is."""
ITSELF = {"loss-scaling": "scaler", "weight-averaging": "average"}


class Replacement(NamedTuple):
    """One piece of code: whose it is, the module that it is for, and how the target reads what it writes."""

    name: str
    pattern: Pattern
    target: str
    code: str
    current: str | None


def replacements(target: str, *modules: str) -> Iterator[Replacement]:
    """Yield the code for a framework, once for each of its modules that it is meant for."""
    for pattern in load_around().patterns:
        for module in modules or (target,):
            templates = pattern.to.get(module) or pattern.to.get(target) or ()
            for place, template in enumerate(templates):
                if template.code is None:
                    continue
                when = {name: write_literal(value) for name, value in template.when.items()}
                texts = {**ARGUMENTS, **when, "self": ITSELF.get(pattern.diagnostic, "optimizer")}
                name = f"{pattern.framework}.{pattern.name}"
                current = fill(template.current, texts) if template.current else None
                yield Replacement(f"{name}.{place}", pattern, module, fill(template.code, texts), current)


def claimed(
    cases: Sequence[Replacement], claims: Mapping[str, Callable[[Replacement], None]]
) -> tuple[Callable[..., None], Callable[[], None]]:
    """The tests that each replacement does what is claimed of its pattern, and that there is no other claim."""

    def claim_of(case: Replacement) -> str:
        return case.name.rpartition(".")[0]

    @pytest.mark.parametrize("case", cases, ids=[f"{case.name} {case.target}" for case in cases])
    def test_replacement(case: Replacement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        claims[claim_of(case)](case)

    def test_no_claim_is_left_over() -> None:
        assert claims.keys() == set(map(claim_of, cases))

    return test_replacement, test_no_claim_is_left_over


def clipped_by_torch(clip: Callable[[Any], Any]) -> list[float]:
    """What torch makes of the same gradients, of two by three weights and two biases."""
    import torch

    parameters = [torch.zeros(2, 3, requires_grad=True), torch.zeros(2, requires_grad=True)]
    for item, value in zip(parameters, GRADIENTS, strict=True):
        item.grad = torch.full_like(item, value)
    clip(parameters)
    return [float(item.grad.ravel()[0]) for item in parameters if item.grad is not None]
