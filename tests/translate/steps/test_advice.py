"""The code that messages show for a step: it compiles, it is complete, and it trains as the step did, under the real frameworks."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

import optmap
from optmap.diagnostics import Diagnostic
from tests.casefiles import cases
from tests.translate.programs import Names, framework_module
from tests.translate.steps.test_seed_programs import PROGRAMS as FROM_TORCH
from tests.translate.steps.test_tape_programs import PROGRAMS as FROM_TAPES

CASES = list(cases())
FRAMEWORKS = ("torch", "tensorflow", "mindspore")
_HEAD = re.compile(r"# (?:in place of|(in front of)|(behind)|(without)) lines? (\d+)(?: to (\d+))?:?")


def steps_of(text: str, target: str, *, rewrite: bool = False) -> list[Diagnostic]:
    """The messages on steps."""
    found = optmap.translate_source(text, to=target, rewrite_step=rewrite).diagnostics
    return [item for item in found if item.code.id in ("OM401", "OM402")]


def shown(text: str, target: str) -> Iterator[str]:
    return (item.replacement for item in steps_of(text, target) if item.replacement is not None)


def applied(text: str, target: str) -> str:
    """The text with all code that messages show put where it says."""
    lines: list[list[str]] = [[line] for line in text.splitlines()]
    imports: set[str] = set()
    for code in shown(text, target):
        at, rest = None, code.splitlines()
        while rest and _HEAD.fullmatch(rest[0]) is None:
            imports.add(rest.pop(0))
        for line in rest:
            head = _HEAD.fullmatch(line)
            if head is not None:
                start, end = int(head[4]) - 1, int(head[5] or head[4]) - 1
                indent = re.match(" *", text.splitlines()[start])[0]  # type: ignore[index]
                if not head[1] and not head[2]:
                    lines[start : end + 1] = [[] for _ in range(start, end + 1)]
                at = [] if head[1] else lines[end if head[2] else start]
                if head[1]:
                    lines[start].insert(0, "")
                    at = lines[start]
                place = 0 if head[1] else len(at)
            else:
                assert at is not None
                at.insert(place, indent + line if line else "")
                place += 1
    return "\n".join([*sorted(imports), *(line for group in lines for line in group)]) + "\n"


def free_names(code: str) -> set[str]:
    """The names that code reads and does not bind."""
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    bound = {item.arg for item in nodes if isinstance(item, ast.arg)}
    bound |= {item.name for item in nodes if isinstance(item, (ast.FunctionDef, ast.ClassDef))}
    bound |= {
        alias.asname or alias.name.partition(".")[0]
        for item in nodes
        if isinstance(item, ast.Import)
        for alias in item.names
    }
    names = [item for item in nodes if isinstance(item, ast.Name)]
    bound |= {item.id for item in names if isinstance(item.ctx, ast.Store)}
    return {item.id for item in names if isinstance(item.ctx, ast.Load)} - bound - set(dir(builtins))


TEXTS = {
    **{case.name: case.before for case in CASES},
    **{f"torch: {name}": text for name, text in FROM_TORCH.items()},
    **{f"tape: {name}": text for name, text in FROM_TAPES.items()},
}


@pytest.mark.parametrize("name", TEXTS)
def test_all_code_that_is_shown_compiles_and_only_uses_names_of_the_file(name: str) -> None:
    text = TEXTS[name]
    known = {item.id for item in ast.walk(ast.parse(text)) if isinstance(item, ast.Name)}
    known |= set(re.findall(r"\w+", text))
    for target in FRAMEWORKS:
        for code in shown(text, target):
            assert "..." not in code
            assert free_names(code) <= known | {"scheduler"}, code  # which is attached to the optimizer


def test_there_is_code() -> None:
    assert sum(len(list(shown(text, target))) for text in TEXTS.values() for target in FRAMEWORKS) > 100


def tensors(framework: str) -> Names:
    """Two linear models, a loss and batches: the same numbers under each framework."""
    module = framework_module(framework)
    random = np.random.default_rng(3)
    numbers = [random.normal(size=shape).astype("float32") for shape in ((3, 2), (3,), (1, 3), (1,))]
    batches = [tuple(random.normal(size=(4, width)).astype("float32") for width in (2, 3)) for _ in range(4)]
    if framework == "torch":
        layers = [module.nn.Linear(2, 3), module.nn.Linear(3, 1)]
        for layer, weight, bias in zip(layers, numbers[::2], numbers[1::2], strict=True):
            layer.load_state_dict({"weight": module.tensor(weight), "bias": module.tensor(bias)})
        tensor, mean = module.tensor, module.mean
    elif framework == "mindspore":
        layers = [module.nn.Dense(2, 3), module.nn.Dense(3, 1)]
        for layer, weight, bias in zip(layers, numbers[::2], numbers[1::2], strict=True):
            layer.weight.set_data(module.Tensor(weight))
            layer.bias.set_data(module.Tensor(bias))
        tensor, mean = module.Tensor, module.ops.mean
    else:
        layers = [module.keras.layers.Dense(3), module.keras.layers.Dense(1)]
        for layer, weight, bias, width in zip(layers, numbers[::2], numbers[1::2], (2, 3), strict=True):
            layer.build((None, width))
            layer.set_weights([weight.T, bias])
        layers = [module.keras.Sequential([layer]) for layer in layers]
        for layer, width in zip(layers, (2, 3), strict=True):
            layer.build((None, width))
        tensor, mean = module.constant, module.reduce_mean
    net, critic = layers
    data = [(tensor(x), tensor(y)) for x, y in batches]
    names: Names = {
        "net": net,
        "critic": critic,
        "mean": mean,
        "data": data,
        "loss_fn": lambda out, y: mean((out - y) ** 2),
    }
    return {**names, "with_loss": with_loss(framework, module, names)}


def with_loss(framework: str, module: Any, names: Names) -> Any:
    """A network that gives the loss."""
    base = {"torch": "nn.Module", "mindspore": "nn.Cell", "tensorflow": "keras.Model"}[framework]
    method = {"torch": "forward", "mindspore": "construct", "tensorflow": "call"}[framework]

    class WithLoss(attrgetter(base)(module)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = names["net"]

    def compute(self: Any, x: Any, y: Any) -> Any:
        return names["loss_fn"](self.net(x), y)

    setattr(WithLoss, method, compute)
    return WithLoss()


def weights(framework: str, names: Names) -> list[np.ndarray[Any, Any]]:
    found = []
    for model in (names["net"], names["critic"]):
        if framework == "tensorflow":
            found += [value.T for value in model.get_weights()]
        else:
            parameters = model.parameters() if framework == "torch" else model.trainable_params()
            found += [(item.detach().numpy() if framework == "torch" else item.asnumpy()) for item in parameters]
    return found


def trained(framework: str, text: str) -> list[np.ndarray[Any, Any]]:
    names = {"__name__": "program", **tensors(framework)}
    names["make"] = names.__getitem__
    exec(compile(text, "program", "exec"), names)
    return weights(framework, names)


PARAMS = {"torch": "net.parameters()", "tensorflow": None, "mindspore": "net.trainable_params()"}
HEADS = {
    "torch": "import torch\nnet, critic = make('net'), make('critic')\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)\n",
    "tensorflow": "import tensorflow as tf\nnet = make('net')\noptimizer = tf.keras.optimizers.SGD(0.1, momentum=0.9)\n",
    "mindspore": "import mindspore\nfrom mindspore import nn\nnet, with_loss = make('net'), make('with_loss')\noptimizer = nn.SGD(net.trainable_params(), 0.1, momentum=0.9)\n",
}
STEPS = {
    "torch": {
        "plain": """
for x, y in data:
    optimizer.zero_grad()
    out = net(x)
    loss = loss_fn(out, y)
    loss.backward()
    optimizer.step()
    print(out.shape)
""",
        "in a function, clipped": """
def train(x, y, bound=0.5):
    loss = loss_fn(
        net(x),
        y,
    )
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), bound)
    optimizer.step()
    return loss.item() if False else loss

for x, y in data:
    train(x, y)
""",
        "clipped by value": """
for x, y in data:
    optimizer.zero_grad()
    loss_fn(net(x), y).backward()
    torch.nn.utils.clip_grad_value_(net.parameters(), 0.05)
    optimizer.step()
""",
        "accumulated": """
for i, (x, y) in enumerate(data):
    loss = loss_fn(net(x), y) / 2
    loss.backward()
    if i % 2 == 1:
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
""",
        "accumulated over an inner loop": """
def run(total):
    for epoch in range(2):
        optimizer.zero_grad()
        for x, y in data:
            loss = loss_fn(net(x), y) / len(data)
            loss.backward()
        optimizer.step()

run(3)
""",
        "two losses": """
for x, y in data:
    optimizer.zero_grad()
    first = loss_fn(net(x), y)
    first.backward(retain_graph=True)
    second = loss_fn(net(x * 2), y)
    second.backward()
    optimizer.step()
""",
        "a scaler": """
scaler = torch.amp.GradScaler("cpu", enabled=False)
for x, y in data:
    optimizer.zero_grad()
    with torch.autocast("cpu", enabled=False):
        out = net(x)
        loss = loss_fn(out, y)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
""",
        "two optimizers": """
other = torch.optim.SGD(critic.parameters(), lr=0.1)
for x, y in data:
    fake = net(x)
    optimizer.zero_grad()
    loss = mean(critic(fake))
    loss.backward()
    optimizer.step()
    other.zero_grad()
    judged = mean(critic(y)) - mean(critic(fake.detach()))
    judged.backward()
    other.step()
""",
        "on one line each": """
for x, y in data:
    optimizer.zero_grad(); loss = loss_fn(net(x), y); loss.backward()
    optimizer.step()
""",
    },
    "tensorflow": {
        "a tape": """
for x, y in data:
    with tf.GradientTape() as tape:
        out = net(x, training=True)
        loss = loss_fn(out, y)
    grads = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(grads, net.trainable_variables))
""",
        "minimize": """
import tensorflow as tf
net = make("net")
optimizer = tf.compat.v1.train.MomentumOptimizer(0.1, 0.9)
for x, y in data:
    optimizer.minimize(lambda: loss_fn(net(x), y), var_list=net.trainable_variables)
""",
    },
    "mindspore": {
        "a function": """
def forward(x, y):
    out = net(x)
    return loss_fn(out, y), out

grad_fn = mindspore.value_and_grad(forward, None, net.trainable_params(), has_aux=True)
for x, y in data:
    (loss, out), grads = grad_fn(x, y)
    optimizer(grads)
""",
        "a cell": """
train = nn.TrainOneStepCell(with_loss, optimizer, sens=2.0)
train.set_train()
for x, y in data:
    train(x, y)
""",
    },
}
SAME = {"minimize": "a tape"}
KINDS = [
    (source, name, target) for source, texts in STEPS.items() for name in texts for target in FRAMEWORKS
    if source != target and (source, name, target) not in {("tensorflow", "minimize", "mindspore")}
]  # fmt: skip


@pytest.mark.parametrize(("source", "name", "target"), KINDS)
def test_what_is_shown_trains_as_the_step_does(source: str, name: str, target: str) -> None:
    text = STEPS[source][name]
    text = text if "import" in text else HEADS[source] + text
    found = steps_of(text, target)
    assert found
    assert all(item.replacement for item in found), [item.message for item in found]
    changed = applied(text, target)
    there = optmap.translate_source(changed, to=target, sources=[source], params=PARAMS[target])
    there_text = there.output.decode()
    run = (
        HEADS[source] + STEPS[source][SAME.get(name, name)]
    )  # Keras 3 has no minimize, and its variables are not TensorFlow's
    for before, after in zip(trained(source, run), trained(target, there_text), strict=True):
        np.testing.assert_allclose(before, after, rtol=2e-5, atol=1e-6)
