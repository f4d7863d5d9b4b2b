"""Programs of TensorFlow and MindSpore, whose model, loss and batches come from elsewhere.

`replay` programs are for translating the constructor alone: their loops are plain, and gradients are replayed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from random import Random
from string import Template
from typing import Final

from tests.differential.parts import Choices, Slot, block, choose, each_alone, slots
from tests.differential.program import Program

LOCAL: Final = {"model": "model", "optimizer": "optimizer", "second": "second", "criterion": "criterion"}
OWN: Final = {"model": "self.model", "optimizer": "self.optimizer", "second": "self.second", "criterion": "criterion"}
PLAIN: Final = (
    "gradient",
    "made",
    "forward",
    "clip",
    "style",
    "record",
    "evaluation",
    "decorator",
    "update",
    "mode",
    "freeze",
)
"""Slots that a replayed program leaves neutral: nothing is computed, and the model stays the source's."""
TASK: Final = "regression"


class Grammar:
    """The programs of one framework; the harness asks it as it asks `torch_programs`."""

    def __init__(self, source: str, *, replay: bool = False) -> None:
        self.source = source
        self.replay = replay
        self.kind = f"{source} constructors" if replay else f"{source} steps"
        self.SLOTS: dict[str, Slot] = slots(source)

    def generate(self, random: Random) -> Program:
        chosen = choose(self.SLOTS.values(), random, TASK)
        return self.render(TASK, chosen)

    def alone(self) -> Iterator[Program]:
        return (self.render(task, choices) for task, choices in each_alone(self.SLOTS.values(), [TASK]))

    def render(self, task: str, choices: Choices) -> Program:
        if self.replay:
            choices = choices | {name: (slot.first,) for name, slot in self.SLOTS.items() if name in PLAIN}
        kinds: dict[str, type[_Writer]] = {"tensorflow": _TensorFlow, "mindspore": _MindSpore}
        writer = kinds[self.source](self.SLOTS, choices)
        parts = [self.SLOTS[slot].parts[name] for slot, names in choices.items() for name in names]
        warns = frozenset(code for part in parts for code in part.fields.get("warns", ()))
        warns -= {"OM315"} if self.replay else set()  # a replay does what that message says
        ordinary = not any(part.rare for part in parts)
        return Program(self.kind, self.source, task, choices, writer.text(), warns, ordinary, self.replay)


class _Writer(ABC):
    """What the two frameworks have in common: styles, and the loop."""

    def __init__(self, slots: dict[str, Slot], choices: Choices) -> None:
        self.chosen = {slot: slots[slot].parts[names[0]] for slot, names in choices.items()}
        self.style = self.chosen["style"].name
        self.names = OWN if self.style == "trainer" else LOCAL

    @abstractmethod
    def text(self) -> str: ...

    def field(self, slot: str, field: str = "text") -> str:
        return self.chosen[slot][field]

    def fill(self, text: str) -> list[str]:
        return block(Template(text).safe_substitute(self.names))

    def rate(self) -> tuple[list[str], str]:
        """What stands before the optimizer, and its arguments with the learning rate in place."""
        optimizer, rate = self.chosen["optimizer"], self.chosen["rate"]
        arguments = optimizer["arguments"]
        if "{rate}" not in arguments:
            return [], arguments
        values = {"rate": optimizer["rate"], "schedules": "tf.keras.optimizers.schedules"}
        written = rate["text"].format(**values)
        return block(rate["before"].format(**values)), arguments.replace("{rate}", written)

    def loop(self, step: list[str]) -> list[str]:
        return ["for epoch in range(2):", "    for x, y in batches:", *block("\n".join(step), 2)]

    def record(self) -> list[str]:
        return self.fill(self.field("forward", "record") or self.field("record"))


class _TensorFlow(_Writer):
    """A tape, `tape.gradient` and `apply_gradients`."""

    def optimizer(self) -> list[str]:
        before, arguments = self.rate()
        name, imports = self.field("optimizer", "class"), self.chosen["imports"].name
        spelled = {
            "classes": name,
            "optimizers": f"optimizers.{name}",
            "keras": f"keras.optimizers.{name}",
            "keras_alone": f"keras.optimizers.{name}",
        }
        made = f"{self.names['optimizer']} = {spelled.get(imports, f'tf.keras.optimizers.{name}')}({arguments})"
        return [*before, made, *self.fill(self.field("gradient", "before")), *self.fill(self.field("later"))]

    def step(self) -> list[str]:
        gradient = self.field("gradient").replace("{clip}", self.field("clip"))
        gradient = "\n".join(line for line in gradient.split("\n") if line)
        return [
            self.field("gradient", "head") or "with tf.GradientTape() as tape:",
            *block("\n".join(self.fill(self.field("forward"))), 1),
            *self.fill(gradient),
        ]

    def text(self) -> str:
        imports = self.field("imports").replace("{name}", self.field("optimizer", "class"))
        lines = [
            *block(imports),
            "from workshop import batches, criterion, make_model",
            "",
            "model = make_model()",
            "history = []",
        ]
        step, decorator = self.step(), block(self.field("decorator"))
        evaluation = self.fill(self.field("evaluation"))
        if self.style == "loop":
            lines += [*self.optimizer(), *self.loop([*step, *self.record()]), *evaluation]
        elif self.style == "step":
            lines += [
                *self.optimizer(),
                "",
                "",
                *decorator,
                "def train_step(x, y):",
                *block("\n".join(step), 1),
                "    return loss",
                "",
                "",
            ]
            lines += [*self.loop(["loss = train_step(x, y)", *self.record()]), *evaluation]
        elif self.style == "function":
            body = [*self.optimizer(), *self.loop([*step, *self.record()]), *evaluation]
            lines += ["", "", "def fit(model, batches):", *block("\n".join(body), 1), "", "", "fit(model, batches)"]
        else:
            lines += ["", "", "class Trainer:", "    def __init__(self, model):", "        self.model = model"]
            lines += [
                *block("\n".join(self.optimizer()), 2),
                "",
                *[f"    {line}" for line in decorator],
                "    def step(self, x, y):",
            ]
            lines += [*block("\n".join(step), 2), "        return loss", "", "    def fit(self):"]
            lines += [
                *block("\n".join([*self.loop(["loss = self.step(x, y)", *self.record()]), *evaluation]), 2),
                "",
                "",
            ]
            lines += ["trainer = Trainer(model)", "trainer.fit()"]
        return "\n".join(lines) + "\n"


class _MindSpore(_Writer):
    """A forward function, `value_and_grad`, and the optimizer called with gradients."""

    def optimizer(self) -> list[str]:
        before, arguments = self.rate()
        parameters = self.chosen["parameters"]
        given = Template(parameters["arguments"]).safe_substitute(self.names)
        call = ", ".join(filter(None, (given, arguments)))
        made = f"{self.names['optimizer']} = {self.field('optimizer', 'class')}({call})"
        setup = [*self.fill(self.field("freeze")), *before, *self.fill(parameters["before"]), made]
        return [*setup, *self.fill(self.field("mode"))]

    def gradients(self) -> list[str]:
        """The forward function, and what is made of it."""
        decorator = [] if self.style == "trainer" else block(self.field("decorator"))
        forward = [*decorator, "def forward_fn(x, y):", *block("\n".join(self.fill(self.field("forward"))), 1), ""]
        return [*forward, *self.made()]

    def made(self) -> list[str]:
        aux = ", has_aux=True" if self.chosen["forward"].has("aux") else ""
        return self.fill(self.field("made").replace("{aux}", aux))

    def step(self) -> list[str]:
        made = self.chosen["made"]
        if made.has("step"):
            return self.fill(made["step"])
        call = (
            "(loss, output), grads = grad_fn(x, y)"
            if self.chosen["forward"].has("aux")
            else "loss, grads = grad_fn(x, y)"
        )
        return [call, *self.fill(self.field("clip")), *self.fill(self.field("update"))]

    def text(self) -> str:
        lines = [
            *block(self.field("imports")),
            "from workshop import batches, criterion, make_model",
            "",
            "model = make_model()",
            "history = []",
        ]
        evaluation = self.fill(self.field("evaluation"))
        if self.style == "trainer":
            own = ["def forward_fn(self, x, y):", *block("\n".join(self.fill(self.field("forward"))), 1)]
            made = [
                line.replace("forward_fn", "self.forward_fn")
                .replace("grad_fn =", "self.grad_fn =")
                .replace("train_net", "self.train_net")
                .replace("loss_net", "self.loss_net")
                for line in self.made()
            ]
            step = [
                line.replace("= grad_fn", "= self.grad_fn")
                .replace("= forward_fn", "= self.forward_fn")
                .replace("train_net(", "self.train_net(")
                .replace("loss_net(", "self.loss_net(")
                for line in self.step()
            ]
            lines += ["", "", "class Trainer:", "    def __init__(self, model):", "        self.model = model"]
            lines += [
                *block("\n".join([*self.optimizer(), *made]), 2),
                "",
                *block("\n".join(own), 1),
                "",
                "    def step(self, x, y):",
            ]
            lines += [*block("\n".join(step), 2), "        return loss", "", "    def fit(self):"]
            lines += [
                *block("\n".join([*self.loop(["loss = self.step(x, y)", *self.record()]), *evaluation]), 2),
                "",
                "",
            ]
            return "\n".join([*lines, "trainer = Trainer(model)", "trainer.fit()"]) + "\n"
        body = [*self.optimizer(), "", *self.gradients(), *self.loop([*self.step(), *self.record()]), *evaluation]
        if self.style == "function":
            lines += ["", "", "def fit(model, batches):", *block("\n".join(body), 1), "", "", "fit(model, batches)"]
        elif self.style == "step":
            step = ["def train_step(x, y):", *block("\n".join(self.step()), 1), "    return loss", "", ""]
            lines += [*self.optimizer(), "", *self.gradients(), "", "", *step]
            lines += [*self.loop(["loss = train_step(x, y)", *self.record()]), *evaluation]
        else:
            lines += body
        return "\n".join(lines) + "\n"
