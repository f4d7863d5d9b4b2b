"""MindSpore's parameters are a list, torch's are an iterator: what is done to the list must still work."""

from __future__ import annotations

from typing import Any

import pytest

import optmap

PROGRAMS = {
    "sum": "a = nn.Adam(x.trainable_params() + y.trainable_params(), 0.1)\n",
    "slice": "a = nn.Adam(x.trainable_params()[1:], 0.1)\n",
    "sum in a group": "a = nn.SGD([{'params': x.trainable_params() + y.trainable_params(), 'lr': 0.2}], 0.1)\n",
    "two optimizers": "p = x.trainable_params()\na = nn.SGD(p, 0.1)\nb = nn.SGD(p, 0.1)\n",
    "added to": "p = x.trainable_params()\np += y.trainable_params()\na = nn.SGD(p, 0.1)\n",
    "loop": "p = x.trainable_params()\nfor rate in (0.1, 0.2):\n    a = nn.SGD(p, rate)\n",
    "returned": "def get(net):\n    return net.trainable_params()\na = nn.SGD(get(x) + get(y), 0.1)\n",
    "picked twice": (
        "p = x.trainable_params()\n"
        "groups = [{'params': [t for t in p if t.ndim > 1]}, {'params': [t for t in p if t.ndim <= 1]}]\n"
        "a = nn.SGD(groups, 0.1)\n"
    ),
}
BARE = {
    "call": "a = nn.SGD(x.trainable_params(), 0.1)\n",
    "variable": "p = x.trainable_params()\na = nn.SGD(p, 0.1)\n",
    "group": "a = nn.SGD([{'params': x.trainable_params()}], 0.1)\n",
    "comprehension": "a = nn.SGD([p for p in x.trainable_params() if p.requires_grad], 0.1)\n",
    "condition": "a = nn.SGD(x.trainable_params() if flag else y.trainable_params(), 0.1)\n",
    "filter": "a = nn.SGD(filter(lambda p: p.requires_grad, x.trainable_params()), 0.1)\n",
}


def translated(program: str) -> str:
    result = optmap.translate_source(f"import mindspore.nn as nn\n{program}", to="torch", sources=["mindspore"])
    assert not result.refused
    return result.output.decode()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_runs_with_every_parameter(name: str) -> None:
    torch = pytest.importorskip("torch")
    made: dict[str, Any] = {"x": torch.nn.Linear(2, 3), "y": torch.nn.Linear(3, 1), "flag": True}
    exec(translated(PROGRAMS[name]), made)
    both = "y." in PROGRAMS[name] or "(y)" in PROGRAMS[name]
    expected = {"slice": 1}.get(name, 4 if both else 2)
    for optimizer in (made["a"], made.get("b", made["a"])):
        assert sum(len(group["params"]) for group in optimizer.param_groups) == expected


@pytest.mark.parametrize("name", BARE)
def test_what_is_run_over_once_stays_as_short(name: str) -> None:
    assert "[*" not in translated(BARE[name])
