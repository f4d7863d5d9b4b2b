"""Random constructor calls: each is translated or refused with a reason, the result is proved, and it means the same.

Meaning is checked without the code under test: both calls are evaluated with a recording stub for the class, their
arguments bound to the signature in the tables, and the values compared hyperparameter by hyperparameter.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from optmap.diagnostics import Severity
from optmap.mapping.derive import candidates
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.plan import Prefer
from optmap.mapping.sections import Api
from optmap.mapping.vocabulary import Parameter, same_value
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.properties import examples
from tests.translate.proofs import prove

TABLES = load()
SPELLINGS = {
    "torch.optim": [
        ("import torch", "torch.optim.{}"),
        ("import torch as t", "t.optim.{}"),
        ("from torch import optim", "optim.{}"),
        ("import torch.optim as o", "o.{}"),
        ("from torch.optim import {}", "{}"),
        ("from torch.optim import {} as X", "X"),
    ],
    "tf.keras.optimizers": [
        ("import tensorflow as tf", "tf.keras.optimizers.{}"),
        ("from tensorflow import keras", "keras.optimizers.{}"),
        ("import keras", "keras.optimizers.{}"),
        ("from keras.optimizers import {}", "{}"),
        ("from tensorflow.keras import optimizers as O", "O.{}"),
        ("import tensorflow as tf", "tf.optimizers.{}"),
    ],
    "tf.compat.v1.train": [
        ("import tensorflow.compat.v1 as tf", "tf.train.{}"),
        ("import tensorflow as tf", "tf.compat.v1.train.{}"),
        ("import tensorflow as tf", "tf.train.{}"),
        ("from tensorflow.compat.v1.train import {}", "{}"),
    ],
    "mindspore.nn": [
        ("import mindspore", "mindspore.nn.{}"),
        ("from mindspore import nn", "nn.{}"),
        ("import mindspore.nn as nn", "nn.{}"),
    ],
    "mindspore.experimental.optim": [
        ("from mindspore.experimental import optim", "optim.{}"),
        ("import mindspore as ms", "ms.experimental.optim.{}"),
    ],
}


class Net:
    def parameters(self) -> str:
        return "the parameters"

    trainable_params = parameters
    trainable_variables = "the parameters"


LOG: list[object] = []


def get(value: object) -> object:
    """A function whose calls are counted: nothing may be evaluated twice."""
    LOG.append(value)
    return value


ENVIRONMENT: dict[str, Any] = {
    "net": Net(),
    "get": get,
    "rate": 0.25,
    "b": 0.75,
    "pair": (0.625, 0.875),
    "flag": True,
    "off": False,
    "k": 3,
    "params": "the parameters",
    "nothing": None,
}

NUMBERS = [
    "0",
    "0.0",
    "1",
    "0.5",
    "1e-3",
    "-0.1",
    "1 / 4",
    "(0.125)",
    "rate",
    "(b)",
    "get(0.5)",
    "rate * 2",
    "1 if flag else 2",
    "float(k)",
    "None",
    "True",
    "(w := 0.5)",
]
FLAGS = ["True", "False", "flag", "off", "get(True)", "not flag", "None", "0", "1"]
PAIRS = [
    "(0.5, 0.75)",
    "[0.5, b]",
    "pair",
    "get((0.5, 0.25))",
    "(get(0.5), get(0.25))",
    "((0.5), b)",
    "(0, 1)",
    "(b, 1 / 8,)",
    "(\n  0.5,  # first\n  b\n)",
    "(0.5, 0.5, 0.5)",
    "(*pair,)",
    "0.9",
]
MODELS = ["net.parameters()", "params", "list(net.parameters())[0]", "(net.parameters())", "params=net.parameters()"]
NAMES = ["'name'", "None", "get('name')"]


def values_for(parameter: Parameter) -> list[str]:
    if parameter.is_parameters:
        return MODELS[:4]
    if len(parameter.ties) > 1:
        return PAIRS
    if parameter.name == "name":
        return NAMES
    neutral = [TABLES.hyperparameters[tie].neutral for tie in parameter.ties if tie in TABLES.hyperparameters]
    is_flag = (
        isinstance(parameter.default, bool)
        or any(isinstance(value, bool) for value in neutral)
        or (parameter.default is None and parameter.execution)
    )
    return FLAGS if is_flag or parameter.switches else NUMBERS


class Sample(NamedTuple):
    name: str
    header: str
    call: str

    @property
    def api(self) -> Api:
        return TABLES.apis[self.name]


@st.composite
def samples(draw: st.DrawFn, apis: list[Api]) -> Sample:
    api = draw(st.sampled_from(apis))
    header, callee = draw(st.sampled_from(SPELLINGS[api.module.name]))
    required = [parameter for parameter in api.current if parameter.required]
    chosen = draw(st.lists(st.sampled_from(list(api.current)), unique_by=lambda item: item.name, max_size=5))
    chosen = [item for item in api.current if item in required or item in chosen]
    positional = 0
    while (
        positional < len(chosen)
        and chosen[positional] is api.current[positional]
        and not chosen[positional].keyword_only
        and draw(st.booleans())
    ):
        positional += 1
    rest = draw(st.permutations(chosen[positional:]))
    arguments = [draw(st.sampled_from(values_for(item))) for item in chosen[:positional]]
    equals = draw(st.sampled_from(["=", "=", " = "]))
    arguments += [f"{item.name}{equals}{draw(st.sampled_from(values_for(item)))}" for item in rest]
    layout = draw(st.sampled_from(["line", "line", "exploded", "hanging"]))
    if layout == "line":
        trailing = draw(st.sampled_from(["", "", ",", ", "])) if arguments else ""
        text = ", ".join(arguments) + trailing
    else:
        first = "" if layout == "hanging" else "\n    "
        ends = (
            draw(st.sampled_from([["", ""], [",", ""], [",", "  # last"], ["", "  # last"]])) if arguments else ["", ""]
        )
        notes = draw(st.sampled_from(["", "  # é, (note"]))
        lines = [f"{argument},{notes}" for argument in arguments[:-1]] + [
            f"{argument}{''.join(ends)}" for argument in arguments[-1:]
        ]
        text = first + "\n    ".join(lines) + ("\n" if arguments else "")
    space = draw(st.sampled_from(["", "", "", " "]))
    return Sample(api.name, header.format(api.class_name), f"{callee.format(api.class_name)}{space}({text})")


FRAMES = [
    '"""Trains."""\n{header}\n\nopt = {call}\n',
    "{header}\ndef build(net, params):\n    return {call}\n",
    "import os\n{header}; import sys\nx, opt = 1, {call}  # end\n",
    "from __future__ import annotations\n{header}\nclass T:\n    def f(self):\n        self.opt = {call}; self.x = 'é'\n",
    "{header}\nopt = {call}",
    "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n{header}\nif True:\n\topt = ({call})\n\tprint('x')\n",
    "{header}\nf(a, {call}, b={call})\n",
    "{header}\nopt = [{call} for i in range(2)]\n",
]


def calls_in(data: bytes, names: Counter[str]) -> list[ast.Call]:
    """The calls of classes with these names, whatever leads to them."""
    found = []
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Call):
            last = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else node.func.id
                if isinstance(node.func, ast.Name)
                else ""
            )
            if last in names:
                found.append(node)
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def signature(api: Api) -> inspect.Signature:
    kinds = {True: inspect.Parameter.KEYWORD_ONLY, False: inspect.Parameter.POSITIONAL_OR_KEYWORD}
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(item.name, kinds[item.keyword_only], default=empty if item.required else item.default)
            for item in api.current
        ]
    )


def evaluated(node: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any], list[object]]:
    """Evaluate the arguments of a call; return them with what `get` was asked for."""
    LOG.clear()
    copy = ast.Expression(ast.Call(ast.Name("record", ast.Load()), node.args, node.keywords))
    found = eval(
        compile(ast.fix_missing_locations(copy), "call", "eval"),
        {**ENVIRONMENT, "record": lambda *args, **keywords: (args, keywords)},
    )
    return (*found, list(LOG))


def canonical(api: Api, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Hyperparameter -> value in a call, with the class's constants, and which of them were given."""
    bound = signature(api).bind(*args, **keywords)
    given_names = set(bound.arguments)
    bound.apply_defaults()
    values: dict[str, Any] = dict(api.fixed)
    given: set[str] = set()
    for parameter in api.current:
        value = bound.arguments[parameter.name]
        parts = [value] if len(parameter.ties) == 1 else list(value) if parameter.ties else []
        values.update(zip(parameter.ties, parts, strict=True))
        given |= set(parameter.ties) if parameter.name in given_names else set()
    for parameter in api.current:
        for old, new in parameter.switches.items():
            if (
                bound.arguments[parameter.name]
                and old in values
                and not TABLES.hyperparameters[old].is_neutral(values[old])
            ):
                values[new] = values.pop(old)
    return values, given


def asleep(name: str, values: dict[str, Any]) -> bool:
    if name not in values:
        return True
    item = TABLES.hyperparameters.get(name)
    if item is None:
        return False
    return item.is_neutral(values[name]) or (item.inert_without is not None and asleep(item.inert_without, values))


def moved_inside_root(source: Api, target: Api, name: str, before: object, after: object) -> bool:
    """Tell whether an epsilon beside a root became its square inside the root, which the two rules must say."""
    if name != "epsilon" or source.rule.get("epsilon_placement") == target.rule.get("epsilon_placement"):
        return False
    return isinstance(before, float) and isinstance(after, float) and math.isclose(after, before**2)


def same_meaning(source: Api, before: ast.Call, target: Api, after: ast.Call, behind: bytes = b"") -> None:
    """Hold one call against the other; a hook `behind` it may divide the gradients by the loss scale."""
    old_args, old_keywords, old_log = evaluated(before)
    new_args, new_keywords, new_log = evaluated(after)
    assert not Counter(map(repr, new_log)) - Counter(map(repr, old_log)), (
        "an expression is evaluated more often than before"
    )
    old, given = canonical(source, old_args, old_keywords)
    new, _ = canonical(target, new_args, new_keywords)
    for name in old.keys() | new.keys():
        if name not in new:
            scales = [eval(text, dict(ENVIRONMENT)) for text in re.findall(rb"kwargs, scale=(.+)\):", behind)]
            divided = name == "loss_scale" and old[name] in scales
            assert asleep(name, old) or name == "parameters" or divided, f"{name} is lost: {old[name]!r}"
        elif name not in old:
            item = TABLES.hyperparameters.get(name)
            assert item is None or not item.has_neutral or asleep(name, new), f"{name} appears: {new[name]!r}"
        elif name in target.fixed and name not in given:
            continue
        else:
            both_asleep = asleep(name, old) and asleep(name, new)
            truth = new[name] is bool(old[name]) and "bool(" in ast.unparse(after)
            equal = same_value(old[name], new[name]) or old[name] == new[name] or truth
            assert both_asleep or equal or moved_inside_root(source, target, name, old[name], new[name]), (
                f"{name}: {old[name]!r} became {new[name]!r}"
            )


def check(sample: Sample, frame: str, newline: str, options: Options) -> FileResult:
    before = frame.format(header=sample.header, call=sample.call).encode()
    ast.parse(before)
    result = translate_bytes(before, TABLES, options)
    other = translate_bytes(before.replace(b"\n", newline.encode()), TABLES, options)
    assert other.output == result.output.replace(b"\n", newline.encode())
    assert other.diagnostics == result.diagnostics
    assert result.error is None
    assert all(item.code.id != "OM004" for item in result.diagnostics), [item.message for item in result.diagnostics]
    prove(before, result, TABLES, options)
    count = frame.count("{call}")
    assert [call.source for call in result.calls] == [sample.api.name] * count
    lines = before.decode().split("\n")
    errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
    for item in result.diagnostics:
        assert 1 <= item.column <= len(lines[item.line - 1]) + 1
    for call in result.calls:
        assert call.status in ("translated", "refused")
        if call.status == "refused":
            assert call.target is None
            assert errors, "refused without an error"
    assert bool(errors) is any(call.status == "refused" for call in result.calls)
    if result.changed:
        target = TABLES.apis[str(result.calls[0].target)]
        locals_ = Counter([sample.api.class_name, "X"])
        olds, news = calls_in(before, locals_), calls_in(result.output, Counter([target.class_name]))
        news = [node for node in news if isinstance(node.func, ast.Attribute) or target.class_name not in locals_]
        assert len(olds) == len(news) == count
        for old, new in zip(olds, news, strict=True):
            same_meaning(sample.api, old, target, new, result.output)
    return result


def of(*modules: str) -> list[Api]:
    return [api for api in TABLES.apis.values() if api.module.name in modules]


NEWLINES = st.sampled_from(["\n", "\n", "\r\n", "\r"])
UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much]
PARAMS = "net.trainable_params()"


@examples(250, UNHURRIED)
@given(samples(of("torch.optim")), st.sampled_from(FRAMES), NEWLINES, st.sampled_from(Prefer))
def test_torch_to_mindspore(sample: Sample, frame: str, newline: str, prefer: Prefer) -> None:
    check(sample, frame, newline, Options(Framework("mindspore"), frozenset({Framework("torch")}), prefer))


@examples(250, UNHURRIED)
@given(
    samples(of("tf.keras.optimizers", "tf.compat.v1.train")), st.sampled_from(FRAMES), NEWLINES, st.sampled_from(Prefer)
)
def test_tensorflow_to_mindspore(sample: Sample, frame: str, newline: str, prefer: Prefer) -> None:
    check(sample, frame, newline, Options(Framework("mindspore"), frozenset({Framework("tensorflow")}), prefer, PARAMS))


@examples(100, UNHURRIED)
@given(
    samples(of("mindspore.nn", "mindspore.experimental.optim")),
    st.sampled_from(FRAMES),
    NEWLINES,
    st.sampled_from(Prefer),
)
def test_mindspore_to_torch(sample: Sample, frame: str, newline: str, prefer: Prefer) -> None:
    check(sample, frame, newline, Options(Framework("torch"), frozenset({Framework("mindspore")}), prefer))


@examples(60, UNHURRIED)
@given(samples(of("torch.optim", "mindspore.nn")), st.sampled_from(FRAMES), NEWLINES, st.sampled_from(Prefer))
def test_others_to_tensorflow(sample: Sample, frame: str, newline: str, prefer: Prefer) -> None:
    check(sample, frame, newline, Options(Framework("tensorflow"), frozenset({sample.api.framework}), prefer))


PLAIN = of("torch.optim", "tf.keras.optimizers", "tf.compat.v1.train")
MATCHED = [api for api in PLAIN if candidates(TABLES, api, Framework("mindspore"))]


def test_few_classes_have_no_counterpart() -> None:
    assert len(MATCHED) > 25


@pytest.mark.parametrize("api", MATCHED, ids=lambda api: api.name)
def test_the_plain_call_of_every_class_is_translated(api: Api) -> None:
    header, callee = SPELLINGS[api.module.name][0]
    values = {"params": "net.parameters()", "learning_rate": "0.1", "momentum": "0.9"}
    arguments = ", ".join(values[item.name] for item in api.current if item.required)
    sample = Sample(api.name, header, f"{callee.format(api.class_name)}({arguments})")
    result = check(
        sample, FRAMES[0], "\n", Options(Framework("mindspore"), frozenset({api.framework}), Prefer.AUTO, PARAMS)
    )
    assert [call.status for call in result.calls] == ["translated"]


@pytest.mark.parametrize(
    "text",
    [
        "o = torch.optim if x else mine.optim\nopt = o.SGD(p, lr=0.1)\n",
        "class T:\n    def f(self):\n        self.optim = torch.optim\n        self.opt = self.optim.SGD(p, lr=0.1)\n",
        "def f(optim=torch.optim):\n    return optim.SGD(p, lr=0.1)\n",
        "for o in (torch.optim,):\n    o.SGD(p, lr=0.1)\n",
        "o, x = torch.optim, 1\no.SGD(p, lr=0.1)\n",
        "(o := torch.optim).SGD(p, lr=0.1)\n",
        "if (o := torch.optim):\n    o.SGD(p, lr=0.1)\n",
        "modules = {'torch': torch.optim}\nmodules['torch'].SGD(p, lr=0.1)\n",
        "with context(torch.optim) as o:\n    o.SGD(p, lr=0.1)\n",
        "torch.optim.__dict__['SGD'](p, lr=0.1)\n",
        "vars(torch.optim)['SGD'](p, lr=0.1)\n",
        "importlib.import_module('torch.optim').SGD(p)\n",
    ],
)
def test_nothing_is_skipped_silently(text: str) -> None:
    result = translate_bytes(
        b"import torch\n" + text.encode(), TABLES, Options(Framework("mindspore"), frozenset({Framework("torch")}))
    )
    assert not result.changed
    assert any(item.severity is not Severity.INFO for item in result.diagnostics)


@pytest.mark.parametrize(
    "arguments",
    [
        "*[], p, 0.1",
        "p, *(), 0.1",
        "*[p], *[], 0.1",
        "p, 0.1, **{}",
        "p, **{}, lr=0.1",
        "**{}, params=p, lr=0.1",
        "*[p, 0.1], *[]",
        "*[], *[p, 0.1]",
    ],
)
def test_empty_displays_take_no_place(arguments: str) -> None:
    text = f"import torch\nx = torch.optim.SGD({arguments})\n".encode()
    result = translate_bytes(text, TABLES, Options(Framework("mindspore"), frozenset({Framework("torch")})))
    assert [call.status for call in result.calls] == ["translated"]
    call = calls_in(result.output, Counter(["SGD"]))[0]
    values = {keyword.arg or "params": ast.unparse(keyword.value) for keyword in call.keywords}
    assert [ast.unparse(item) for item in call.args] in (["p"], [])
    assert values == {"learning_rate": "0.1", **({} if call.args else {"params": "p"})}


@pytest.mark.parametrize(
    "arguments",
    [
        "p, eps=1" + "0" * 400,
        "p, eps=0x" + "f" * 5000,
        "p, weight_decay=0x" + "f" * 5000,
        "p, betas=(0x" + "f" * 5000 + ", 1)",
        "p, eps=10 ** 999",
        "p, eps=1e999",
        "p, eps=-1e999",
        "p, lr=1e400 - 1e400",
        "p, eps='1e-8'",
        "p, eps=None",
        "p, eps=(1, 2)",
        "p, eps=b'x'",
        "p, betas=None",
        "p, betas=()",
        "p, betas='ab'",
        "p, betas={0.9, 0.99}",
        "p, betas=(yield)",
        "p, fused=torch.optim.SGD(q)",
        "f(torch.optim.SGD(q)), betas=(torch.optim.SGD(q).x, 1), foreach=g(torch.optim.Adam(r))",
        "p, weight_decay=" + "(" * 60 + "0" + ")" * 60,
        "p, weight_decay=" + "-" * 100 + "0.5",
        "p, *[], **{}",
        "*(), **{}",
        "p, *[], lr=1",
    ],
)
def test_odd_arguments(arguments: str) -> None:
    """Whatever stands there, it is translated or refused, and never by an exception or a failed proof."""
    text = f"import torch\ndef f():\n    x = torch.optim.Adam({arguments})\n".encode()
    for prefer in Prefer:
        options = Options(Framework("mindspore"), frozenset({Framework("torch")}), prefer)
        result = translate_bytes(text, TABLES, options)
        assert result.error is None
        assert result.calls
        assert "OM004" not in [item.code.id for item in result.diagnostics]
        prove(text, result, TABLES, options)
