"""Keras's way to tell models that they are for training: what becomes of it beside a rewritten step."""

from __future__ import annotations

import ast
from collections.abc import Collection

from optmap.mapping.framework import Framework
from optmap.source.model import Module
from optmap.translate.steps.names.changes import NameChanges
from optmap.translate.steps.names.references import NameRewriter
from optmap.translate.steps.read.plan import PlainStep
from optmap.translate.steps.read.tape import training_flags
from optmap.translate.steps.reasons import NotPlain, Why


def drop_flags(plan: PlainStep, changes: NameChanges) -> None:
    """Take `training=True` away: what it says, the mode of the model says."""
    for node, word in training_flags(plan.region):
        changes.drop(node, word)


def report_rest(names: NameRewriter, source: Framework, target: Framework) -> None:
    """Report what else of the file is Keras's way to call models and to ask them. Raises NotPlain where a step does so."""
    module, models = names.module, target.facts.models
    words = models.lacking.get(source, {})
    for node in module.nodes(ast.Call, ast.Attribute):
        if id(node) in names.done or id(node) in names.changes.touched:
            continue
        if isinstance(node, ast.Call) and any(word.arg == source.facts.models.flag for word in node.keywords):
            names.changes.stay(node, f"{source.facts.models.flag}=...: {models.mode}")
        elif isinstance(node, ast.Attribute) and asks(module, node, words):
            if node in names.world:
                raise NotPlain(Why.NOT_IN_TABLE, line=node.lineno, used=f".{node.attr}: {words[node.attr]}")
            names.changes.stay(node, f".{node.attr}: {words[node.attr]}")


def asks(module: Module, node: ast.Attribute, words: Collection[str]) -> bool:
    """Tell whether an attribute, which is no part of an import path, asks a model for one of these."""
    return node.attr in words and isinstance(node.ctx, ast.Load) and module.paths(node) <= {None}
