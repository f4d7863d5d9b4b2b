"""Functions in place of MindSpore's cells that compute a loss, or make a step."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from optmap.mapping.frameworks import Shown, fill
from optmap.source.changes import Change, Delete, Replace
from optmap.source.model import Module
from optmap.source.templates import Template
from optmap.translate.steps.read.cells import LossCell
from optmap.translate.steps.read.targets import Retargeted
from optmap.translate.steps.write.pieces import filled

_WORD: Final = re.compile(r"\w+")
_LOCAL: Final = ("loss", "scaled", "tape", "grads")
"""What the variables of a function are called if nothing that it reads has that name."""


def step_function(step: Retargeted, words: Shown, names: Mapping[str, str]) -> str:
    """The function that makes a step as a cell did, in words of the target."""
    cell = step.cell
    assert cell is not None
    target, scaled = cell.statement.targets[0], ast.unparse(cell.scale) if cell.scale is not None else ""
    used = set(_WORD.findall(f"{cell.loss.value} {cell.optimizer} {scaled} {names['made']}"))
    names = {**names, **{name: name for name in _LOCAL if name not in used}}
    function = cell.name if isinstance(target, ast.Name) else cell.name.rpartition(".")[2]
    scale = f"{scaled} * {names['loss']}" if scaled else ""
    beside, model = bool(scale) and "{scale}" in words.cell, ".".join(step.model)
    update = fill(words.update, optimizer=cell.optimizer, grads=names["grads"], model=model)
    texts = {
        **names, "name": function, "given": cell.loss.given, "value": cell.loss.value, "optimizer": cell.optimizer,
        "model": model, "scale": f"{names['scaled']} = {scale}" if beside else "",
        "scaled": names["scaled"] if beside else f"({scale})" if scale else names["loss"],
        "update": update + (f"\n{step.scheduler}.step()" if step.scheduler else ""),
    }  # fmt: skip
    text = filled(words.cell, **texts)
    return text if isinstance(target, ast.Name) else f"{text}\n\n{cell.name} = {function}"


def loss_function(cell: LossCell) -> Iterator[tuple[ast.Assign, str]]:
    """The statement that names a cell of a model and a loss, and the function in its place if the cell is called."""
    if cell.statement is not None:
        name = ast.unparse(cell.statement.targets[0])
        yield cell.statement, f"def {name}({cell.given}):\n    return {cell.value}" if cell.called else ""


def step_changes(module: Module, step: Retargeted, words: Shown, names: Mapping[str, str]) -> Iterator[Change]:
    """The changes of a cell that makes steps."""
    cell = step.cell
    assert cell is not None
    yield _defined(module, cell.statement, step_function(step, words, names))
    for node in cell.modes:
        yield Replace(node, Template(ast.unparse(cell.loss.model)))
    yield from loss_changes(module, cell.loss)


def loss_changes(module: Module, cell: LossCell) -> Iterator[Change]:
    """The changes of a cell that computes the loss; its mode is its model's."""
    for statement, text in loss_function(cell):
        yield _defined(module, statement, text) if text else Delete(statement)
    for node in cell.modes:
        yield Replace(node, Template(ast.unparse(cell.model)))


def _defined(module: Module, statement: ast.stmt, text: str) -> Change:
    """A definition in place of a statement, with the blank lines behind it that it is due."""
    (block, place), lines = module.block(statement), module.source.body.splitlines()
    top = module.parent(statement) is module.tree
    after = "\n\n" not in text and place + 1 < len(block) and lines[statement.end_lineno or 0].strip()
    return Replace(statement, Template(text + "\n" * (1 + top) * bool(after)))
