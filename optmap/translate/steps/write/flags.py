"""Keras's way to tell models that they are for training: what becomes of it beside a rewritten step."""

from __future__ import annotations

import ast
from collections.abc import Collection

from optmap.mapping.framework import Framework
from optmap.source.model import Module
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.read.tape import VARIABLES, training_flags


def drop_flags(plan: PlainStep, changes: NameChanges) -> None:
    """Take `training=True` away: what it says, the mode of the model says."""
    for node, word in training_flags(plan.region):
        changes.drop(node, word)


def report_rest(module: Module, changes: NameChanges, done: Collection[int], target: Framework) -> None:
    """Report what else of the file is Keras's way to call models and to name their variables."""
    for node in module.nodes(ast.Call, ast.Attribute):
        if id(node) in done or id(node) in changes.touched:
            continue
        if isinstance(node, ast.Call) and any(word.arg == "training" for word in node.keywords):
            changes.stay(node, f"training=...: {target.facts.models.mode}")
        elif isinstance(node, ast.Attribute) and node.attr in VARIABLES:
            changes.stay(node, f".{node.attr}: {target.facts.models.called} has {target.facts.parameters.trainable}()")
