"""Cheap tests on a file's bytes: is it worth parsing, and which passes may have anything to do? Most files want few."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

from optmap.diagnostics import DYNAMIC
from optmap.mapping.model import Framework, MappingSet
from optmap.translate.findings import Finding

_STEP: Final = re.compile(
    rb"\.step\b|zero_grad|apply_gradients|minimize\b|\.compile\b|TrainOneStepCell|value_and_grad|\bModel\("
)
_MODULE_BY_NAME: Final = re.compile(rb"getattr\([^()]*['\"]optim")


def may_hold_optimizers(data: bytes, tables: MappingSet, sources: Collection[Framework]) -> bool:
    """Tell whether a file may hold anything of the source frameworks that is worth parsing it for."""
    return may_mention(data, tables, sources) or _names_optimizers(data, sources)


def may_mention(data: bytes, tables: MappingSet, sources: Collection[Framework]) -> bool:
    """Tell whether a file may mention an optimizer by the name of its class or module."""
    if b"ptim" not in data:  # optim, optimizers, AdamOptimizer
        if Framework.MINDSPORE not in sources or b"mindspore" not in data:
            return False
        return any(name.encode() in data for name in tables.class_names)
    return any(root.encode() in data for framework in sources for root in tables.roots[framework])


def _names_optimizers(data: bytes, sources: Collection[Framework]) -> bool:
    """Tell whether the file may name an optimizer by a short name.

    Keras' `model.compile("adam")` is one form, timm's `create_optimizer_v2(model, "adamw")` another.
    """
    if Framework.TENSORFLOW in sources and b".compile(" in data and (b"keras" in data or b"tensorflow" in data):
        return True
    return Framework.TORCH in sources and b"create_optimizer_v2" in data


def looks_up_optimizers(data: bytes, mentions: Sequence[Finding], sources: Collection[Framework]) -> bool:
    """Tell whether the file may stand a string for an optimizer, given what it mentions."""
    if any(mention.code is DYNAMIC for mention in mentions) or _names_optimizers(data, sources):
        return True
    return b"getattr" in data and _MODULE_BY_NAME.search(data) is not None


def has_steps(data: bytes) -> bool:
    """Tell whether the file has a word that a training step is made of."""
    return _STEP.search(data) is not None


def has_surroundings(data: bytes, frameworks: Collection[Framework]) -> bool:
    """Tell whether the file has a word of the tables of what stands around an optimizer of one of the frameworks."""
    return any(word in data for framework in frameworks for word in _words().get(framework, ()))


@lru_cache(maxsize=1)
def _words() -> dict[str, list[bytes]]:
    from optmap.mapping.around import load_words

    return {name: [word.encode() for word in words] for name, words in load_words().items()}
