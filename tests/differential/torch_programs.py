"""Programs of torch that define their models, so that all of them can become another framework's."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from string import Template
from typing import Final

from tests.differential.parts import Choices, Part, Slot, block, choose, each_alone, slots
from tests.differential.program import Program

TASKS: Final = {"regression": 10, "classes": 7, "binary": 3, "tokens": 3, "image": 4}
LOCAL: Final = {name: name for name in ("model", "criterion", "optimizer", "scheduler")}
OWN: Final = {name: f"self.{name}" for name in LOCAL}
STARTS: Final = {"total": "total = 0.0", "kept": "kept = []", "best": "best = 1e9"}


class Grammar:
    """The programs that may be made; with limits their model and loss come from elsewhere, and fewer parts are used."""

    source: Final = "torch"

    def __init__(self, kind: str = "torch", within: str | None = None, *, replay: bool = False) -> None:
        self.kind = kind
        self.foreign = within is not None
        self.replay = replay
        self.tasks = {"regression": 1} if within else TASKS
        self.SLOTS: dict[str, Slot] = slots("torch", "torch_training", within=within)

    def generate(self, random: Random) -> Program:
        task = random.choices([*self.tasks], [*self.tasks.values()])[0]
        return self.render(task, choose(self.SLOTS.values(), random, task))

    def alone(self) -> Iterator[Program]:
        """A program for each part."""
        return (self.render(task, choices) for task, choices in each_alone(self.SLOTS.values(), self.tasks))

    def render(self, task: str, choices: Choices) -> Program:
        parts = [self.SLOTS[slot].parts[name] for slot, names in choices.items() for name in names]
        text = _Writer(task, self.SLOTS, choices, foreign=self.foreign).text()
        warns = frozenset(code for part in parts for code in part.fields.get("warns", ()))
        return Program(
            self.kind, "torch", task, choices, text, warns, not any(part.rare for part in parts), self.replay
        )


class _Writer:
    """Writes the program of some choices. Choices that do not go together are read as their nearest neighbours."""

    def __init__(self, task: str, given: dict[str, Slot], choices: Choices, *, foreign: bool) -> None:
        self.task = task
        self.foreign = foreign
        self.chosen = {slot: [given[slot].parts[name] for name in names] for slot, names in choices.items()}
        self.heads: list[str] = []
        for parts in self.chosen.values():
            self.heads += [part["head"] for part in parts if part.has("head")]
        self.plain = self._is_plain()
        record = self.one("record")["text"]
        self.starts = [line for word, line in STARTS.items() if word in record]
        self.style = self.one("style").name
        if self.style in ("step", "made") and (self.starts or self._needs_loop()):
            self.style = "script"
        if self.style == "trainer" and self.one("extra").has("start"):  # what it makes is no attribute
            self.style = "script"
        self.names = dict(OWN if self.style == "trainer" else LOCAL)
        if foreign:
            self.names["criterion"] = "criterion"
        self.holder = self.one("holder")
        if self.style == "script":
            self.names["optimizer"] = self.holder["name"]

    def one(self, slot: str) -> Part:
        return self.chosen[slot][0]

    def every(self, field: str) -> list[str]:
        """A field of all chosen parts, in the order of the slots."""
        return [part[field] for parts in self.chosen.values() for part in parts if part.has(field)]

    def fill(self, text: str) -> str:
        return Template(text).safe_substitute(self.names)

    def _needs_loop(self) -> bool:
        extra = self.one("extra")["loss"]
        kept = "carried" in extra or self.one("extra")["start"]
        return bool(kept) or "continue" in extra or "break" in extra or self.one("accumulate").has("wrap")

    def _is_plain(self) -> bool:
        """Whether the model can be a Sequential: nothing asks for its members, and its forward pass is a chain."""
        if self.one("form").name not in ("sequential", "inner") or self.task in ("tokens", "image"):
            return False
        ops = [part for part in self.chosen["ops"] if part["text"]]
        asks = any(part.fields.get("form") == "class" for parts in self.chosen.values() for part in parts)
        middle = self.one("middle")
        return not ops and not asks and not middle.has("forward") and not middle.has("class")

    # The model.

    def layers(self) -> tuple[str, str, str, str]:
        first, middle, last = self.one("first")["init"], self.one("middle")["text"], self.one("last")["init"]
        pool, width = "", 6
        if self.task == "image":
            size = eval(self.one("pool")["size"], {"n": int(self.one("first")["size"])})
            pool, width = self.one("pool")["init"], 4 * size * size
            middle = ""
        return first, middle, pool, last.replace("{width}", str(width))

    def model(self) -> list[str]:
        if self.foreign:
            return ["model = make_model()"]
        first, middle, pool, last = self.layers()
        if self.plain and self.one("form").name == "sequential":
            return [
                "model = nn.Sequential(",
                *block(",\n".join(filter(None, (first, middle, last))), 1),
                ")" + self.one("data")["to"],
            ]
        parent = "super(Net, self).__init__()" if self.one("form").name == "super_old" else "super().__init__()"
        lines = ["class Net(nn.Module):", "    def __init__(self):", f"        {parent}"]
        if self.plain:
            lines += [f"        self.net = nn.Sequential({', '.join(filter(None, (first, middle, last)))})", ""]
            return [
                *lines,
                "    def forward(self, x):",
                "        return self.net(x)",
                "",
                "",
                f"model = Net(){self.one('data')['to']}",
            ]
        for name, made in (("first", first), ("middle", middle), ("pool", pool), ("last", last)):
            if made:
                lines.append(f"        self.{name} = {made}")
        if middle:
            lines += block(self.one("middle")["init"], 2)
        lines += block(self.one("freeze")["methods_init"], 2)
        lines += ["", "    def forward(self, x):", *block("\n".join(self.forward(middle)), 2)]
        for method in self.every("methods"):
            lines += ["", *block(method, 1)]
        lines += ["", ""]
        if self.one("form").name == "function":
            return [*lines, "def build():", "    return Net()", "", "", f"model = build(){self.one('data')['to']}"]
        return [*lines, f"model = Net(){self.one('data')['to']}"]

    def forward(self, middle: str) -> list[str]:
        first = (
            ["with torch.no_grad():", "    h = self.first(x)"]
            if self.one("freeze").has("head_no_grad")
            else ["h = self.first(x)"]
        )
        if self.task == "tokens" and not self.one("first").has("flat"):
            first += block(self.one("join")["text"])
        if self.task == "image":
            return [
                *first,
                *block(self.one("pool")["forward"]),
                *block(self.one("freeze")["head_ops"]),
                "return self.last(h)",
            ]
        lines = first
        if middle:
            lines += block(self.one("middle")["forward"] or "h = self.middle(h)")
        for part in self.chosen["ops"]:
            lines += block(part["text"])
        return [*lines, *block(self.one("freeze")["head_ops"]), "return self.last(h)"]

    # The training.

    def optimizer(self, names: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
        """What stands before the optimizer, what makes it, and what stands behind it."""
        optimizer, parameters = self.one("optimizer"), self.one("parameters")

        def made(model: str) -> tuple[str, str]:
            given = Template(parameters["arguments"]).safe_substitute(names | {"model": model})
            call = ", ".join(filter(None, (given, optimizer["arguments"])))
            return call, f"{optimizer['class']}({call})"

        before = [*self.every_of("before", skip=("schedule",))]
        call, whole = made(names["model"])
        make = [f"{names['optimizer']} = {whole}"]
        if self.style == "script":
            make = block(self.fill(self.holder["make"].format(**{
                "made": whole, "made_model": made("model")[1], "made_self": made("self.model")[1], "call": call,
                "class": optimizer["class"], "arguments": optimizer["arguments"], "parameters": parameters["arguments"],
            })))  # fmt: skip
        schedule = self.one("schedule")
        after = []
        if schedule.has("make"):
            after = [*block(self.fill(schedule["before"])), f"{names['scheduler']} = {self.fill(schedule['make'])}"]
        elif schedule.has("before"):
            after = block(self.fill(schedule["before"]))
        after += self.every_of("after", only=("freeze", "parameters"))
        return before, make, after

    def every_of(self, field: str, *, only: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> list[str]:
        lines: list[str] = []
        for slot, parts in self.chosen.items():
            if (not only or slot in only) and slot not in skip:
                for part in parts:
                    lines += block(self.fill(part[field]))
        return lines

    def loss(self) -> list[str]:
        given = self.one("loss")["loss"] or "loss = $criterion(output, y)"
        lines = ["output = $model(x)", *block(given)]
        if self.one("extra").has("loss_wrap"):
            lines = [self.one("extra")["loss_wrap"], *block("\n".join(lines), 1)]
        lines += [
            *block(self.one("penalty")["text"]),
            *block(self.one("extra")["loss"]),
            *block(self.one("accumulate")["loss"]),
        ]
        return block(self.fill("\n".join(lines)))

    def step(self) -> list[str]:
        zero, extra, update = self.one("zero"), self.one("extra"), self.one("update")
        accumulate = self.one("accumulate")
        lines = [*self.every_of("step", only=("data",)), *self.every_of("start", only=("mode", "extra"))]
        if update.has("closure"):
            inner = [f"{self.names['optimizer']}.zero_grad()", *self.loss(), "loss.backward()", "return loss"]
            lines += ["def closure():", *block("\n".join(inner), 1), f"loss = {self.names['optimizer']}.step(closure)"]
            return [*lines, *self.record()]
        if not accumulate.has("wrap"):
            lines += block(self.fill(f"{zero['start']}\n{extra['zero']}"))
        lines += self.loss()
        if not accumulate.has("wrap"):
            lines += block(self.fill(zero["between"]))
        backward = self.one("loss")["backward"] or extra["backward"] or accumulate["backward"] or "loss.backward()"
        lines += [*block(self.fill(backward)), *block(self.fill(accumulate["extra"]))]
        step = update["step"] or extra["step"] or "$optimizer.step()"
        last = [*block(self.one("clip")["text"]), *block(step), *block(update["after"]), *block(extra["after"])]
        last += block(self.one("schedule")["batch"])
        if accumulate.has("wrap"):
            last += ["$optimizer.zero_grad()"]
            last = [accumulate["wrap"], *block("\n".join(last), 1)]
        else:
            last += block(zero["end"])
        return [*lines, *block(self.fill("\n".join(last))), *self.record()]

    def record(self) -> list[str]:
        return block(self.fill(self.one("loss")["record"] or self.one("record")["text"]))

    def loop(self, step: list[str]) -> list[str]:
        lines = ["for epoch in range(2):", *block("\n".join(self.every_of("epoch_start")), 1)]
        head = (
            "for i, (x, y) in enumerate(batches):"
            if self.one("accumulate").has("enumerate")
            else "for x, y in batches:"
        )
        body = step
        if self.style == "script" and self.holder.has("loop"):
            body = [self.holder["loop"], *block("\n".join(step), 1)]
        lines += [f"    {head}", *block("\n".join(body), 2), *block("\n".join(self.every_of("epoch")), 1)]
        return lines

    def converted(self, lines: list[str]) -> list[str]:
        """Batches in other loops are converted like those of the training loop."""
        step = self.one("data")["step"]
        found: list[str] = []
        for line in lines:
            found.append(line.replace("{x}", "x").replace("{y}", "y"))
            if step and line.strip() == "for x, y in batches:":
                found += block(step, (len(line) - len(line.lstrip())) // 4 + 1)
        return found

    def text(self) -> str:
        criterion = self.one("loss")["criterion"]
        lines = [*block(self.one("imports")["text"])]
        if "OrderedDict" in self.one("middle")["text"]:
            lines.insert(0, "from collections import OrderedDict")
        if self.foreign:
            self.heads = ["from workshop import batches, criterion, make_model", *self.heads[1:]]
        for head in dict.fromkeys(sorted(self.heads, key=lambda head: not head.startswith(("import", "from")))):
            lines += block(self.fill(head))
        lines += ["", "", *self.model()]
        lines += ["", "history = []", *getattr(self, f"_{self.style}")(criterion)]
        return "\n".join(lines) + "\n"

    def _parts(self) -> tuple[list[str], list[str]]:
        """The statements that set up the training, and those that train."""
        before, make, after = self.optimizer(self.names)
        setup = [*before, *make, *after]
        setup = self.converted(setup)
        bare = self.loop(["STEP"])
        where = next(index for index, line in enumerate(bare) if line.strip() == "STEP")
        depth = (len(bare[where]) - len(bare[where].lstrip())) // 4
        head, tail = bare[:where], self.converted(bare[where + 1 :])
        return setup, [*self.starts, *head, *block("\n".join(self.step()), depth), *tail]

    def helpers(self) -> list[str]:
        helper = self.one("mode")["helper"]
        return ["", "", *self.converted(block(helper)), "", ""] if helper else []

    def _script(self, criterion: str) -> list[str]:
        setup, loop = self._parts()
        return [*self.helpers(), *([f"criterion = {criterion}"] if criterion else []), *setup, *loop]

    def _function(self, criterion: str) -> list[str]:
        setup, loop = self._parts()
        given = ["model", "batches", "optimizer"]
        given += ["criterion"] if criterion or self.foreign else []
        given += ["scheduler"] if self.one("schedule").has("make") else []
        lines = [*self.helpers(), "", f"def train({', '.join(given)}):", *block("\n".join(loop), 1), "", ""]
        lines += [*([f"criterion = {criterion}"] if criterion else []), *setup]
        return [*lines, f"train({', '.join(given)})"]

    def _step(self, criterion: str) -> list[str]:
        setup, _ = self._parts()
        step = self.step()
        lines = [*self.helpers(), *([f"criterion = {criterion}"] if criterion else []), *setup, "", ""]
        lines += ["def train_step(x, y):", *block("\n".join(step), 1), "    return loss.item()", "", ""]
        return [*lines, *self.converted(self.loop(["train_step(x, y)"]))] if not self.one("data").has("step") else [
            *lines, *self._tail(self.loop(["train_step(x, y)"]))
        ]  # fmt: skip

    def _tail(self, lines: list[str]) -> list[str]:
        """The training loop converts in its step, the loops behind it themselves."""
        where = next(index for index, line in enumerate(lines) if "train_step(x, y)" in line)
        return [*lines[: where + 1], *self.converted(lines[where + 1 :])]

    def _made(self, criterion: str) -> list[str]:
        setup, _ = self._parts()
        given = [
            "model",
            "optimizer",
            *(["criterion"] if criterion or self.foreign else []),
            *(["scheduler"] if self.one("schedule").has("make") else []),
        ]
        lines = [*self.helpers(), "", f"def make_step({', '.join(given)}):", "    def train_step(x, y):"]
        lines += [*block("\n".join(self.step()), 2), "        return loss.item()", "", "    return train_step", "", ""]
        lines += [
            *([f"criterion = {criterion}"] if criterion else []),
            *setup,
            f"train_step = make_step({', '.join(given)})",
        ]
        return [*lines, *self._tail(self.loop(["train_step(x, y)"]))]

    def _main(self, criterion: str) -> list[str]:
        setup, loop = self._parts()
        lines = [*self.helpers(), "", "def main(model):", *([f"    criterion = {criterion}"] if criterion else [])]
        return [*lines, *block("\n".join([*setup, *loop]), 1), "", "", 'if __name__ == "__main__":', "    main(model)"]

    def _trainer(self, criterion: str) -> list[str]:
        setup, loop = self._parts()
        lines = [*self.helpers(), "", "class Trainer:", "    def __init__(self, model):", "        self.model = model"]
        lines += [*([f"        self.criterion = {criterion}"] if criterion else []), *block("\n".join(setup), 2), ""]
        lines += ["    def fit(self, batches):", *block("\n".join(loop), 2), "", "", "trainer = Trainer(model)"]
        return [*lines, "trainer.fit(batches)"]
