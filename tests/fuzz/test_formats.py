"""Formulas of tables and the reports of translations, for whatever texts, names and files there are."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from optmap.mapping.formula import Formula, context, literal
from optmap.mapping.rate import RateError, read_rate
from optmap.report import REPORTS
from optmap.source.edits import Edit, apply_edits
from optmap.translate.pipeline import translate_bytes
from tests.fuzz.mutate import mutated
from tests.properties import examples
from tests.report.test_sarif import LOG
from tests.translate.test_properties import TABLES

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/translate.json").read_text("utf-8"))
VALUES = {"one": 1, "third": 0.3, "large": 7, "none": 0.0, "less": -2}
TOKENS = [
    *(f"{{{name}}}" for name in VALUES), "{step}", "{x", "}", "a = ", "\n", "+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", " if ",
    " else ", " and ", " is None", "(", ")", ",", "min(", "floor(", "exp(", "log(", "__import__(", "lambda: ", "[", "]", ".real", "0", "1e999",
    "0.5", "9" * 40, "'a'", "\0", "\u202e", "é", ":=", "await ", "f'{1}'",
]  # fmt: skip
CALLS = {name: getattr(math, name, None) or {"min": min, "max": max}[name] for name in ("min", "max", "floor", "cos")}


def look_up(name: str) -> Formula:
    return literal(VALUES[name]) if name in VALUES else context(name)


@examples(300)
@given(st.lists(st.sampled_from(TOKENS), max_size=14).map("".join))
def test_whatever_stands_in_place_of_a_formula_is_read_or_refused(text: str) -> None:
    for strict in (False, True):
        with suppress(RateError):
            read_rate(text, look_up, strict=strict)


LEAVES = st.sampled_from([*(f"{{{name}}}" for name in VALUES), "2", "0.25", "1e3"])
TERMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
            lambda x: f"({' '.join(x)})"
        ),
        st.tuples(inner, inner, inner, st.sampled_from(["<", "<=", "=="])).map(
            lambda x: f"({x[0]} if {x[1]} {x[3]} {x[2]} else {x[0]} - 1)"
        ),
        st.tuples(inner, inner).map(lambda x: f"min({x[0]}, max({x[1]}, 1))"),
        inner.map(lambda x: f"floor({x})"),
        inner.map(lambda x: f"-{x}"),
    ),
    max_leaves=8,
)


@examples(200)
@given(TERMS)
def test_a_formula_of_numbers_is_what_python_makes_of_it(text: str) -> None:
    """Python computes the generated text, which holds nothing but arithmetic."""
    found = read_rate(text, look_up)
    try:
        wanted = eval(re.sub(r"\{(\w+)\}", lambda name: f"({VALUES[name[1]]})", text), {"__builtins__": CALLS})
    except (ArithmeticError, TypeError, ValueError):
        return  # TypeError: a root of a negative number is complex
    if found.known and not isinstance(wanted, complex):
        assert found.number == wanted or math.isclose(found.number, wanted, rel_tol=1e-9) or wanted != wanted


NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=12).map(lambda name: f"d/{name}.py")


def edits_of(fix: dict[str, Any]) -> list[Edit]:
    (change,) = fix["artifactChanges"]
    found = []
    for item in change["replacements"]:
        start = item["deletedRegion"]["byteOffset"]
        text = item.get("insertedContent", {}).get("text", "")
        found.append(Edit(start, start + item["deletedRegion"]["byteLength"], text))
    return found


@examples(60)
@given(st.integers(0, 10**9), NAMES, NAMES)
def test_reports_hold_to_their_schemas_and_their_edits_make_the_output(seed: int, name: str, other: str) -> None:
    data, options = mutated(Random(seed))
    result = translate_bytes(data, TABLES, options)
    files = [(name, result), (other, result._replace(error="é\ud800\x1b[2J"))]
    document = json.loads(REPORTS["json"](files))
    jsonschema.validate(document, SCHEMA)
    assert document["files"][0]["changed"] == result.changed
    own = [Edit(item["start"], item["end"], item["text"]) for item in document["files"][0]["edits"]]
    log = json.loads(REPORTS["sarif"](files))
    jsonschema.validate(log, LOG)
    fixes = [fix for item in log["runs"][0]["results"] for fix in item.get("fixes", ())]
    if not data.startswith(b"\xef\xbb\xbf"):
        for edits in [own, *map(edits_of, fixes[:1])] if result.changed else []:
            assert apply_edits(data, edits) == result.output
    lines = REPORTS["github"](files).splitlines()
    assert all(line.startswith(("::error ", "::warning ", "::notice ")) and line.isprintable() for line in lines)
