"""What trains with an optimizer and is choosy about its class: MindSpore's Model takes optimizers of mindspore.nn alone."""

from __future__ import annotations

import ast

from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import Kind
from optmap.source.model import Module
from optmap.translate.constructors.resolve import Trainer
from optmap.translate.discover.events import done_with
from optmap.translate.discover.holders import Search, uses_of
from optmap.translate.discover.sites import CallSite


def find_trainer(site: CallSite, target: Framework) -> Trainer | None:
    """The first place that hands the optimizer to what is choosy, in this file or in the one that it becomes."""
    module: Module = site.module
    held = [use for holder in Search(module, [site]).run() for use in uses_of(module, holder.variable)]
    for use in (site.node, *held):
        for kind, done in done_with(module, use, site.api.framework):
            if kind is Kind.COMPILE:
                return compiled(done, target)
        if (call := module.call_with(use)) is not None:
            path = next((path for path in target.facts.steps.trainers if path in module.paths(call.func)), None)
            if path is not None:
                return Trainer(target.facts.steps.trained, f"{path} on line {call.lineno}")
    return None


def compiled(call: ast.Call, target: Framework) -> Trainer | None:
    """What becomes of a Keras model's compile."""
    steps = target.facts.steps
    if not steps.trainers:
        return None
    return Trainer(steps.trained, f"{steps.trainers[0]}, which compile() on line {call.lineno} becomes,")
