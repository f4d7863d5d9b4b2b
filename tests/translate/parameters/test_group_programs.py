"""Random programs that build groups, run before and after translation: every optimizer gets the same groups.

The frameworks are stand-ins that record what constructors get. A model gives its parameters marked with the framework whose
method was asked, so a call that is left alone with translated groups shows, and so does the opposite.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.properties import examples

OPTIONS = Options(Framework("mindspore"), frozenset({Framework("torch")}))
TABLES = load(())
VARIABLES = ("a", "b", "c")


class Parameter:
    """A parameter as one framework's method gives it."""

    def __init__(self, framework: str, name: str) -> None:
        self.framework = framework
        self.name = name
        self.ndim = len(name)
        self.requires_grad = True


class Model:
    """A model of both frameworks."""

    def __init__(self, name: str) -> None:
        self.own = name

    def _all(self, framework: str) -> list[Parameter]:
        return [Parameter(framework, f"{self.own}.w"), Parameter(framework, f"{self.own}.bias")]

    def parameters(self) -> Any:
        return iter(self._all("torch"))

    def named_parameters(self) -> Any:
        return ((p.name, p) for p in self._all("torch"))

    def trainable_params(self) -> list[Parameter]:
        return self._all("mindspore")

    def parameters_and_names(self) -> Any:
        return ((p.name, p) for p in self._all("mindspore"))


def run(source: str) -> list[tuple[str, Any, set[str]]]:
    """For each constructor call the framework, what it got with parameters by name, and whose parameters those were."""
    calls: list[tuple[str, Any, set[str]]] = []

    def constructor(framework: str) -> Any:
        def construct(params: Any, **arguments: Any) -> None:
            seen: set[str] = set()
            calls.append((framework, _plain(params, seen), seen))

        return construct

    lines = [line for line in source.splitlines() if not line.startswith("import ")]
    torch = SimpleNamespace(optim=SimpleNamespace(SGD=constructor("torch")))
    mindspore = SimpleNamespace(nn=SimpleNamespace(SGD=constructor("mindspore")))
    space = {"torch": torch, "mindspore": mindspore, "x": Model("x"), "y": Model("y"), "look": lambda item: item}
    exec("\n".join(lines), space)
    return calls


def _plain(params: Any, seen: set[str]) -> Any:
    """Groups and parameters as text; `params` of a MindSpore group must not be an iterator."""
    plain: list[Any] = []
    for item in params:
        if isinstance(item, dict):
            inner = item["params"] if isinstance(item["params"], list) else [*_listed(item["params"])]
            plain.append({**item, "params": [_text(p, seen) for p in inner]})
        else:
            plain.append(_text(item, seen))
    return plain


def _listed(params: Any) -> list[Parameter]:
    return [params] if isinstance(params, Parameter) else list(params)


def _text(parameter: Parameter, seen: set[str]) -> str:
    seen.add(parameter.framework)
    return parameter.name


variables = st.sampled_from(VARIABLES)
models = st.sampled_from(["x", "y"])
parameters = st.one_of(
    models.map("{}.parameters()".format),
    models.map("list({}.parameters())".format),
    models.map("filter(lambda p: p.requires_grad, {}.parameters())".format),
    models.map("(p for p in {}.parameters())".format),
    models.map("[p for n, p in {}.named_parameters() if 'bias' in n]".format),
    models.map("chosen({})".format),
)
groups = st.builds(
    "{{'params': {}{}}}".format, parameters, st.sampled_from(["", ", 'lr': 0.1", ", 'weight_decay': 0.2, 'lr': 1"])
)
values = st.one_of(
    st.lists(groups, min_size=1, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
    variables.map("list({})".format),
    variables,
    models.map("make({})".format),
    models.map("grouped({}.parameters())".format),
    models.map("grouped(rate=2, params=(p for p in {}.parameters()))".format),
    models.map("list(each({}.named_parameters()))".format),
    st.builds("{} + {}".format, variables, variables),
)
statements = st.one_of(
    st.builds("{} = {}".format, variables, values),
    st.builds("{}.append({})".format, variables, groups),
    st.builds("{} += {}".format, variables, values),
    st.builds("{}.extend({})".format, variables, values),
    st.builds("{}[0]['lr'] = 0.5".format, variables),
    st.builds("for g in {}:\n    g['weight_decay'] = 0.25".format, variables),
    st.builds(
        "for n, p in {}.named_parameters():\n    {}.append({{'params': [p], 'lr': 3}})".format, models, variables
    ),
    st.builds("for p in {}.parameters():\n    {} += [{{'params': p}}]".format, models, variables),
    st.builds("look({})".format, variables),
    st.builds("print(len({}))".format, variables),
    st.builds("torch.optim.SGD({}, lr=0.1)".format, values),
    st.builds("torch.optim.SGD({}, lr=0.1, unknown=1)".format, variables),
    st.builds("torch.optim.SGD(params={}, lr=0.1)  # optmap: ignore".format, variables),
)
HEADER = """import torch
def make(m):
    made = [{'params': m.parameters(), 'lr': 0.3}]
    made.append({'params': chosen(m)})
    return made
def grouped(params, rate=1):
    return [{'params': params, 'lr': rate}]
def each(pairs):
    for name, p in pairs:
        yield {'params': p, 'lr': len(name)}
def chosen(m):
    return [p for p in m.parameters() if p.ndim > 3]
"""


@examples(150)
@given(body=st.lists(statements, min_size=1, max_size=7), last=variables)
def test_every_optimizer_gets_the_same_groups(body: list[str], last: str) -> None:
    start = "a, b, c = ([{'params': x.parameters()}] for _ in range(3))\n" if len(body) % 2 else ""
    start = (
        start or "a = [{'params': x.parameters()}]\nb = []\nc = [{'params': y.parameters(), 'lr': 4}]\nb.append(a[0])\n"
    )
    if len(body) % 3:
        start = "a = [{'params': x.parameters()}]\nb = [{'params': x.parameters()}]\nc = [{'params': y.parameters(), 'lr': 4}]\n"
    source = f"{HEADER}{start}" + "\n".join(body) + f"\ntorch.optim.SGD({last}, lr=0.1)\n"
    result = translate_bytes(source.encode(), TABLES, OPTIONS)
    codes = {item.code.id for item in result.diagnostics}
    assert "OM004" not in codes
    before, after = run(source), run(result.output.decode())
    assert [call[1] for call in before] == [call[1] for call in after] or _exhausted(before)
    if "OM112" not in codes:
        for framework, _, seen in after:
            assert seen <= {framework}


def _exhausted(calls: list[tuple[str, Any, set[str]]]) -> bool:
    """Two optimizers of the source took from one generator: the second got nothing, which a list mends."""
    return any(isinstance(item, dict) and not item["params"] for _, groups, _ in calls for item in groups)
