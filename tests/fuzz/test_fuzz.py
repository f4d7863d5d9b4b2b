"""A sample of the long run, and what it relies on: places that Python allows, and a judge that finds faults."""

from __future__ import annotations

import ast
from collections import Counter
from random import Random

import pytest

from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.fuzz.generate import File, generate
from tests.fuzz.judge import judge, judge_any
from tests.fuzz.mutate import mutated
from tests.fuzz.positions import POSITIONS
from tests.translate.test_properties import TABLES


@pytest.mark.parametrize("seed", range(16))
def test_generated_files(seed: int) -> None:
    judge(generate(Random(seed), 20))


def test_calls_are_translated_and_refused() -> None:
    found = sum((judge(generate(Random(seed), 20)) for seed in range(100, 104)), Counter[str]())
    assert min(found["translated"], found["refused"]) > 10


@pytest.mark.parametrize("seed", range(10))
def test_mutilated_files(seed: int) -> None:
    assert sum(judge_any(*mutated(Random(f"{seed}.{number}"))) for number in range(40))


def test_a_flag_is_what_its_value_is_in_a_condition() -> None:
    data = b"import tensorflow as tf\ntf.compat.v1.train.MomentumOptimizer(0.1, 0.5, use_nesterov=(w := 0.5)).minimize(net)\n"
    options = generate(Random(0), 1).options._replace(
        target=TABLES.framework("mindspore"),
        sources=frozenset({TABLES.framework("tensorflow")}),
        params="net.trainable_params()",
    )
    assert judge(File(data, b"\n", 1, options)) == {"translated": 1}


@pytest.mark.parametrize("place", POSITIONS)
def test_python_allows_every_place(place: str) -> None:
    assert ast.parse(place.replace("$call", "f(x)").replace("$flat", "f(x)").replace("$n", "1"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("learning_rate=0.1", "learning_rate=0.2", "learning_rate: 0.1 became 0.2"),
        ("# why", "", "comments are gone"),
        ("x = 1", "x = 2", "do not make the output"),
        ("SGD(net", "Adam(net", "1 calls became 0"),
    ],
)
def test_the_judge_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str) -> None:
    """Each fault is put into a translation that is right."""
    data = b"import torch\nopt = torch.optim.SGD(net.parameters(), lr=0.1)  # why\nx = 1\n"
    options = generate(Random(0), 1).options._replace(
        target=TABLES.framework("mindspore"), sources=frozenset({TABLES.framework("torch")})
    )
    file = File(data, b"\n", 1, options)
    assert judge(file) == {"translated": 1}

    def spoiled(*given: object) -> FileResult:
        result = translate_bytes(*given)  # type: ignore[arg-type]
        output = result.output.decode()
        assert old in output
        edits = tuple(edit._replace(text=edit.text.replace(old, new)) for edit in result.edits)
        return result._replace(output=output.replace(old, new).encode(), edits=edits)

    monkeypatch.setattr("tests.fuzz.judge.translate_bytes", spoiled)
    if "became" in said:
        monkeypatch.setattr("tests.fuzz.judge.prove", lambda *given: None)
    with pytest.raises(AssertionError, match=said):
        judge(file)
