"""Long expressions are deep trees: what Python can parse is translated, or refused for what it says."""

from __future__ import annotations

import pytest

from optmap.api import translate_source
from optmap.diagnostics import INTERNAL_ERROR, UNVERIFIED

DEEP = {
    "sum": "+".join(["a"] * 900),
    "power": "**".join(["a"] * 900),
    "strings": "+".join(["'a'"] * 900),
    "attributes": "a" + ".b" * 900,
    "calls": "a" + "()" * 900,
    "subscripts": "a" + "[0]" * 900,
    "signs": "-" * 900 + "a",
    "conjunction": " and ".join(["a"] * 900),
    "brackets": "(" * 90 + "a" + ")" * 90,
}
PLACES = {
    "a rate": "opt = torch.optim.SGD(net.parameters(), lr={})",
    "parameters": "opt = torch.optim.SGD({}, lr=0.1)",
    "betas": "opt = torch.optim.Adam(net.parameters(), betas=({}, 0.9))",
    "a name": "wd = {}\nopt = torch.optim.Adam(net.parameters(), weight_decay=wd)",
    "a loss": "opt = torch.optim.SGD(net.parameters())\nfor x, y in d:\n    opt.zero_grad()\n    ({}).backward()\n    opt.step()",
}


@pytest.mark.parametrize("to", ["mindspore", "tensorflow"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("deep", DEEP)
def test_deep_expressions(deep: str, place: str, to: str) -> None:
    text = f"import torch\n{PLACES[place].format(DEEP[deep])}\n"
    result = translate_source(text, to=to, rewrite_step=True)
    assert result.error is None
    assert not [item for item in result.diagnostics if item.code in (INTERNAL_ERROR, UNVERIFIED)]


@pytest.mark.parametrize("rate", ["'fast'", "1j", "None", "...", "b'1'"])
@pytest.mark.parametrize("to", ["mindspore", "tensorflow"])
def test_a_rate_that_is_no_number_is_no_internal_error(rate: str, to: str) -> None:
    steps = "for x in d:\n    train()\n    opt.step()\n    s.step()\n"
    text = f"import torch\nopt = torch.optim.SGD(p, lr={rate})\ns = torch.optim.lr_scheduler.MultiStepLR(opt, [1, 2])\n{steps}"
    result = translate_source(text, to=to)
    assert INTERNAL_ERROR not in [item.code for item in result.diagnostics]
