"""Translated calls are accepted by the real classes: each is executed with a small network under MindSpore on CPU."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import Status
from tests.later import later

mindspore = later("mindspore")

TORCH = {
    "Adam": ["lr=0.1", "betas=(0.5, 0.9)", "betas=(0, 0.9)", "eps=1e-3", "weight_decay=0", "weight_decay=0.1", "amsgrad=True",
             "maximize=True", "fused=None", "lr=1"],
    "AdamW": ["lr=0.1", "betas=(0.5, 0.9)", "betas=(0, 0.9)", "eps=1e-3", "weight_decay=1", "amsgrad=True", "maximize=True"],
    "Adamax": ["lr=1", "betas=[0.5, 0.9]", "eps=1", "weight_decay=0.1", "maximize=True"],
    "SparseAdam": ["lr=1", "betas=(0.5, 0.9)", "eps=1e-3"],
    "SGD": ["lr=1", "momentum=0", "momentum=1", "dampening=0", "weight_decay=0.1", "nesterov=False", "maximize=True"],
    "RMSprop": ["lr=1", "alpha=0", "alpha=0.5", "eps=1e-3", "momentum=0", "momentum=1", "centered=True", "maximize=True"],
    "Adagrad": ["lr=1", "lr_decay=0", "lr_decay=0.1", "weight_decay=1", "initial_accumulator_value=0",
                "initial_accumulator_value=1", "eps=1e-3", "maximize=True"],
}  # fmt: skip
KERAS = {
    "Adam": [
        "learning_rate=1",
        "beta_1=0.0",
        "beta_2=0.5",
        "epsilon=1e-3",
        "amsgrad=True",
        "weight_decay=0.1",
        "name='x'",
    ],
    "AdamW": ["weight_decay=0.1", "weight_decay=None", "beta_1=0.5", "amsgrad=True"],
    "Adamax": ["learning_rate=1", "beta_1=0.5", "epsilon=1e-3"],
    "SGD": ["learning_rate=1", "momentum=0", "momentum=0.9", "nesterov=True", "clipnorm=None"],
    "RMSprop": ["rho=0", "rho=0.5", "momentum=0", "momentum=1", "epsilon=1e-3", "centered=True"],
    "Adagrad": ["initial_accumulator_value=0", "epsilon=1e-7"],
}
OLD = {
    "AdamOptimizer": ["0.1", "0.1, beta1=0.5", "epsilon=1e-3"],
    "MomentumOptimizer": ["0.1, 0.9", "0.1, 0", "0.1, momentum=1, use_nesterov=True"],
    "GradientDescentOptimizer": ["1"],
    "RMSPropOptimizer": ["0.1", "0.1, 0.5, 0, 1e-3", "0.1, centered=True"],
    "AdagradOptimizer": ["0.1", "0.1, 1"],
}


def calls() -> list[str]:
    found = []
    for prefix, first, table in (
        ("torch.optim", "net.parameters(), ", TORCH), ("tf.keras.optimizers", "", KERAS), ("tf.compat.v1.train", "", OLD),
    ):  # fmt: skip
        for name, arguments in table.items():
            pairs = [] if table is OLD else [", ".join(pair) for pair in itertools.combinations(arguments, 2)]
            plain = [] if table is OLD else [""]
            for text in (*plain, *arguments, *pairs):
                keys = [part.partition("=")[0] for part in text.split(", ") if "=" in part]
                if len(keys) == len(set(keys)):
                    found.append(f"{prefix}.{name}({first}{text})")
    return found


CALLS = calls()


def network() -> Any:
    return mindspore.nn.Dense(2, 3)


@pytest.mark.parametrize("prefer", Prefer)
def test_real_classes_accept_the_translated_calls(prefer: Prefer, tables: MappingSet) -> None:
    body = "".join(f"def make{number}(net):\n    return {call}\n" for number, call in enumerate(CALLS))
    options = Options(
        Framework("mindspore"),
        frozenset({Framework("torch"), Framework("tensorflow")}),
        prefer,
        "net.trainable_params()",
    )
    result = translate_bytes(f"import tensorflow as tf\nimport torch\n{body}".encode(), tables, options)
    translated = [call for call in result.calls if call.status is Status.TRANSLATED]
    assert len(translated) > 0.9 * len(CALLS)
    namespace: dict[str, Any] = {}
    source = "\n".join(line for line in result.output.decode().splitlines() if not line.startswith("import t"))
    exec(compile(source, "translated", "exec"), namespace)
    failures = []
    refused = {call.line for call in result.calls if call.status is Status.REFUSED}
    for number, call in enumerate(CALLS):
        if 2 * number + 4 in refused:
            continue
        try:
            namespace[f"make{number}"](network())
        except (TypeError, ValueError, KeyError) as error:
            failures.append(f"{call}: {error}")
    assert not failures, "\n".join(failures)
