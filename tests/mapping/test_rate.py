"""The rates of schedules as their tables state them: what is read, what is folded, what is refused."""

from __future__ import annotations

import pytest

from optmap.mapping.formula import Formula, Op, context, literal
from optmap.mapping.load import SCHEDULES, load_files, load_schedules
from optmap.mapping.rate import RateError, over_first, read_rate
from optmap.mapping.stored import MappingError, own_files

TABLES = load_schedules()
NUMBERS = {
    "three": literal(3),
    "half": literal(0.5),
    "zero": literal(0.0),
    "nothing": literal(None),
    "flag": literal(True),
}


def look_up(name: str) -> Formula:
    return NUMBERS.get(name, context(name))


def read(text: str) -> Formula:
    return read_rate(text, look_up, strict=True)


@pytest.mark.parametrize(("text", "same"), [
    ("{three} * 2 + {half} ** 2", "6.25"),
    ("({three} if {flag} else {x}) + (1 if {nothing} is None else {x})", "4"),
    ("{x} + 0 * {y}", "{x}"),
    ("{zero} + 1 * {x} / 1", "{x}"),
    ("{x} ** 1", "{x}"),
    ("{x} * {y} / {y}", "{x}"),
    ("{x} + ({zero} - {x}) * (1 - {y} / {z})", "{x} * {y} / {z}"),
    ("0.1 + -0.1 * (1 - {y})", "0.1 * {y}"),
    ("min(2, {three}) + floor(2.5) * max({half}, 1)", "4"),
    ("a = {x} * 2\na if {flag} and {three} <= 3 else 1", "{x} * 2"),
    ("1 if {step} < 2 else 1 if {flag} else {x} / {nothing}", "1 if {step} < 2 else 1"),
])  # fmt: skip
def test_what_is_known_is_folded(text: str, same: str) -> None:
    assert read(text) == read(same)


@pytest.mark.parametrize(("text", "message"), [
    ("{x} +", "expected lines that assign, and an expression"),
    ("", "expected lines that assign"),
    ("a = 3", "expected an expression as the last line"),
    ("import os\n{x}", "expected `name = expression`"),
    ("open('x')", "found 'open', expected one of min, max"),
    ("__import__('os').remove('x')", "found \"__import__('os').remove\""),
    ("{x}.real", "no arithmetic"),
    ("[1, 2]", "no arithmetic"),
    ("name", "found 'name', which is no arithmetic"),
    ("a = b + 1\nb = a\na", "found 'a', which is no arithmetic"),
    ("{x} if {y} else 1", "depends on {y}, which is not known"),
    ("{nothing} * 2", "{nothing} is not a number"),
])  # fmt: skip
def test_what_is_no_formula_is_reported(text: str, message: str) -> None:
    with pytest.raises(RateError) as caught:
        read(text)
    assert message in str(caught.value)


def test_a_part_keeps_its_name_where_it_is_used_more_than_once() -> None:
    once, twice = read("a = {x} * 2\na + 1"), read("a = {x} * 2\na + a ** 2")
    assert not any(node.op is Op.NAMED for node in once.nodes())
    assert [node.name for node in twice.nodes() if node.op is Op.NAMED] == ["a", "a"]


def test_the_first_rate_is_taken_out_where_it_is_a_factor() -> None:
    first = context("learning_rate")
    assert over_first(read("{learning_rate} * {x} / 2"), first) == read("{x} / 2")
    assert over_first(first, first) == literal(1)
    assert over_first(read("{x} * {learning_rate}"), first) is None
    assert over_first(read("{x} + {learning_rate}"), first) is None


def test_every_schedule_states_its_rate_or_why_it_has_none() -> None:
    for algorithm in TABLES.algorithms.values():
        assert (algorithm.rate is None) is not (algorithm.no_rate is None), algorithm.name


def test_a_wrong_formula_is_reported_where_it_stands() -> None:
    files = dict(own_files(SCHEDULES))
    name = "mappings/schedules/step_decay.yaml"
    files[name] = files[name].replace(b"{decay_rate} **", b"{decay_rat} **")
    with pytest.raises(
        MappingError, match=r"step_decay.yaml:6:7: unknown hyperparameter 'decay_rat'; did you mean 'decay_rate'"
    ):
        load_files(files.items())


DOUBLED = "a0 = {x} + {x}\n" + "".join(f"a{n} = a{n - 1} * a{n - 1}\n" for n in range(1, 40)) + "a39"


@pytest.mark.parametrize("text", [DOUBLED, "+".join(["{x}"] * 20_000), "-" * 20_000 + "1"])
def test_what_would_never_be_read_is_refused(text: str) -> None:
    with pytest.raises(RateError):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "9 ** 9 ** 9 ** 9",
        "{x} * 10 ** 10 ** 10",
        "0.5 ** -1e9",
        "log(0)",
        "log(-1)",
        "exp(1e9)",
        "cos(1e999)",
        "1 % 0",
        "1 // 0",
        "floor(1e999)",
    ],
)
def test_what_no_number_can_hold_stays_a_formula(text: str) -> None:
    assert not read(text).known
