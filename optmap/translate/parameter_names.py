"""What conditions on parameters' names select once the other framework names the parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from optmap.mapping.model import Framework

_CALLED: Final = {
    Framework.MINDSPORE: {
        "weight": "gamma in normalization layers and embedding_table in nn.Embedding",
        "bias": "beta in normalization layers",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
    Framework.TORCH: {
        "gamma": "weight",
        "beta": "bias",
        "embedding_table": "weight",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    },
}
"""The last parts of parameters' names in the other framework, and what this one calls them (torch 2.13, MindSpore 2.10)."""
_SHOWN: Final = 4


def names_message(literals: Sequence[str], target: Framework) -> str:
    """Say, for the strings that names are compared with, what they stand for in the target."""
    called = _CALLED.get(target, {})
    known: dict[str, str] = {}
    others = []
    for literal in literals:
        parts = [part for part in called if re.search(rf"(?:^|[._]){part}$", literal.lower())]
        if parts:
            known[literal] = f"what {literal!r} ends in is called {called[parts[0]]}"
            if parts == ["bias"] or parts == ["weight"]:
                layer = literal[: -len(parts[0])]
                if layer.strip("._"):
                    new = "beta" if parts == ["bias"] else "gamma"
                    known[literal] = f"{literal!r} is called {layer}{new} if that is a normalization layer"
                else:
                    known[literal] = f"{literal!r} is called {called[parts[0]]}"
        else:
            others.append(literal)
    says = list(known.values())
    if others:
        shown = ", ".join(map(repr, others[:_SHOWN])) + (", ..." if len(others) > _SHOWN else "")
        says.append(f"{shown} must stand in the names of the {target} model's layers")
    if not says:
        says = ["gamma and beta, say, in the one are weight and bias in the other"]
    return f"parameters are picked by name, and {target} names them differently: {'; '.join(says)}"
