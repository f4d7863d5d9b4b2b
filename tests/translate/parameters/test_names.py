"""The code that is advised where one optimizer is given several models, under the real MindSpore."""

from __future__ import annotations

from typing import Any

import pytest

import optmap

PROGRAM = "import torch\noptimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], lr=0.1)\n"


def test_the_advice_makes_the_call_possible() -> None:
    mindspore = pytest.importorskip("mindspore")
    result = optmap.translate_source(PROGRAM, to="mindspore")
    advice = next(item.replacement for item in result.diagnostics if item.code.id == "OM114")
    assert advice is not None

    def models() -> dict[str, Any]:
        return {name: mindspore.nn.Dense(2, 3) for name in ("first", "second")}

    with pytest.raises((ValueError, RuntimeError)):
        exec(result.output, models())
    made = models()
    exec(advice, made)
    exec(result.output, made)
    assert len(made["optimizer"].parameters) == 4
