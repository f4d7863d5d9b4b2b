"""A framework that no code knows: optax, by the tables in the folder `hub`, which hold its facts and three algorithms."""

from __future__ import annotations

import pickle
import re
import shutil
from pathlib import Path

import pytest

from optmap.cli.explain import Request as Explain
from optmap.cli.matrix import Request as List
from optmap.commands import explain, matrix
from optmap.conformance.api import check
from optmap.conformance.results import Verdict
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.sections import Api
from optmap.mapping.stored import MappingError, default_directory
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.casefiles import Case, cases

HUB = Path(__file__).parent / "hub"
TABLES = load((HUB,))
OPTAX = TABLES.framework("optax")
WORDS = {"torch": r"torch", "tensorflow": r"tensorflow|tf\.|keras", "mindspore": r"mindspore"}
TORCH_STEP = """\
import torch

net = torch.nn.Linear(2, 1)
opt = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.8, 0.99))
for x, y in data:
    opt.zero_grad()
    loss = torch.nn.functional.mse_loss(net(x), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
"""
OPTAX_STEP = """\
import jax
import optax

tx = optax.adam(1e-3, b1=0.5)
state = tx.init(params)
for batch in data:
    grads = jax.grad(loss_fn)(params, batch)
    updates, state = tx.update(grads, state, params)
    params = optax.apply_updates(params, updates)
"""


def translate(text: str, target: str, **options: object) -> FileResult:
    to = TABLES.framework(target)
    found = translate_bytes(text.encode(), TABLES, Options(to, frozenset(TABLES.frameworks.values()) - {to}, **options))  # type: ignore[arg-type]
    assert found.error is None
    return found


def messages(result: FileResult) -> list[str]:
    return [
        f"{item.code.id} {item.message}" + (f"; {item.detail}" if item.detail else "") for item in result.diagnostics
    ]


def foreign(result: FileResult, text: str) -> list[str]:
    """The messages that name a framework which the file does not, but for optax."""
    absent = [words for words in WORDS.values() if re.search(words, text, re.IGNORECASE) is None]
    pattern = re.compile("|".join(absent) or r"(?!)", re.IGNORECASE)
    return [line for line in messages(result) if pattern.search(line)]


def test_its_facts_are_beside_those_of_the_others() -> None:
    assert list(TABLES.frameworks) == ["torch", "tensorflow", "mindspore", "optax"]
    assert (OPTAX.facts.title, OPTAX.facts.steps.written) == ("optax", ())
    assert "optax" not in [str(item) for item in Framework]


def test_there_and_back() -> None:
    there = translate(TORCH_STEP, "optax").output.decode()
    assert "import optax\n" in there
    assert "opt = optax.adam(learning_rate=1e-3, b1=0.8, b2=0.99)\n" in there
    back = translate(there, "torch", params="net.parameters()").output.decode()
    assert "opt = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.8, 0.99))\n" in back


def test_a_call_alone_is_seen() -> None:
    """Nothing else in the file is a word that the others' files have."""
    text = "import optax\ntx = optax.adam(1e-3, b1=0.5)\n"
    there = translate(text, "torch", params="net.parameters()").output.decode()
    assert "tx = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999))\n" in there
    assert messages(translate(text, "mindspore"))[0].startswith("OM204 the file does not show which model it trains")


def test_what_stands_around_the_call_is_told() -> None:
    found = translate(TORCH_STEP, "optax")
    still, parameters, clip, step = messages(found)
    assert still.startswith("OM410 still torch's: net (line 3), the loss (line 7)")
    assert parameters.endswith("left out: init() and update() are given the parameters")
    assert clip.endswith("torch clips the gradients stored in the parameters; no table says what replaces it in optax")
    assert step.startswith("OM401 rewrite this torch step by hand: the gradients are clipped")
    assert step.endswith(
        "optax is given gradients by opt.update(grads, state, params), with state = opt.init(params) once before"
    )
    assert foreign(found, TORCH_STEP) == []


def test_a_step_that_cannot_be_rewritten_is_left() -> None:
    found = translate(TORCH_STEP, "optax", rewrite_step=True)
    assert "    opt.step()\n" in found.output.decode()
    assert messages(found)[-1].startswith("OM402 left as it is: the gradients are clipped (line 9); optax is given")
    plain = "\n".join(line for line in TORCH_STEP.split("\n") if "clip" not in line)
    (step,) = (item for item in translate(plain, "optax", rewrite_step=True).diagnostics if item.code.id == "OM402")
    assert step.message.startswith("left as it is: optmap writes no such step for optax")
    assert "def forward_fn(params, x, y):\n    loss = " in (step.replacement or "")


def test_its_own_step_is_told() -> None:
    assert [line[:5] for line in messages(translate(OPTAX_STEP, "torch"))] == ["OM204"]
    for target, word in (("torch", "tx.step()"), ("tensorflow", "tx.apply_gradients("), ("mindspore", "tx(grads)")):
        for rewrite in (False, True):
            found = translate(OPTAX_STEP, target, params="net.weights", rewrite_step=rewrite)
            assert messages(found)[-1].startswith("OM402" if rewrite else "OM401")
            assert word in messages(found)[-1]


def test_a_schedule_is_not_taken_for_a_number() -> None:
    text = "import optax\ntx = optax.sgd(optax.linear_schedule(0.1, 0.0, 100))\n"
    found = translate(text, "torch", params="net.parameters()")
    assert not found.changed
    assert "the learning rate is the schedule optax.linear_schedule" in messages(found)[0]


def test_the_commands_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.run(Explain("torch.optim.AdamW", to="jax", mappings=[HUB])) == 0
    shown = capsys.readouterr().out
    assert "## torch.optim.AdamW -> optax.adamw" in shown
    assert re.search("keras|tensorflow|mindspore", shown) is None
    assert matrix.run(List("optax", verbose=True, mappings=[HUB])) == 0
    assert re.search(r"optax\.sgd +torch\.optim\.SGD +- +same", capsys.readouterr().out)
    assert matrix.run(List("torch", "optax", verbose=True, mappings=[HUB])) == 0
    assert re.search("keras|tensorflow|mindspore", capsys.readouterr().out) is None


def test_a_check_says_that_nothing_runs_it() -> None:
    report = check(["optax.adam"], to="mindspore", tables=TABLES, scenarios=["softmax-2x2"], dtypes=["float32"])
    assert {result.verdict for result in report.results} == {Verdict.NOT_RUN}
    assert {result.reason for result in report.results} == {"optax.adam belongs to optax, which no engine runs"}


@pytest.mark.parametrize(
    "api", [api for api in TABLES.apis.values() if api.framework != "optax"], ids=lambda api: api.name
)
def test_every_class_is_translated_or_refused_in_its_own_words(api: Api) -> None:
    root = api.module.paths[0].partition(".")[0]
    text = f"import {root}\nopt = {api.module.paths[0]}.{api.class_name}(x)\n"
    found = translate(text, "optax")
    assert found.changed or any(line.startswith("OM2") for line in messages(found))
    assert foreign(found, text) == []


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_no_case_falls_to_another_framework(case: Case) -> None:
    assert foreign(translate(case.before, "optax", rewrite_step=True), case.before) == []


def test_the_least_facts_are_enough(tmp_path: Path) -> None:
    """What is not known is said to be so, or left out."""
    shutil.copytree(HUB, tmp_path, dirs_exist_ok=True)
    least = "framework: optax\ntitle: optax\npackages: [optax]\nmodules: {optax: {paths: [optax]}}\n"
    (tmp_path / "frameworks" / "optax.yaml").write_text(least, encoding="utf-8")
    tables = load((tmp_path,))
    for text, target, word in (
        (TORCH_STEP, "optax", "has to be written as optax has it"),
        (OPTAX_STEP, "torch", "--params"),
    ):
        to = tables.framework(target)
        for rewrite in (False, True):
            options = Options(to, frozenset(tables.frameworks.values()) - {to}, rewrite_step=rewrite)
            found = translate_bytes(text.encode(), tables, options)
            assert word in messages(found)[-1]
            assert foreign(found, text + target) == []


def test_a_directory_replaces_the_facts_of_its_frameworks(tmp_path: Path) -> None:
    folder = tmp_path / "frameworks"
    folder.mkdir()
    own = (default_directory() / "frameworks" / "torch.yaml").read_text(encoding="utf-8")
    (folder / "torch.yaml").write_text(own.replace("aliases: [pytorch]", "aliases: [pt]"), encoding="utf-8")
    tables = load((tmp_path,))
    assert tables.framework("torch").facts.aliases == ("pt",)
    assert tables.apis["torch.optim.Adam"].framework.facts.aliases == ("pt",)
    assert Framework("torch").facts.aliases == ("pytorch",)
    assert tables.framework("mindspore") is Framework("mindspore")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("framework: x\ntitle: x\n", "x.yaml:1:1: framework lacks 'packages'"),
        ("framework: x\ntitle: x\npackages: [x]\nsteps: {written: [step, fly]}\n", "x.yaml:4:25: unknown value 'fly'"),
        (
            "framework: x\ntitle: x\npackages: [x]\nparameter: {}\n",
            "unknown key 'parameter'; did you mean 'parameters'?",
        ),
    ],
)
def test_errors_have_a_place(tmp_path: Path, text: str, fragment: str) -> None:
    (tmp_path / "frameworks").mkdir()
    (tmp_path / "frameworks" / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match=re.escape(fragment)):
        load((tmp_path,))


def test_a_framework_travels_with_its_facts() -> None:
    again = pickle.loads(pickle.dumps(OPTAX))
    assert (again, again.facts) == (OPTAX, OPTAX.facts)
    with pytest.raises(ValueError, match="unknown framework 'jax', expected one of torch"):
        Framework("jax")
