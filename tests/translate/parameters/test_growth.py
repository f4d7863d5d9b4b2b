"""Time grows linearly in the terms of a parameters argument, and in what optimizers share; what is too deep is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pytest

from optmap.mapping.model import MappingSet
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import Status
from tests.translate.test_passes import TO_MINDSPORE, TO_TORCH
from tests.translate.work import work

Lines = Callable[[int], str]
END = "optimizer = torch.optim.SGD({}, lr=0.1)\n"
CALL = "optimizer{} = torch.optim.SGD({}, lr=0.1)\n"
GROUPED = "def grouped(params):\n    return [{'params': params}]\n"


def every(line: str, number: int) -> str:
    return "".join(line.replace("#", str(i)) for i in range(number))


TO_MINDSPORE_PROGRAMS: dict[str, Lines] = {
    "terms": lambda n: END.format(" + ".join(f"list(net{i}.parameters())" for i in range(n))),
    "elements": lambda n: END.format("[" + ", ".join(f"*net{i}.parameters()" for i in range(n)) + "]"),
    "conditions": lambda n: END.format(every("net#.parameters() if c# else ", n) + "[]"),
    "a sum of variables": lambda n: (
        every("p# = list(net#.parameters())\n", n) + END.format(" + ".join(f"p{i}" for i in range(n)))
    ),
    "a list that grows": lambda n: "p = []\n" + every("p += list(net#.parameters())\n", n) + END.format("p"),
    "a list that is added to": lambda n: (
        "p = []\n" + every("p.append({'params': net#.parameters()})\n", n) + END.format("p")
    ),
    "both": lambda n: (
        "p = []\n"
        + every("p.append({'params': net#.parameters()})\np += [{'params': head#.parameters()}]\n", n)
        + END.format("p")
    ),
    "branches": lambda n: (
        "p = []\n"
        + every(
            "if c#:\n    p.append({'params': net#.parameters()})\nelse:\n    p += [{'params': x.parameters()}]\n", n
        )
        + END.format("p")
    ),
    "one name": lambda n: every("p = list(net#.parameters())\n" + CALL.format("#", "p"), n),
    "shared groups": lambda n: "p = [{'params': net.parameters()}]\n" + every(CALL.format("#", "p"), n),
    "a function": lambda n: GROUPED + every(CALL.format("#", "grouped(net#.parameters())"), n),
    "loops": lambda n: every("p# = []\nfor p in net#.parameters():\n    p#.append(p)\n" + CALL.format("#", "p#"), n),
    "what cannot be followed": lambda n: every(
        "p# = [{'params': net#.parameters()}]\nuse(p#)\n" + CALL.format("#", "p#"), n
    ),
}
TO_TORCH_PROGRAMS: dict[str, Lines] = {
    "compile": lambda n: every("model# = make()\nopt# = tf.keras.optimizers.SGD(0.1)\nmodel#.compile(opt#)\n", n),
    "one name": lambda n: every("model = make()\nopt = tf.keras.optimizers.SGD(0.1)\nmodel.compile(opt)\n", n),
    "functions": lambda n: every(
        "opt# = tf.keras.optimizers.SGD(0.1)\n"
        "def step#(grads):\n    opt#.apply_gradients(zip(grads, model#.trainable_variables))\n",
        n,
    ),
    "terms": lambda n: (
        "opt = tf.keras.optimizers.SGD(0.1)\nopt.minimize(loss, "
        + " + ".join(f"model{i}.trainable_variables" for i in range(n))
        + ")\n"
    ),
}
PROGRAMS = [
    *(pytest.param(TO_MINDSPORE, "import torch\n", lines, id=f"mindspore: {name}") for name, lines in TO_MINDSPORE_PROGRAMS.items()),
    *(pytest.param(TO_TORCH, "import tensorflow as tf\n", lines, id=f"torch: {name}") for name, lines in TO_TORCH_PROGRAMS.items()),
]  # fmt: skip


@pytest.mark.parametrize(("options", "head", "lines"), PROGRAMS)
def test_time_grows_linearly(options, head: str, lines: Lines, tables: MappingSet) -> None:  # type: ignore[no-untyped-def]
    translate_bytes((head + lines(3)).encode(), tables, options)
    texts = ((head + lines(number)).encode() for number in (40, 80))
    small, large = (work(partial(translate_bytes, text, tables, options)) for text in texts)
    assert large < 2.2 * small


@pytest.mark.parametrize("name", ["terms", "conditions", "a sum of variables"])
def test_thousands_of_terms_are_translated(name: str, tables: MappingSet) -> None:
    lines = TO_MINDSPORE_PROGRAMS[name](2000)
    result = translate_bytes(f"import torch\n{lines}".encode(), tables, TO_MINDSPORE)
    assert [call.status for call in result.calls] == [Status.TRANSLATED]
    assert b".parameters()" not in result.output


def test_more_terms_than_python_parses_are_reported(tables: MappingSet) -> None:
    text = f"import torch\n{TO_MINDSPORE_PROGRAMS['terms'](20_000)}".encode()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # Python's own, which frameworks raise when they are imported
    try:
        result = translate_bytes(text, tables, TO_MINDSPORE)
    finally:
        sys.setrecursionlimit(limit)
    assert [item.message for item in result.diagnostics] == ["cannot be parsed: nested too deeply"]


def test_thousands_of_elements_are_translated(tables: MappingSet) -> None:
    lines = TO_MINDSPORE_PROGRAMS["elements"](3000)
    result = translate_bytes(f"import torch\n{lines}".encode(), tables, TO_MINDSPORE)
    message = next(item.message for item in result.diagnostics if item.code.id == "OM114")
    assert result.output.count(b"trainable_params") == 3000
    assert "net1, net2, " in message


def test_names_behind_too_many_others_are_reported(tables: MappingSet) -> None:
    names = "".join(f"p{i} = p{i - 1}\n" for i in range(1, 1500))
    text = f"import torch\np0 = [{{'params': net.parameters()}}]\n{names}optimizer = torch.optim.SGD(p1499, lr=0.1)\n"
    result = translate_bytes(text.encode(), tables, TO_MINDSPORE)
    assert [item.code.id for item in result.diagnostics if "stands behind 40 others" in item.message] == ["OM112"]
    assert b"p0 = [{'params': net.parameters()}]" in result.output
