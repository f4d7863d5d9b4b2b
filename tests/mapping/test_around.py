"""The tables of what stands around an optimizer: complete, and without names that nothing knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from optmap.api import translate_source
from optmap.diagnostics import CODES, Severity
from optmap.mapping.around import ANY, OPTIMIZER, Foreign, Pattern, Replacement, build, load_around, load_words, words
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.stored import MappingError

PATTERNS = load_around().patterns
IDS = [f"{pattern.framework}.{pattern.name}" for pattern in PATTERNS]


def templates(pattern: Pattern) -> Iterator[Replacement]:
    for items in pattern.to.values():
        yield from items


def test_the_words_are_those_of_the_patterns() -> None:
    assert load_words() == words(load_around())
    assert {"clip_grad_norm_", ".param_groups"} <= set(load_words()["patterns"]["torch"])


@pytest.mark.parametrize("pattern", PATTERNS, ids=IDS)
def test_names_are_known(pattern: Pattern, tables: MappingSet) -> None:
    severities = {code.name: code.severity for code in CODES.values()}
    assert severities[pattern.diagnostic] is Severity.WARNING
    assert set(pattern.to) <= {*map(str, Framework), *tables.modules} - {str(pattern.framework)}
    constructors = {item.name for item in PATTERNS if item.paths and item.framework is pattern.framework}
    assert set(pattern.of) <= {OPTIMIZER, *constructors}
    assert set(pattern.given) <= {ANY, *dict(pattern.takes)}
    for template in templates(pattern):
        assert set(template.when) <= set(dict(pattern.takes))


@pytest.mark.parametrize("pattern", PATTERNS, ids=IDS)
def test_every_other_framework_is_told(pattern: Pattern, tables: MappingSet) -> None:
    """Each pattern says something for each other framework, and its last words hold whatever the arguments are."""
    told = {str(tables.modules[name].framework) if name in tables.modules else name for name in pattern.to}
    assert told == set(map(str, Framework)) - {str(pattern.framework)}
    for items in pattern.to.values():
        assert not items[-1].when


@pytest.mark.parametrize("pattern", PATTERNS, ids=IDS)
def test_placeholders_are_known(pattern: Pattern) -> None:
    known = {*dict(pattern.takes), "optimizer", "self", "value", "index", "model"}
    for template in templates(pattern):
        for text in (template.say, template.code or "", template.current or ""):
            assert set(re.findall(r"\{(\w+)\}", text)) <= known


# Of versions that are gone.
GONE = ("tensorflow.python.keras", "keras.backend", "tensorflow.keras.backend", "tensorflow.compat.v1.keras",
        "tensorflow.keras.mixed_precision.experimental",
        "torch.nn.utils.clip_grad_norm", "torch.cpu.amp", "tf_keras", "tensorflow.keras.config")  # fmt: skip
PATHS = sorted({path for pattern in PATTERNS for path in pattern.paths})
CURRENT = [path for path in PATHS if not f"{path}.".startswith(tuple(f"{name}." for name in GONE))]


@pytest.mark.parametrize("path", CURRENT)
def test_paths_lead_somewhere(path: str) -> None:
    import importlib

    root, _, rest = path.partition(".")
    module = pytest.importorskip(root, reason=f"{root} is not installed")
    for name in rest.split("."):
        inner = getattr(module, name, None)
        module = inner if inner is not None else importlib.import_module(f"{module.__name__}.{name}")
    assert callable(module)


def test_each_gone_name_is_one_of_a_path() -> None:
    assert [name for name in GONE if not any(f"{path}.".startswith(f"{name}.") for path in PATHS)] == []


def test_a_user_adds_patterns_and_packages(tmp_path: Path) -> None:
    folder = tmp_path / "around"
    folder.mkdir()
    (folder / "own.yaml").write_text(
        "framework: torch\n"
        "patterns:\n  hook: {diagnostic: optimizer-internals, of: optimizer, members: [register_step_post_hook],\n"
        "    about: torch calls it after each step, to: {mindspore: {say: call it yourself}}}\n"
        "foreign:\n  ours: {paths: [ourlab.train], role: optimizer, about: one of ours, instead: {Wise: torch.optim.Adam}}\n"
    )
    text = (
        "import torch\nfrom ourlab.train import Wise\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "opt.register_step_post_hook(f)\nother = Wise(net.parameters())\n"
    )
    said = [(item.code.id, item.message) for item in translate_source(text, mappings=[tmp_path]).diagnostics]
    assert [item for item in said if item[0] != "OM411"] == [
        ("OM332", "call it yourself"),
        ("OM215", "Wise: one of ours; write torch.optim.Adam"),
    ]
    alone = translate_source("from ourlab.train import Wise\noptimizer = Wise(p)\n", mappings=[tmp_path])
    assert [item.code.id for item in alone.diagnostics] == ["OM215"]


@pytest.mark.parametrize("item", load_around().foreign, ids=lambda item: f"{item.framework}.{item.name}")
def test_packages_say_what_they_are(item: Foreign) -> None:
    assert item.paths
    assert not item.about.endswith(".")
    assert not any(word in item.about for word in ("TODO", "  "))


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (
            "framework: torch\npatterns: {a: {diagnostic: x, about: y, to: {mindspore: {say: z}}}}",
            "either `paths` or `of`",
        ),
        ("framework: torch\npatterns: {a: {diagnostic: x, paths: [p], of: optimizer, about: y, to: {}}}", "either"),
        ("framework: jax\npatterns: {}", "unknown framework 'jax'"),
        ("framework: torch\npatterns: {a: {diagnostic: x, paths: [p], takes: 'a b', about: y, to: {}}}", "signature"),
        ("framework: torch\npattern: {}", "did you mean 'patterns'"),
    ],
)
def test_errors_have_a_place(text: str, fragment: str) -> None:
    with pytest.raises(MappingError) as error:
        build([("x.yaml", text.encode())])
    assert fragment in str(error.value)
    assert str(error.value).startswith("x.yaml:")
