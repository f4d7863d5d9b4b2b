"""The page of a pair tells all that the vendors' pages of such a pair tell, and its programs run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from optmap.conformance.results import Divergence, Level, Mode, Pair, Report, Result, Verdict
from optmap.mapping.load import load
from optmap.pages import site
from optmap.pages.examples import Example, program, run

PAIRS = [
    ("torch.optim.AdamW", "mindspore.nn.AdamWeightDecay"),
    ("torch.optim.SparseAdam", "mindspore.nn.LazyAdam"),
    ("tf.keras.optimizers.Adam", "mindspore.nn.Adam"),
    ("torch.optim.Adam", "tf.keras.optimizers.Adam"),
]


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[str, str]]:
    """The pages of some pairs, as if they had been measured and their programs run."""
    measured = Divergence(0.5, None, 4.4, 2, "weight", Level.DIVERGENT)
    pairs = [Pair(*names, {}, {}, causes=("bias correction: none",), formula="w - lr * m") for names in PAIRS]
    results = [
        Result(pair, "mindspore", "dense", "float32", Mode.FORCED, 20, measured, Level.DIVERGENT, (), Verdict.AS_EXPECTED)
        for pair in pairs
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "_measured", lambda tables, names: Report({"torch": "2.13.0"}, {}, tuple(results)))
        patch.setattr(site, "run", lambda programs: [Example(text, "1.0\n") for text in programs])
        yield dict(site.write(load(), []))


def page_of(pages: dict[str, str], source: str, target: str) -> str:
    return next(text for text in pages.values() if text.startswith(f"# {source} and {target}\n"))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_parameter_of_both_sides_is_numbered_with_its_category_and_meaning(
    pages: dict[str, str], source: str, target: str
) -> None:
    text, tables = page_of(pages, source, target), load()
    rows = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[0] for row in cells] == [str(number) for number in range(1, len(cells) + 1)]
    for api, column in ((tables.apis[source], 2), (tables.apis[target], 3)):
        shown = {name for row in cells for name in re.findall(r"(\w+)(?:=|`)", row[column])}
        assert {parameter.name for parameter in api.current} <= shown
    assert {row[1] for row in cells} <= {"parameters", "hyperparameter", "execution", "input"}
    assert all(row[4] and row[5] for row in cells)
    assert not any(f"({row[4]})" in row[5] for row in cells), "the meaning is told twice"
    assert cells[-1][1] == "input"


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_both_sides_have_their_signature_documentation_code_and_measurement(
    pages: dict[str, str], source: str, target: str
) -> None:
    text, tables = page_of(pages, source, target), load()
    for name in (source, target):
        assert f"### {name}\n\n```python\n{name}(\n" in text
        assert f"[documentation]({tables.apis[name].docs})" in text
        assert re.search(rf"    optimizer = {re.escape(name)}\(", text)
    assert text.count("    It prints:\n") == 2
    for part in ("**DIVERGENT** in dense", "bias correction: none", "## Differences between the update rules"):
        assert part in text
    assert text.count("easured at the defaults") == 0


def test_the_programs_of_torch_run() -> None:
    """Those of the other frameworks are run where the documentation is built."""
    pytest.importorskip("torch", reason="torch is not installed")
    apis = load().apis
    found = run(
        [
            program(apis["torch.optim.SGD"], {"lr": 0.1}),
            program(apis["torch.optim.SparseAdam"], {}, sparse=True),
            program(apis["torch.optim.SparseAdam"], {}),
        ]
    )
    assert [len(item.output.splitlines()) for item in found] == [3, 3, 0]
    assert "SparseAdam does not support dense gradients" in found[2].problem
