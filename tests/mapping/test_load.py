"""Every error of a table is a message that names file, line and column; none of them is anything but a MappingError."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from optmap.mapping.derive import candidates
from optmap.mapping.framework import Framework
from optmap.mapping.load import load, load_files
from optmap.mapping.model import MappingSet
from optmap.mapping.stored import MappingError, default_directory
from optmap.mapping.vocabulary import REQUIRED
from tests.properties import examples

COMMON = """\
modules:
  torch.optim: {framework: torch, paths: [torch.optim]}
  mindspore.nn: {framework: mindspore, paths: [mindspore.nn]}
hyperparameters:
  learning_rate: {about: step size}
  beta1: {about: first}
  beta2: {about: second}
  amsgrad: {about: flag, neutral: false}
  l2: {about: coupled decay, neutral: 0.0}
traits:
  bias: {values: {full: corrects, none: does not}, effect: divergent}
parameter_lists:
  shared: [{name: name, affects: execution, default: null}]
"""
HEAD = """\
algorithm: adam
apis:
  torch.optim.Adam:
    verified: "1.0"
    parameters:
"""
EXACT, ON_LINE = "‸", "§"
"""Marks in a text: an error is expected at this very place, or somewhere on this line."""


def expected_places(file: str, text: str) -> tuple[str, list[tuple[str, int, int | None]]]:
    """Take the marks out of a text; return it with the (file, line, column or None) that they stand for."""
    places: list[tuple[str, int, int | None]] = []
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        while match := re.search(f"[{EXACT}{ON_LINE}]", line):
            places.append((file, number, match.start() + 1 if match[0] == EXACT else None))
            line = line[: match.start()] + line[match.end() :]
        lines.append(line)
    return "\n".join(lines), places


def errors(*files: tuple[str, bytes]) -> list[str]:
    with pytest.raises(MappingError) as caught:
        load_files(files)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return list(caught.value.lines)


def check(texts: dict[str, str], *fragments: tuple[str, ...]) -> None:
    """Load the files and hold the messages against the marks, in order, and against fragments of their texts."""
    files, places = [], []
    for name, text in texts.items():
        clean, found = expected_places(name, text)
        files.append((name, clean.encode()))
        places += found
    lines = errors(*files)
    assert len(lines) == len(places) == len(fragments), lines
    for line, (file, row, column), wanted in zip(lines, places, fragments, strict=True):
        match = re.fullmatch(r"([^:]+):(\d+):(\d+): (.+)", line)
        assert match is not None, line
        assert (match[1], int(match[2])) == (file, row), line
        assert column is None or int(match[3]) == column, line
        for fragment in wanted:
            assert fragment in match[4], line


def in_table(rows: str) -> dict[str, str]:
    return {"common.yaml": COMMON, "t.yaml": HEAD + rows}


def test_a_small_table_loads() -> None:
    rows = """\
      - {name: params, is: parameters}
      - {name: lr, is: learning_rate, default: 1e-8, accepts: float, range: "[0, inf)"}
      - {name: betas, is: [beta1, beta2], default: [0.9, 0.999]}
      - {include: shared}
      - {name: amsgrad, is: amsgrad, default: false, keyword_only: true}
    rule: {bias: full}
    fixed: {l2: 0.0}
"""
    api = load_files((name, text.encode()) for name, text in in_table(rows).items()).apis["torch.optim.Adam"]
    assert [parameter.name for parameter in api.parameters] == ["params", "lr", "betas", "name", "amsgrad"]
    assert [parameter.default for parameter in api.parameters] == [REQUIRED, 1e-8, (0.9, 0.999), None, False]
    assert [parameter.keyword_only for parameter in api.parameters] == [False, False, False, False, True]
    assert api.by_name["betas"].ties == ("beta1", "beta2")
    interval = api.by_name["lr"].interval
    assert interval is not None
    assert (0.0 in interval, -1e-9 in interval, 1e9 in interval) == (True, False, True)
    assert (api.rule, api.fixed) == ({"bias": "full"}, {"l2": 0.0})
    assert str(api.by_name["lr"].at) == "t.yaml:7:9"


PARAMETER_ERRORS = {
    "unknown key": ("      - {name: lr, ‸too: learning_rate, affects: execution}\n", ("unknown key 'too'",)),
    "unknown key, nearest": (
        "      - {name: lr, is: learning_rate, ‸defualt: 1}\n",
        ("'defualt'", "did you mean 'default'"),
    ),
    "duplicate key": ("      - {name: lr, is: learning_rate, ‸name: eta}\n", ("duplicate key 'name'", "line 6")),
    "unknown hyperparameter": (
        "      - {name: lr, is: ‸learing_rate}\n",
        ("unknown hyperparameter 'learing_rate'", "did you mean 'learning_rate'"),
    ),
    "unknown hyperparameter in a tuple": (
        "      - {name: betas, §is: [beta1, beta3]}\n",
        ("unknown hyperparameter 'beta3'", "did you mean 'beta"),
    ),
    "unknown switched hyperparameter": (
        "      - {name: s, §switches: {l2: l3}, default: false}\n",
        ("unknown hyperparameter 'l3'", "l2"),
    ),
    "unknown list": ("      - {include: ‸shred}\n", ("unknown parameter list 'shred'", "did you mean 'shared'")),
    "unknown choice": ("      - {name: x, affects: ‸numerics}\n", ("'numerics'", "execution")),
    "no name": ("      - ‸{is: learning_rate}\n", ("without 'name'",)),
    "ties to nothing": ("      - ‸{name: lr}\n", ("'lr'", "exactly one of", "'is'", "'affects'", "'switches'")),
    "ties to two things": ("      - ‸{name: lr, is: learning_rate, affects: execution}\n", ("'lr'", "exactly one of")),
    "scalar for betas": (
        "      - {name: betas, is: [beta1, beta2], default: ‸0.9}\n",
        ("found default 0.9", "list of 2", "beta1, beta2"),
    ),
    "three betas": ("      - {name: betas, is: [beta1, beta2], default: ‸[0.9, 0.99, 0.999]}\n", ("list of 2",)),
    "list for one": ("      - {name: lr, is: learning_rate, default: ‸[0.1, 0.2]}\n", ("found default (0.1, 0.2)",)),
    "bool for a number": ("      - {name: wd, is: l2, default: ‸false}\n", ("found default False", "'l2'", "a number")),
    "number for a bool": (
        "      - {name: amsgrad, is: amsgrad, default: ‸0}\n",
        ("found default 0", "'amsgrad'", "true or false"),
    ),
    "string for a bool": (
        "      - {name: amsgrad, is: amsgrad, default: ‸no}\n",
        ("found default 'no'", "true or false"),
    ),
    "int for a float": (
        "      - {name: lr, is: learning_rate, default: ‸1, accepts: float}\n",
        ("found default 1", "expected a float"),
    ),
    "number where bool is insisted on": (
        "      - {name: name, affects: execution, default: ‸0.0, accepts: bool}\n",
        ("found default 0.0",),
    ),
    "out of range": (
        '      - {name: lr, is: learning_rate, default: ‸0.0, range: "(0, 1]"}\n',
        ("found default 0.0", "(0, 1]"),
    ),
    "beta out of range": (
        '      - {name: betas, is: [beta1, beta2], default: ‸[0.9, 1.0], range: "[0, 1)"}\n',
        ("1.0", "[0, 1)"),
    ),
    "range without brackets": (
        "      - {name: lr, is: learning_rate, range: ‸0..1}\n",
        ("found range '0..1'", "expected an interval"),
    ),
    "range with one end": ('      - {name: lr, is: learning_rate, range: ‸"(0)"}\n', ("expected an interval",)),
    "range of letters": ('      - {name: lr, is: learning_rate, range: ‸"(e, 1)"}\n', ("expected an interval",)),
    "range of dots": ('      - {name: lr, is: learning_rate, range: ‸"(1.2.3, 4)"}\n', ("expected an interval",)),
    "range upside down": ('      - {name: lr, is: learning_rate, range: ‸"(5, 1)"}\n', ("(5, 1)",)),
    "required after optional": (
        "      - {name: params, is: parameters, default: null}\n      - ‸{name: lr, is: learning_rate}\n",
        ("'lr' has no default", "'params'"),
    ),
    "positional after keyword-only": (
        "      - {name: lr, is: learning_rate, keyword_only: true}\n      - ‸{name: params, is: parameters}\n",
        ("'params' is positional", "'lr'"),
    ),
    "parameter given twice": (
        "      - {name: lr, is: learning_rate}\n      - ‸{name: lr, is: l2}\n",
        ("'lr'", "twice"),
    ),
    "hyperparameter tied twice": (
        "      - {name: lr, is: learning_rate}\n      - §{name: rate, is: learning_rate}\n",
        ("'learning_rate'",),
    ),
    "unknown trait": (
        "      - {name: lr, is: learning_rate}\n    rule: {§bais: full}\n",
        ("unknown trait 'bais'", "did you mean 'bias'"),
    ),
    "unknown trait value": (
        "      - {name: lr, is: learning_rate}\n    rule: {bias: ‸ful}\n",
        ("'ful'", "'bias'", "did you mean 'full'"),
    ),
    "unknown fixed hyperparameter": (
        "      - {name: lr, is: learning_rate}\n    fixed: {§l3: 0.0}\n",
        ("unknown hyperparameter 'l3'",),
    ),
    "mapping as default": ("      - {name: lr, is: learning_rate, default: ‸{a: 1}}\n", ("found a mapping", "scalar")),
    "list as mapping": (
        "      - {name: lr, is: learning_rate}\n    rule: ‸[bias]\n",
        ("found a list", "expected a mapping"),
    ),
    "string as flag": ("      - {name: lr, is: learning_rate, keyword_only: ‸yes}\n", ("found 'yes'", "true or false")),
    "key that is a list": ("      - {name: lr, is: learning_rate, ‸[a]: b}\n", ("found a list", "key")),
    "alias": ("      - {name: lr, is: learning_rate, §since: &one '1.0', note: *one}\n", ("alias",)),
    "integer of 5000 digits": (f"      - {{name: lr, is: learning_rate, default: ‸{'9' * 5000}}}\n", ("found",)),
    "tag that the text contradicts": ("      - {name: lr, is: learning_rate, default: ‸!!int abc}\n", ("'abc'",)),
    "float tag that the text contradicts": (
        "      - {name: lr, is: learning_rate, default: ‸!!float abc}\n",
        ("'abc'",),
    ),
}


@pytest.mark.parametrize("name", PARAMETER_ERRORS)
def test_error_in_a_section(name: str) -> None:
    rows, fragments = PARAMETER_ERRORS[name]
    check(in_table(rows), fragments)


FILE_ERRORS = {
    "unknown top-level key": (
        "‸hyperparameter: {}\n",
        ("unknown key 'hyperparameter'", "did you mean 'hyperparameters'"),
    ),
    "key that a trait lacks": ("traits: {t: ‸{values: {a: b}}}\n", ("trait lacks 'effect'",)),
    "default that a trait lacks": (
        "traits: {t: §{values: {full: b}, effect: close, default: ful}}\n",
        ("'ful'", "did you mean 'full'"),
    ),
    "effect": ("traits: {t: {values: {a: b}, effect: ‸cloze}}\n", ("'cloze'", "did you mean 'close'")),
    "awake with what": (
        "traits: {t: §{values: {a: b}, effect: close, active_with: [l3]}}\n",
        ("unknown hyperparameter 'l3'",),
    ),
    "inert without what": ("hyperparameters: {h: §{about: x, inert_without: l3}}\n", ("unknown hyperparameter 'l3'",)),
    "inert without itself": ("hyperparameters: {h: §{about: x, inert_without: h}}\n", ("'h'",)),
    "framework": ("modules: {m: {framework: ‸trch, paths: [m]}}\n", ("'trch'", "did you mean 'torch'")),
    "group key": (
        "modules: {m: §{framework: torch, paths: [m], group_keys: {lr: [l3]}}}\n",
        ("unknown hyperparameter 'l3'",),
    ),
    "sections without algorithm": (
        "§apis: {torch.optim.A: {verified: v1, parameters: []}}\n",
        ("'apis' without 'algorithm'",),
    ),
    "module of a section": (
        "algorithm: a\napis: {torch.optin.A: §{verified: v1, parameters: []}}\n",
        ("'torch.optin.A'", "did you mean 'torch.optim.A'"),
    ),
    "section without module": ("algorithm: a\napis: {Adam: §{verified: v1, parameters: []}}\n", ("'Adam'",)),
    "section that lacks a key": ("algorithm: a\napis: {torch.optim.A: ‸{parameters: []}}\n", ("api lacks 'verified'",)),
    "alternative": ("algorithm: a\nalternatives: §[b]\n", ("unknown algorithm 'b'",)),
    "trait that siblings state": (
        "algorithm: a\napis:\n  torch.optim.A: {verified: v1, parameters: [], rule: {bias: full}}\n"
        "  mindspore.nn.A: §{verified: v1, parameters: []}\n",
        ("mindspore.nn.A", "does not state bias"),
    ),
    "empty file": ("", ("empty",)),
    "only a comment": ("# nothing\n", ("empty",)),
    "list at the top": ("‸- a\n", ("found a list", "expected a mapping")),
    "scalar at the top": ("‸text\n", ("found 'text'", "expected a mapping")),
    "tab": ("hyperparameters:\n‸\ta: {about: x}\n", ("not valid YAML",)),
    "unclosed quote": ('algorithm: a\ntitle: "x\n§', ("not valid YAML",)),
    "unclosed bracket": ("algorithm: [a\n§", ("not valid YAML",)),
    "undefined alias": ("algorithm: ‸*a\n", ("not valid YAML", "alias")),
    "second document": ("algorithm: a\n§---\nalgorithm: b\n", ("not valid YAML", "document")),
    "merge key": ("hyperparameters:\n  h: {about: x, ‸<<: {neutral: 1}}\n", ("unknown key '<<'",)),
    "NUL": ("algorithm: a\ntitle: ab‸\0c\n", ("#x0000",)),
    "control character": ("algorithm: a\ntitle: é‸\x07c\n", ("#x0007",)),
}


@pytest.mark.parametrize("name", FILE_ERRORS)
def test_error_in_a_file(name: str) -> None:
    text, fragments = FILE_ERRORS[name]
    if EXACT not in text and ON_LINE not in text:
        text = ON_LINE + text
    check({"common.yaml": COMMON, "t.yaml": text}, fragments)


def test_hyperparameters_that_are_inert_without_each_other() -> None:
    """Whether one of them does something could not be decided."""
    text = "hyperparameters: {h: {about: x, inert_without: i}, i: {about: x, inert_without: h}}\n"
    assert all(line.startswith("t.yaml:1:") for line in errors(("t.yaml", text.encode())))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("hyperparameter", "hyperparameters: {h: §{about: x}}\n"),
        ("trait", "traits: {h: §{values: {a: b}, effect: close}}\n"),
        ("module", "modules: {h: §{framework: torch, paths: [h]}}\n"),
        ("parameter list", "parameter_lists: {h: §[]}\n"),
        ("api", "algorithm: a\napis: {torch.optim.A: §{verified: v1, parameters: []}}\n"),
    ],
)
def test_the_same_name_in_two_files(kind: str, text: str) -> None:
    first, _ = expected_places("a.yaml", text)
    line = 2 if kind == "api" else 1
    name = "torch.optim.A" if kind == "api" else "h"
    check({"common.yaml": COMMON, "a.yaml": first, "b.yaml": text}, (f"{kind} {name!r}", f"a.yaml:{line}:"))


def test_all_errors_of_all_files_at_once_in_order() -> None:
    rows = """\
      - {name: lr, is: ‸learning_rat}
      - {name: betas, is: [beta1, beta2], default: ‸0.9}
      - {name: eps, is: l2, default: 1.0, ‸note_: x}
    rule: {bias: ‸ful}
"""
    check(
        {"common.yaml": COMMON, "a.yaml": HEAD + rows, "b.yaml": "‸nonsense: 1\ntraits: ‸[]\n"},
        ("learning_rat",),
        ("found default 0.9",),
        ("note_",),
        ("ful",),
        ("nonsense",),
        ("found a list",),
    )


def test_an_error_in_a_shared_list_is_reported_once() -> None:
    text = """\
parameter_lists:
  keras: [{name: x, is: ‸lr}]
algorithm: a
apis:
  torch.optim.A: {verified: v1, parameters: [{include: keras}]}
  torch.optim.B: {verified: v1, parameters: [{include: keras}]}
"""
    check({"common.yaml": COMMON, "t.yaml": text}, ("unknown hyperparameter 'lr'",))


def test_an_error_in_a_shared_list_that_no_section_includes() -> None:
    check(
        {"common.yaml": COMMON, "t.yaml": "parameter_lists: {x: [{name: x, is: ‸lr}]}\n"},
        ("unknown hyperparameter 'lr'",),
    )


def test_bytes_that_are_not_utf_8() -> None:
    assert errors(("t.yaml", b"algorithm: a\ntitle: caf\xe9\n"))[0].startswith(
        "t.yaml:2:11: not UTF-8: found byte 0xe9"
    )
    assert errors(("t.yaml", "algorithm: a\n".encode("utf-16")))[0].startswith("t.yaml:1:1: not UTF-8")


def test_a_byte_order_mark_is_harmless() -> None:
    assert "torch.optim" in load_files([("t.yaml", b"\xef\xbb\xbf" + COMMON.encode())]).modules


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-8", 1e-8),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        ("1.", 1.0),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("7", 7),
        ("-7", -7),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("010", 10),
        ("12:30", "12:30"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("y", "y"),
        ("Null", "Null"),
        ("null", None),
        ("~", None),
        ("true", True),
        ("false", False),
        ("2020-01-01", "2020-01-01"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("[0.9, 1e-3]", (0.9, 1e-3)),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(text: str, value: object) -> None:
    tables = load_files([("t.yaml", f"hyperparameters: {{h: {{about: x, neutral: {text}}}}}\n".encode())])
    found = tables.hyperparameters["h"].neutral
    assert found == value
    assert type(found) is type(value)


def test_words_that_yaml_1_1_takes_for_flags_are_keys_and_values() -> None:
    text = "traits: {t: {values: {on: x, no: y, yes: z}, default: no, effect: close}}\n"
    trait = load_files([("t.yaml", text.encode())]).traits["t"]
    assert (list(trait.values), trait.default) == (["on", "no", "yes"], "no")


def test_billion_laughs_returns_quickly() -> None:
    levels = ["hyperparameters:", "  a0: &a0 {about: x, also_neutral: [lol, lol]}"]
    levels += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    start = time.process_time()
    lines = errors(("t.yaml", "\n".join(levels).encode()))
    assert time.process_time() - start < 2.0
    assert lines[0].startswith("t.yaml:")
    nested = "&a [x, x]"
    for n in range(30):
        nested = f"&b{n} [{nested}, *{'a' if n == 0 else f'b{n - 1}'}]"
    start = time.process_time()
    lines = errors(("t.yaml", f"hyperparameters: {{h: {{about: x, neutral: {nested}}}}}".encode()))
    assert time.process_time() - start < 2.0
    assert any("alias" in line for line in lines)


def test_an_alias_to_what_contains_it() -> None:
    assert "alias" in errors(("t.yaml", b"hyperparameters: {h: {about: x, neutral: &a [*a]}}"))[0]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
@pytest.mark.parametrize("depth", [400, 60_000])
def test_deep_nesting_is_an_error(opening: str, depth: int) -> None:
    """In a process of its own: a stack that overflows takes the whole interpreter down."""
    program = (
        "import sys\nfrom optmap.mapping.load import load_files\nfrom optmap.mapping.stored import MappingError\n"
        "try: load_files([('t.yaml', (sys.argv[1] * int(sys.argv[2])).encode())])\n"
        "except MappingError as error: print(error.lines[0])\n"
    )
    command = [sys.executable, "-c", program, opening, str(depth)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-300:]
    assert re.match(r"t\.yaml:\d+:\d+: .", done.stdout)


@pytest.mark.parametrize("depth", [300, 3000])
def test_a_default_that_is_nested_deeply(depth: int) -> None:
    text = f"hyperparameters: {{h: {{about: x, neutral: {'[' * depth}{']' * depth}}}}}"
    must_load_or_say_why([("t.yaml", text.encode())])


# Directories


def write_table(directory: Path, name: str, text: str) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text, encoding="utf-8")
    return directory


NEW_ADAM = """\
algorithm: adam
apis:
  mindspore.nn.Adam:
    verified: "9.9"
    parameters:
      - {name: params, is: parameters}
      - {name: learning_rate, is: learning_rate, default: 0.5}
    rule: {bias_correction: full, epsilon_placement: before_correction}
"""


def test_a_section_of_the_users_replaces_ours(tables: MappingSet, tmp_path: Path) -> None:
    loaded = load([write_table(tmp_path, "mine.yaml", NEW_ADAM)])
    api = loaded.apis["mindspore.nn.Adam"]
    assert (api.verified, api.by_name["learning_rate"].default) == ("9.9", 0.5)
    assert str(api.at).startswith(str(tmp_path / "mine.yaml"))
    assert set(loaded.apis) == set(tables.apis)
    assert loaded.algorithms["adam"].alternatives == tables.algorithms["adam"].alternatives


def test_a_replaced_section_keeps_its_rank(tables: MappingSet, tmp_path: Path) -> None:
    """Correcting a row must not change which class is preferred."""
    loaded = load([write_table(tmp_path, "mine.yaml", NEW_ADAM)])
    source = tables.apis["torch.optim.Adam"]
    before = [api.name for api in candidates(tables, source, Framework("mindspore"))]
    assert before[0] == "mindspore.nn.Adam"
    assert [api.name for api in candidates(loaded, source, Framework("mindspore"))] == before


def test_a_later_directory_wins(tmp_path: Path) -> None:
    first = write_table(tmp_path / "a", "x.yaml", NEW_ADAM)
    second = write_table(tmp_path / "b", "x.yaml", NEW_ADAM.replace("9.9", "10"))
    assert load([first, second]).apis["mindspore.nn.Adam"].verified == "10"
    assert load([second, first]).apis["mindspore.nn.Adam"].verified == "9.9"


def test_a_new_algorithm_of_the_users(tmp_path: Path) -> None:
    text = NEW_ADAM.replace("adam", "sophia").replace("mindspore.nn.Adam", "mindspore.nn.Sophia")
    loaded = load([write_table(tmp_path, "sophia.yaml", text)])
    assert loaded.api_at("mindspore.nn.Sophia") is loaded.apis["mindspore.nn.Sophia"]
    assert loaded.algorithms["sophia"].title == "sophia"


def test_directories_that_hold_no_tables(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x", encoding="utf-8")
    directories = [tmp_path / "nowhere", tmp_path / "file", tmp_path / "empty"]
    with pytest.raises(MappingError) as caught:
        load(directories)
    assert sorted(line.rpartition(":1:1: ")[0] for line in caught.value.lines) == sorted(map(str, directories))


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").symlink_to(tmp_path / "vanished")
    (tmp_path / "y.yaml").mkdir()
    with pytest.raises(MappingError) as caught:
        load([tmp_path])
    assert [line.partition(".yaml")[0][-1] for line in caught.value.lines] == ["x", "y"]
    assert all("cannot be read" in line for line in caught.value.lines)


# Whatever the bytes

REAL = {path.name: path.read_bytes() for path in sorted(default_directory().glob("*.yaml"))}
SPOILERS = [
    b"null",
    b"~",
    b"[]",
    b"{}",
    b"- ",
    b": ",
    b"*a",
    b"&a ",
    b"!!int ",
    b"!!float ",
    b"!!bool ",
    b"!x ",
    b"? ",
    b"\n",
    b"\t",
    b"'",
    b'"',
    b"#",
    b"---\n",
    b"%",
    b"|",
    b">",
    b"[[",
    b"]",
    b"}",
    b"{",
    b",",
    b"1e999",
    b".nan",
    b"9" * 5000,
    b"true",
    b"\x00",
    b"\xff",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"<<: ",
    b"(e, 1)",
    b"is",
    b"name",
    b"parameters",
    b"default: ",
    b"''",
]


def must_load_or_say_why(files: list[tuple[str, bytes]]) -> None:
    try:
        load_files(files, own_modules=True)
    except MappingError as error:
        lines = error.lines
    else:
        return
    assert lines
    for line in lines:
        assert re.match(r"[^:\n]+:[1-9]\d*:[1-9]\d*: \S", line), line


@examples(150)
@given(st.binary(max_size=60) | st.text("ab:-[]{}&*!?|>'\"#,\n \t0.e", max_size=40).map(str.encode))
def test_arbitrary_bytes(data: bytes) -> None:
    must_load_or_say_why([("t.yaml", data)])


@examples(150)
@given(st.binary(max_size=30) | st.text("ab:-[]{}&*!?|>'\"#,\n \t0.e", max_size=30).map(str.encode))
def test_arbitrary_bytes_inside_a_table(data: bytes) -> None:
    rows = b"      - {name: lr, is: learning_rate, default: " + data + b"}\n"
    must_load_or_say_why([("common.yaml", COMMON.encode()), ("t.yaml", HEAD.encode() + rows)])


@examples(30, [HealthCheck.too_slow])
@given(st.data())
def test_spoilt_copies_of_the_real_tables(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(REAL)))
    text = REAL[name]
    for _ in range(data.draw(st.integers(1, 3))):
        words = [match.span() for match in re.finditer(rb"[\w.]+|[^\w\s]|\n *", text)]
        start, end = data.draw(st.sampled_from(words))
        kind = data.draw(st.sampled_from(("replace", "insert", "delete", "truncate", "copy")))
        first, last = data.draw(st.sampled_from(words))
        spoiler = data.draw(st.sampled_from([*SPOILERS, text[first:last]]))
        if kind == "truncate":
            text = text[:end] if end > len(text) // 2 else text
        elif kind == "copy":
            text = text[:end] + text[start:end] + text[end:]
        else:
            text = text[:start] + (b"" if kind == "delete" else spoiler) + text[end if kind != "insert" else start :]
    must_load_or_say_why([(each, text if each == name else content) for each, content in REAL.items()])


@pytest.mark.parametrize("escape", ["\\e[2J", "\\0", "\\u202e", "\\x9b", "\\r"])
def test_text_that_steers_a_terminal_is_no_text(escape: str) -> None:
    with pytest.raises(MappingError) as caught:
        load_files([("x.yaml", f'algorithm: x\ntitle: "{escape}"\n'.encode())])
    assert caught.value.lines[0] == "x.yaml:2:8: this value holds a character that cannot be printed"
