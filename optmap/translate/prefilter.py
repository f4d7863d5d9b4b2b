"""Cheap tests on a file's bytes: may it say anything about what stands around an optimizer? Most files do not.

The rooms that know more are imported only then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

from optmap.diagnostics import DYNAMIC
from optmap.mapping.model import Framework
from optmap.translate.discover.sites import Mention

_MODULE_BY_NAME: Final = re.compile(rb"getattr\([^()]*['\"]optim")


def names_optimizers(data: bytes, sources: Collection[Framework]) -> bool:
    """Tell whether the file may name an optimizer by a short name.

    Keras' `model.compile("adam")` is one form, timm's `create_optimizer_v2(model, "adamw")` another.
    """
    if Framework.TENSORFLOW in sources and b".compile(" in data and (b"keras" in data or b"tensorflow" in data):
        return True
    return Framework.TORCH in sources and b"create_optimizer_v2" in data


def looks_up_optimizers(data: bytes, mentions: Sequence[Mention], sources: Collection[Framework]) -> bool:
    """Tell whether the file may stand a string for an optimizer, given what it mentions."""
    if any(mention.code is DYNAMIC for mention in mentions) or names_optimizers(data, sources):
        return True
    return b"getattr" in data and _MODULE_BY_NAME.search(data) is not None


def has_surroundings(data: bytes, frameworks: Collection[Framework]) -> bool:
    """Tell whether the file has a word of the tables of what stands around an optimizer of one of the frameworks."""
    return any(word in data for framework in frameworks for word in _words().get(framework, ()))


@lru_cache(maxsize=1)
def _words() -> dict[str, list[bytes]]:
    from optmap.mapping.around import load_words

    return {name: [word.encode() for word in words] for name, words in load_words().items()}
