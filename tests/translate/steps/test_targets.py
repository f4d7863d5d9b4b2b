"""Proof and price of steps that become torch's and TensorFlow's."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.changes import Replace
from optmap.source.compose import to_edits
from optmap.source.edits import apply_edits
from optmap.source.proof import VerificationError, verify
from optmap.source.text import SourceError, read_source
from optmap.translate import pipeline
from optmap.translate.options import Options
from optmap.translate.passes import run_passes
from optmap.translate.pipeline import translate_bytes
from tests.translate.steps.test_target_programs import FROM_MINDSPORE, FROM_TENSORFLOW, FROM_TORCH

PROGRAMS = [
    *((text, Framework("mindspore"), Framework("torch")) for text in FROM_MINDSPORE.values()),
    *((text, Framework("mindspore"), Framework("tensorflow")) for text in FROM_MINDSPORE.values()),
    *((text, Framework("tensorflow"), Framework("torch")) for text in FROM_TENSORFLOW.values()),
    *((text, Framework("torch"), Framework("tensorflow")) for text in FROM_TORCH.values()),
]


def options_of(source: Framework, target: Framework) -> Options:
    return Options(target, frozenset({source}), rewrite_step=True)


@pytest.mark.parametrize(("text", "source", "target"), PROGRAMS)
def test_every_edit_of_a_step_is_needed_for_the_proof(
    text: str, source: Framework, target: Framework, tables: MappingSet
) -> None:
    """Leave out any one edit of a step, and the result is no longer what was planned."""
    read = read_source(text.encode())
    changes = run_passes(pipeline.unit_of(read, tables, options_of(source, target)), {}).changes
    edits = to_edits(read, changes)
    verify(read, apply_edits(read.body, edits), changes, edits)
    for index, edit in enumerate(edits):
        if not read.text(edit.start, edit.end).strip() and not edit.text.strip():
            continue  # the indentation of a line that goes on
        fewer = [*edits[:index], *edits[index + 1 :]]
        with pytest.raises((VerificationError, SourceError)):
            verify(read, apply_edits(read.body, fewer), changes, fewer)
    assert len(edits) >= 2


@pytest.mark.parametrize(("text", "source", "target"), PROGRAMS)
def test_a_step_that_cannot_be_proved_is_left_alone(
    text: str, source: Framework, target: Framework, tables: MappingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(source, body, changes, edits):  # type: ignore[no-untyped-def]
        if any(isinstance(item, Replace) and isinstance(item.node, tuple | ast.stmt) for item in changes):
            raise VerificationError("a test says so")
        verify(source, body, changes, edits)

    monkeypatch.setattr(pipeline, "verify", fails)
    result = translate_bytes(text.encode(), tables, options_of(source, target))
    codes = {item.code.id for item in result.diagnostics}
    assert {"OM004", "OM401"} <= codes
    assert "OM403" not in codes
    kept = {
        Framework("mindspore"): b"value_and_grad(",
        Framework("tensorflow"): b".apply_gradients(",
        Framework("torch"): b".backward(",
    }
    assert kept[source] in result.output


@pytest.mark.parametrize(("target", "wanted"), [("mindspore", False), ("tensorflow", True)])
def test_the_writers_of_a_target_are_loaded_for_it_alone(target: str, wanted: bool) -> None:
    script = (
        "import sys\nfrom optmap.api import translate_source\n"
        f"translate_source({FROM_TORCH['function']!r}, {target!r}, rewrite_step=True)\n"
        "print('optmap.translate.steps.write.retarget' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(wanted)]
