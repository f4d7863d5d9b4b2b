"""Which directions a check covers, and classes that the tables say nobody can run."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import permutations

import pytest

from optmap.conformance.api import check
from optmap.conformance.asked import directions
from optmap.conformance.results import Level, Mode, Pair, Report, Result, Verdict
from optmap.conformance.select import CheckError
from optmap.mapping.framework import Framework
from optmap.mapping.load import load, load_files
from optmap.mapping.stored import own_files
from optmap.mapping.values import Value
from optmap.report import CHECK_FORMATS
from optmap.source.calls import Form
from optmap.translate.constructors.arguments import CallArgument
from optmap.translate.constructors.resolve import Rewrite, resolve

SPEED = "mindspore.experimental.optim.adamw.SpeedAdamW"


def test_everything_is_every_direction() -> None:
    found = {(source, target) for sources, target in directions(load(), None, None, True) for source in sources}
    assert found == set(permutations(Framework, 2))


def test_one_target_where_it_is_named() -> None:
    others = frozenset({Framework("tensorflow"), Framework("mindspore")})
    assert directions(load(), None, "torch", True) == [(others, Framework("torch"))]
    assert directions(load(), None, None, False)[0][1] is Framework("mindspore")
    assert [target for _, target in directions(load(), ["torch"], None, True)] == [
        Framework("tensorflow"),
        Framework("mindspore"),
    ]
    with pytest.raises(CheckError, match="both as source and as target"):
        directions(load(), ["torch"], "torch", True)


def report(*verdicts: tuple[Verdict, str]) -> Report:
    results = tuple(
        Result(Pair("a", "b", {}, {}, not_run=why), "torch", "dense-mae", "float32", Mode.FORCED, 1, None,
               Level.EQUIVALENT, (), verdict, why or "worker died")
        for verdict, why in verdicts
    )  # fmt: skip
    return Report({"torch": "2"}, results=results)


def test_a_stated_reason_fails_nothing_and_another_does() -> None:
    stated, other = report((Verdict.NOT_RUN, "needs a device")), report((Verdict.NOT_RUN, ""))
    assert [item.passes for item in stated.results] == [True]
    assert [item.passes for item in other.results] == [False]


@pytest.mark.parametrize("format", CHECK_FORMATS)
def test_reports_tell_the_stated_reason(format: str) -> None:
    text = CHECK_FORMATS[format](report((Verdict.NOT_RUN, "needs a device")))
    assert "worker died" not in text
    if format == "junit":
        assert "<skipped" in text
        assert 'errors="0"' in text
    if format in ("json", "text", "html", "junit"):
        assert "needs a device" in text


@pytest.mark.usefixtures("shared_workers")
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_a_class_that_needs_a_device_is_not_run() -> None:
    found = check([SPEED], to="torch")
    (result,) = found.results
    assert (result.pair.source, result.pair.target, result.verdict) == (SPEED, "torch.optim.AdamW", Verdict.NOT_RUN)
    assert result.reason == result.pair.not_run
    assert "needs an Ascend device" in result.reason


def test_a_class_that_nobody_can_run_is_said_to_be_unmeasured() -> None:
    """Where it is the only one that expresses a call it is chosen, with a warning."""
    contents = [
        (name, data.replace(b"  mindspore.experimental.optim.RAdam:\n", b"  mindspore.experimental.optim.RAdam:\n"
                            b"    not_run: needs a device\n"))
        for name, data in own_files()
    ]  # fmt: skip
    tables = load_files(contents, own_modules=True)
    arguments = [CallArgument(Form.KEYWORD, "params", Value())]
    found = resolve(tables, tables.apis["torch.optim.RAdam"], arguments, Framework("mindspore"))
    assert isinstance(found, Rewrite)
    (reason,) = [reason for reason in found.reasons if reason.code.id == "OM220"]
    assert reason.message == "mindspore.experimental.optim.RAdam needs a device"
