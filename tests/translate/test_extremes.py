"""Values that no program should hold are translated, or refused for what they are, and never an internal error."""

from __future__ import annotations

import pytest

from optmap.diagnostics import INTERNAL_ERROR, UNVERIFIED
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes

TABLES = load()
VALUES = [
    "-0.1", "-1", "0", "-0.0", "1e200", "-1e200", "1e-300", "1e999", "-1e999", "1e999 - 1e999", "9" * 400, "-9**9**9", "10**-400",
    "True", "None", "...", "''", "'0.1'", "b'1'", "1j", "()", "(1,)", "(1, 2)", "[]", "{}", "{1: 2}", "(-0.1, 1e200)", "(None, None)", "('a', 1j)",
    "lambda: 1", "x if y else z", "f'{x}'", "not x", "~1", "1 << 70", "*x",
]  # fmt: skip


@pytest.mark.parametrize("to", TABLES.frameworks)
@pytest.mark.parametrize("share", range(4))
def test_any_value_for_any_parameter(share: int, to: str) -> None:
    """A file with all classes and their parameters for each share of the values, which take turns."""
    target = TABLES.framework(to)
    for source in TABLES.frameworks.values():
        if source is target:
            continue
        rows = [(api, row) for api in TABLES.apis.values() if api.framework is source for row in api.current]
        lines = [
            f"{api.name}(net.parameters(), {row.name}={value})" if value[0] != "*" else f"{api.name}({value})"
            for index, (api, row) in enumerate(rows)
            for value in [VALUES[(4 * index + share) % len(VALUES)]]
            if not row.is_parameters
        ]
        failing(lines, target, source)


def failing(lines: list[str], target: Framework, source: Framework) -> None:
    text = "\n".join(["import torch, mindspore", "import tensorflow as tf", *lines, ""])
    result = translate_bytes(text.encode(), TABLES, Options(target, frozenset({source}), params="p"))
    assert result.error is None
    failed = [item for item in result.diagnostics if item.code in (INTERNAL_ERROR, UNVERIFIED)]
    assert not failed, (lines[failed[0].line - 3], failed[0].message)


@pytest.mark.parametrize("epsilon", ["-0.1", "1e200", "-1e200", "9" * 400])
@pytest.mark.parametrize("to", ["torch", "mindspore"])
def test_no_root_of_what_has_none(to: str, epsilon: str) -> None:
    """Found by fuzzing."""
    calls = [
        f"tf.keras.optimizers.{name}(epsilon={epsilon}, centered=True)" for name in ("RMSprop", "experimental.RMSprop")
    ]
    failing(
        [*calls, f"tf.keras.optimizers.Adagrad(epsilon={epsilon})"],
        TABLES.framework(to),
        TABLES.framework("tensorflow"),
    )
