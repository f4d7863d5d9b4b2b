"""An optimizer goes with its wrapper: whichever way it gets there, it is not translated alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult, Status

TABLES = load()
HEADER = "from mindspore import nn\n"
INNER = "nn.SGD(net.trainable_params(), 0.1)"
WAYS = {
    "inside": "w = nn.LARS({})\n",
    "by name": "w = nn.LARS(epsilon=1e-8, optimizer={})\n",
    "variable": "o = {}\nw = nn.LARS(o)\n",
    "annotated": "o: nn.Optimizer = {}\nw = nn.LARS(o)\n",
    "two variables": "o = {}\np = o\nw = nn.LARS(p)\n",
    "the same variable": "o = {}\no = nn.LARS(o)\n",
    "one of two": "if x:\n    o = {}\nelse:\n    o = other\nw = nn.LARS(o)\n",
    "choice": "w = nn.LARS({} if x else other)\n",
    "tuple": "o, n = {}, 1\nw = nn.LARS(o)\n",
    "walrus": "if (o := {}):\n    w = nn.LARS(o)\n",
    "loop": "for o in [{}]:\n    nn.LARS(o)\n",
    "comprehension": "w = [nn.LARS(o) for o in ({},)]\n",
    "dictionary": "d = {{'a': {}}}\nw = nn.LARS(d['a'])\n",
    "item": "d = {{}}\nd['a'] = {}\nw = nn.LARS(d['a'])\n",
    "attribute": "class T:\n    def f(self):\n        self.o = {}\n\n    def g(self):\n        self.w = nn.LARS(self.o)\n",
    "result": "def f():\n    return {}\nw = nn.LARS(f())\n",
    "result of a method": "class T:\n    def f(self):\n        return {}\n\n    def g(self):\n        return nn.LARS(self.f())\n",
    "argument": "def f(o):\n    return nn.LARS(o)\nw = f({})\n",
    "keyword argument": "def f(o=None):\n    return nn.LARS(o)\nw = f(o={})\n",
    "argument of a method": "class T:\n    def f(self, o):\n        return nn.LARS(o)\nw = T().f({})\n",
    "global": "def f():\n    global o\n    o = {}\nw = nn.LARS(o)\n",
    "outer scope": "o = {}\ndef f():\n    return nn.LARS(o)\n",
    "two wrappers": "w = nn.OptTFTWrapper(nn.LARS({}))\n",
}
FREE = {
    "beside": "o = {}\nw = nn.LARS(other)\n",
    "another scope": "def f():\n    o = {}\n    return o\no = other\nw = nn.LARS(o)\n",
    "another class": "class A:\n    def f(self):\n        self.o = {}\nclass B:\n    def f(self):\n        nn.LARS(self.o)\n",
    "another argument": "o = {}\nw = nn.LARS(other, lars_filter=lambda p: p is o)\n",
    "no wrapper": "o = {}\n",
}


def translated(text: str, tables: MappingSet) -> FileResult:
    options = Options(Framework("torch"), frozenset({Framework("mindspore")}))
    return translate_bytes(text.encode(), tables, options)


@pytest.mark.parametrize("way", WAYS)
def test_it_stays_with_its_wrapper(way: str, tables: MappingSet) -> None:
    text = HEADER + WAYS[way].format(INNER)
    result = translated(text, tables)
    assert result.output == text.encode()
    said = [item.message for item in result.diagnostics if item.code.id == "OM213"]
    assert len(said) == 1
    assert "the optimizer is wrapped by mindspore.nn." in said[0]
    assert all(call.status is Status.REFUSED for call in result.calls)


@pytest.mark.parametrize("way", FREE)
def test_one_that_goes_nowhere_is_translated(way: str, tables: MappingSet) -> None:
    result = translated(HEADER + FREE[way].format(INNER), tables)
    assert b"torch.optim.SGD(net.parameters(), lr=0.1)" in result.output


SCOPED = [way for way in (*WAYS, *FREE) if way != "global"]


@given(ways=st.lists(st.sampled_from(SCOPED), min_size=1, max_size=4, unique=True))
def test_ways_do_not_disturb_each_other(ways: list[str]) -> None:
    """Each in a function of its own; every name means what it does there."""
    parts = []
    for number, way in enumerate(ways):
        body = {**WAYS, **FREE}[way].format(INNER)
        parts.append(f"def part{number}():\n" + "".join(f"    {line}\n" for line in body.splitlines()))
    result = translated(HEADER + "".join(parts), TABLES)
    assert result.output.count(b"torch.optim.SGD") == sum(way in FREE for way in ways)
