"""Proof and price of rewritten steps: every edit is held to the planned tree, and nothing is loaded that is not needed."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.source.changes import Change, Replace
from optmap.source.compose import to_edits
from optmap.source.edits import apply_edits
from optmap.source.flow import binds, flow, reads
from optmap.source.proof import VerificationError, verify
from optmap.source.text import Source, SourceError, read_source
from optmap.translate import pipeline
from optmap.translate.options import Options
from optmap.translate.passes import run_passes
from optmap.translate.pipeline import translate_bytes
from tests.translate.test_seeds import TORCH_PAGE

PAGE = TORCH_PAGE.format(name="SGD")
OPTIONS = Options(Framework("mindspore"), frozenset({Framework("torch")}), rewrite_step=True)


def changes_of(text: str, tables: MappingSet) -> tuple[Source, list[Change]]:
    source = read_source(text.encode())
    return source, run_passes(pipeline.unit_of(source, tables, OPTIONS), {}).changes


def test_every_edit_of_a_step_is_needed_for_the_proof(tables: MappingSet) -> None:
    """Leave out any one edit, or change its text, and the result is no longer what was planned."""
    source, changes = changes_of(PAGE, tables)
    edits = to_edits(source, changes)
    verify(source, apply_edits(source.body, edits), changes, edits)
    for index, edit in enumerate(edits):
        variants = [[*edits[:index], *edits[index + 1 :]]]
        if "label" in edit.text:
            other = edit._replace(text=edit.text.replace("label", "data", 1))
            variants.append([*edits[:index], other, *edits[index + 1 :]])
        for fewer in variants:
            with pytest.raises((VerificationError, SourceError)):
                verify(source, apply_edits(source.body, fewer), changes, fewer)
    assert len(edits) >= 6


def test_a_step_that_cannot_be_proved_is_left_alone(tables: MappingSet, monkeypatch: pytest.MonkeyPatch) -> None:

    def fails(source, body, changes, edits):  # type: ignore[no-untyped-def]
        if any(isinstance(item, Replace) and isinstance(item.node, tuple | ast.stmt) for item in changes):
            raise VerificationError("a test says so")
        verify(source, body, changes, edits)

    monkeypatch.setattr(pipeline, "verify", fails)
    result = translate_bytes(PAGE.encode(), tables, OPTIONS)
    assert b"loss.backward()" in result.output
    assert b"mindspore.nn.SGD(model.trainable_params()" in result.output
    assert {"OM004", "OM401"} <= {item.code.id for item in result.diagnostics}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("import torch\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n", False),
        (PAGE, True),
    ],
)
def test_steps_are_read_only_where_there_may_be_one(text: str, wanted: bool) -> None:
    script = (
        "import sys\nfrom optmap.api import translate_source\n"
        f"translate_source({text!r})\n"
        "print(*(name for name in sys.modules if name.startswith('optmap.translate.steps.run') or name == 'yaml'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ("optmap.translate.steps.run" in done.stdout.split()) == wanted
    assert "optmap.mapping.steps" not in done.stdout, "the table is for --rewrite-step alone"
    assert "yaml" not in done.stdout.split()


def test_the_option_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(PAGE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "optmap", "translate", "--verbose", "--rewrite-step", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "loss, grads = grad_fn(data, label)" in done.stdout
    assert "OM403" in done.stderr


@pytest.mark.parametrize(
    ("text", "needed", "sure"),
    [
        ("a = b\nc = a", ["b"], {"a", "c"}),
        ("a += 1", ["a"], {"a"}),
        ("if t:\n    a = 1\nelse:\n    a = b", ["t", "b"], {"a"}),
        ("if t:\n    a = 1\nb = a", ["t", "a"], {"b"}),
        ("for i in xs:\n    a = i", ["xs"], set()),
        ("with f() as g:\n    a = g", ["f"], {"a", "g"}),
        ("a = [x for x in y if x > z]", ["y", "z"], {"a"}),
        ("a = lambda x, k=d: x + k + e", ["d", "e"], {"a"}),
        ("a.b = c", ["c", "a"], set()),
    ],
)
def test_flow(text: str, needed: list[str], sure: set[str]) -> None:
    found = flow(ast.parse(text).body)
    assert sorted({use.name for use in found.needed}) == sorted(needed)
    assert set(found.sure) >= sure
    assert set(found.sure) <= sure | set().union(*map(binds, ast.parse(text).body))


def test_a_name_that_is_only_called_is_told_from_one_whose_value_is_used() -> None:
    uses = reads(ast.parse("model(x) + model.weight + y").body[0])
    assert [(use.name, use.called) for use in uses] == [("model", True), ("x", False), ("model", True), ("y", False)]


def test_time_grows_with_the_models_and_tensors_of_a_file(tables: MappingSet) -> None:
    def seconds(count: int) -> float:
        lines = ["import torch", "from torch import nn"]
        for index in range(count):
            lines += [
                f"class Net{index}(nn.Module):", "    def forward(self, x):", "        return x.view(x.size(0), -1)",
                f"def show{index}(loader):", f"    net = Net{index}()", "    net.eval()", "    a = torch.tensor(0.0)",
                "    b = a / 2", "    c = b.mean()", "    print(f'{c:.3f}', round(b, 2))",
            ]  # fmt: skip
        lines += [
            "net = Net0()", "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)", "for x, y in loader:",
            "    optimizer.zero_grad()", "    loss = nn.CrossEntropyLoss()(net(x), y)", "    loss.backward()",
            "    optimizer.step()",
        ]  # fmt: skip
        start = time.process_time()
        result = translate_bytes("\n".join(lines).encode(), tables, OPTIONS)
        assert result.output.count(b"float(c)") == count
        return time.process_time() - start

    seconds(10)
    gc.disable()  # a collection goes through whatever the tests of this process have imported
    try:
        assert seconds(160) < 10 * seconds(40)
    finally:
        gc.enable()
