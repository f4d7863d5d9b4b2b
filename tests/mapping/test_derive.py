"""What follows from two sections for one call: worked out by hand from small tables, and from the shipped ones."""

from __future__ import annotations

import ast

import pytest

from optmap.mapping.derive import candidates, plan
from optmap.mapping.framework import Framework
from optmap.mapping.load import load_files
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import BoundArgument, Cause, Constant, FromArgument, Inferred, Obstacle, Plan, Prefer, choose
from optmap.mapping.sections import Api
from optmap.mapping.values import Conversion, read_value
from optmap.mapping.vocabulary import Effect

SMALL = """\
modules:
  torch.optim: {framework: torch, paths: [torch.optim]}
  mindspore.nn: {framework: mindspore, paths: [mindspore.nn]}
hyperparameters:
  rate: {about: step size}
  beta1: {about: first}
  beta2: {about: second}
  flag: {about: a flag, neutral: false}
  boost: {about: does nothing without flag, inert_without: flag}
  l2: {about: coupled, neutral: 0.0, also_neutral: [null], remedy: use less}
  decay: {about: decoupled, neutral: 0.0}
  scale: {about: has no neutral value}
traits:
  bias: {values: {full: corrects, none: leaves}, effect: divergent}
  place: {values: {in: puts inside, out: puts outside}, default: in, effect: close, advice: move it}
  filter:
    values: {all: decays all, some: decays some}
    default: all
    effect: divergent
    active_with: [l2, decay]
    ungrouped_only: true
algorithm: one
apis:
  torch.optim.A:
    verified: "1"
    parameters:
      - {name: params, is: parameters}
      - {name: lr, is: rate, default: 0.001}
      - {name: betas, is: [beta1, beta2], default: [0.9, 0.999]}
      - {name: flag, is: flag, default: false}
      - {name: boost, is: boost, default: 3}
      - {name: wd, is: l2, default: 0}
      - {name: fused, affects: execution, default: null}
      - {name: switch, switches: {l2: decay}, default: false}
      - {name: old, is: scale, default: 1, until: "0.5"}
    rule: {bias: full}
  mindspore.nn.Split:
    verified: "1"
    parameters:
      - {name: params, is: parameters}
      - {name: learning_rate, is: rate, default: 0.001}
      - {name: b1, is: beta1, default: 0.9, accepts: float, range: "(0, 1)"}
      - {name: b2, is: beta2, default: 0.99, accepts: float, range: "(0, 1)"}
      - {name: wd, is: l2, default: 0.0, range: "[0, inf)"}
    rule: {bias: none, place: out, filter: some}
  mindspore.nn.Swapped:
    verified: "1"
    parameters:
      - {name: params, is: parameters}
      - {name: learning_rate, is: rate}
      - {name: betas, is: [beta2, beta1], default: [0.999, 0.9]}
      - {name: decay, is: decay, default: 0.5}
    fixed: {flag: true, boost: 3, l2: 0.0}
    rule: {bias: full, place: out}
  mindspore.nn.Same:
    verified: "1"
    parameters:
      - {name: params, is: parameters}
      - {name: lr, is: rate, default: 0.001}
      - {name: betas, is: [beta1, beta2], default: [0.9, 0.999]}
      - {name: flag, is: flag, default: false, accepts: bool}
      - {name: boost, is: boost, default: 2}
      - {name: wd, is: l2, default: 0}
      - {name: decay, is: decay, default: 0.0}
      - {name: gone, is: scale, default: 7, until: "0.5"}
    rule: {bias: full}
  mindspore.nn.Fixed:
    verified: "1"
    parameters:
      - {name: params, is: parameters}
      - {name: lr, is: rate, default: 0.001}
      - {name: betas, is: [beta1, beta2], default: [0.9, 0.999]}
    fixed: {l2: 0.5}
    rule: {bias: full}
"""


@pytest.fixture(scope="module")
def small() -> MappingSet:
    return load_files([("small.yaml", SMALL.encode())])


def arguments(api: Api, texts: dict[str, str]) -> list[BoundArgument]:
    """Bind source texts to parameters by name; the index is the place in the call."""
    return [
        BoundArgument(api.by_name[name], read_value(ast.parse(text, mode="eval").body), index)
        for index, (name, text) in enumerate(texts.items())
    ]


def derive(
    tables: MappingSet, pair_source: str, pair_target: str, texts: dict[str, str] | None = None, **more: str
) -> Plan:
    return derive_grouped(tables, pair_source, pair_target, {**(texts or {}), **more}, None)


def derive_grouped(
    tables: MappingSet, source: str, target: str, texts: dict[str, str], group_keys: tuple[str, ...] | None
) -> Plan:
    api = tables.apis[source]
    return plan(tables, api, arguments(api, texts), tables.apis[target], group_keys=group_keys)


def shown(item: Plan) -> dict[str, object]:
    """Target argument -> `$index`, `$index[element]`, a conversion around it, a literal, or `?`; a list for a tuple."""

    def piece(part: object) -> object:
        if isinstance(part, Constant):
            return part.literal
        if isinstance(part, Inferred):
            return "?"
        assert isinstance(part, FromArgument)
        text = f"${part.index}" + ("" if part.element is None else f"[{part.element}]")
        return text if part.conversion is Conversion.NONE else f"{part.conversion}({text})"

    return {
        argument.parameter.name: [piece(part) for part in argument.pieces]
        if argument.compound
        else piece(argument.pieces[0])
        for argument in item.arguments
    }


A, SPLIT, SWAPPED, SAME, FIXED = (
    "torch.optim.A",
    *(f"mindspore.nn.{name}" for name in ("Split", "Swapped", "Same", "Fixed")),
)


def test_defaults_that_differ_are_filled_and_others_left_out(small: MappingSet) -> None:
    found = derive(small, A, SPLIT, params="p")
    assert shown(found) == {"params": "$0", "b2": 0.999}
    assert [argument.parameter.name for argument in found.arguments if argument.filled] == ["b2"]
    assert not found.problems


def test_a_required_parameter_of_the_target_is_written_out(small: MappingSet) -> None:
    found = derive(small, A, SWAPPED, params="p", flag="True")
    assert shown(found) == {"params": "$0", "learning_rate": 0.001, "decay": 0.0}
    assert [argument.parameter.name for argument in found.arguments if argument.filled] == ["learning_rate", "decay"]


def test_a_tuple_is_split_element_by_element(small: MappingSet) -> None:
    found = derive(small, A, SPLIT, params="p", betas="(b, 0.5)")
    assert shown(found) == {"params": "$0", "b1": "float($1[0])", "b2": "$1[1]"}
    assert not found.problems


def test_a_name_is_split_by_subscripts(small: MappingSet) -> None:
    found = derive(small, A, SPLIT, params="p", betas="betas")
    assert shown(found) == {"params": "$0", "b1": "float($1[0])", "b2": "float($1[1])"}
    assert not found.problems


@pytest.mark.parametrize("text", ["get()", "self.betas", "(0.9, *rest)", "b[0]"])
def test_an_expression_is_not_evaluated_twice(small: MappingSet, text: str) -> None:
    found = derive(small, A, SPLIT, params="p", betas=text)
    assert {problem.loss for problem in found.problems} == {Obstacle.INSEPARABLE}
    assert {problem.index for problem in found.problems} == {1}
    assert "name" in str(found.problems[0].remedy)
    assert shown(derive(small, A, SAME, params="p", betas=text))["betas"] == "$1"


def test_a_tuple_in_the_same_order_is_passed_whole(small: MappingSet) -> None:
    assert shown(derive(small, A, SAME, params="p", betas="(0, 1)")) == {"params": "$0", "betas": "$1", "boost": 3}


def test_a_tuple_in_another_order_is_put_together_anew(small: MappingSet) -> None:
    found = derive(small, A, SWAPPED, params="p", flag="True", betas="(b1, 0.7)")
    assert shown(found)["betas"] == ["$2[1]", "$2[0]"]


def test_keras_betas_join_into_a_tuple(tables: MappingSet) -> None:
    source, target = "tf.keras.optimizers.AdamW", "mindspore.experimental.optim.AdamW"
    both = derive(tables, source, target, beta_1="0.8", beta_2="b")
    assert shown(both) == {"params": "?", "betas": ["$0", "float($1)"], "eps": 1e-7, "weight_decay": 0.004}
    assert shown(derive(tables, source, target, beta_2="b"))["betas"] == [0.9, "float($0)"]
    assert shown(derive(tables, source, target, beta_1="0.8"))["betas"] == ["$0", 0.999]
    assert "betas" not in shown(derive(tables, source, target))


def test_torch_betas_split_for_mindspore(tables: MappingSet) -> None:
    found = derive(tables, "torch.optim.Adam", "mindspore.nn.Adam", params="p", betas="(0.5, b)", lr="x")
    assert shown(found) == {"params": "$0", "learning_rate": "$2", "beta1": "$1[0]", "beta2": "float($1[1])"}


@pytest.mark.parametrize(
    ("text", "wanted"), [("1", "float($1)"), ("x", "float($1)"), ("float(x)", "$1"), ("0.5", "$1"), ("1 / 2", "$1")]
)
def test_strict_floats(tables: MappingSet, text: str, wanted: str) -> None:
    found = derive(tables, "torch.optim.RMSprop", "mindspore.nn.RMSProp", params="p", momentum=text)
    assert shown(found)["momentum"] == wanted


def test_a_filled_default_has_the_type_that_the_target_insists_on(tables: MappingSet) -> None:
    found = derive(tables, "torch.optim.Adagrad", "mindspore.nn.Adagrad", params="p")
    assert (shown(found)["accum"], type(shown(found)["accum"])) == (0.0, float)


# What is lost


def test_a_neutral_value_is_dropped_silently(small: MappingSet) -> None:
    found = derive(small, A, SPLIT, params="p", flag="False")
    assert shown(found) == {"params": "$0", "b2": 0.999}
    assert [(item.index, item.execution) for item in found.dropped] == [(1, False)]
    assert not found.problems


@pytest.mark.parametrize("text", ["True", "flag", "0", "None"])
def test_a_value_that_is_not_provably_neutral_is_a_problem(small: MappingSet, text: str) -> None:
    found = derive(small, A, SPLIT, params="p", flag=text)
    first = found.problems[0]
    assert (first.loss, first.hyperparameter, first.index) == (Obstacle.MISSING, "flag", 1)


def test_what_is_inert_is_dropped(small: MappingSet) -> None:
    assert not derive(small, A, SPLIT, params="p", boost="5").problems
    awake = derive(small, A, SPLIT, params="p", boost="5", flag="True")
    assert "flag" in {item.hyperparameter for item in awake.problems}
    lacking = load_files([("s.yaml", SMALL.replace("      - {name: boost, is: boost, default: 2}\n", "").encode())])
    assert not derive(lacking, A, SAME, params="p", boost="5").problems
    for flag in ("True", "f"):
        lost = derive(lacking, A, SAME, params="p", boost="5", flag=flag)
        assert [(item.loss, item.hyperparameter) for item in lost.problems] == [(Obstacle.MISSING, "boost")]


def test_execution_arguments_are_dropped(small: MappingSet) -> None:
    found = derive(small, A, SAME, params="p", fused="True")
    assert [(item.index, item.parameter.name, item.execution) for item in found.dropped] == [(1, "fused", True)]
    assert not found.problems


def test_null_is_rewritten_where_it_means_neutral(small: MappingSet) -> None:
    assert shown(derive(small, A, SPLIT, params="p", wd="None")) == {"params": "$0", "b2": 0.999}
    assert "wd" not in shown(derive(small, A, SAME, params="p", wd="None"))


def test_a_problem_carries_the_remedy(small: MappingSet) -> None:
    text = SMALL.replace("boost: 3, l2: 0.0}", "boost: 3}")
    found = derive(load_files([("s.yaml", text.encode())]), A, SWAPPED, params="p", flag="True", wd="0.1")
    assert [(item.hyperparameter, item.remedy) for item in found.problems] == [("l2", "use less")]
    assert "wd" in found.problems[0].message
    assert SWAPPED in found.problems[0].message


@pytest.mark.parametrize(
    ("text", "inside"), [("1.0", False), ("0", False), ("-0.5", False), ("0.5", True), ("x", True), ("1 - 1e-9", True)]
)
def test_ranges(small: MappingSet, text: str, inside: bool) -> None:
    found = derive(small, A, SPLIT, params="p", betas=f"({text}, 0.5)")
    assert [(item.loss, item.index) for item in found.problems] == ([] if inside else [(Obstacle.REJECTED_VALUE, 1)])


def test_a_closed_end_of_a_range(small: MappingSet) -> None:
    assert not derive(small, A, SPLIT, params="p", wd="0").problems
    assert [item.loss for item in derive(small, A, SPLIT, params="p", wd="-1e-9").problems] == [Obstacle.REJECTED_VALUE]


# Constants


def test_a_constant_that_equals_the_value(small: MappingSet) -> None:
    found = derive(small, A, SWAPPED, params="p", flag="True")
    assert (found.problems, found.causes[1:]) == ((), ())


def test_a_constant_that_contradicts_an_argument(small: MappingSet) -> None:
    for text in ("0.1", "x"):
        found = derive(small, A, FIXED, params="p", wd=text)
        assert [(item.loss, item.hyperparameter, item.index) for item in found.problems] == [
            (Obstacle.MISSING, "l2", 1)
        ]
    assert not derive(small, A, FIXED, params="p", wd="0.5").problems


def test_a_constant_that_differs_from_a_default_is_a_cause(small: MappingSet) -> None:
    found = derive(small, A, FIXED, params="p")
    assert not found.problems
    assert [(cause.trait, cause.source, cause.target) for cause in found.causes] == [
        ("l2", "uses l2 0", "always uses l2 0.5"),
    ]


def test_a_constant_of_the_source_that_the_target_can_set(tables: MappingSet) -> None:
    found = derive(tables, "torch.optim.SparseAdam", "mindspore.nn.Adam", params="p")
    assert shown(found) == {"params": "$0", "use_lazy": True}


# Switches


def test_a_switch_off_on_and_unknown(small: MappingSet) -> None:
    assert shown(derive(small, A, SAME, params="p", wd="0.1", switch="False")) == {
        "params": "$0",
        "wd": "$1",
        "boost": 3,
    }
    assert shown(derive(small, A, SAME, params="p", wd="0.1", switch="True")) == {
        "params": "$0",
        "decay": "$1",
        "boost": 3,
    }
    unknown = derive(small, A, SAME, params="p", wd="0.1", switch="s")
    assert [(item.loss, item.index) for item in unknown.problems] == [(Obstacle.UNKNOWN_SWITCH, 2)]
    assert not derive(small, A, SAME, params="p", switch="s").problems, "nothing to switch"
    assert not derive(small, A, SAME, params="p", wd="0.0", switch="s").problems, "nothing to switch"


def test_the_switch_of_torch_adam(tables: MappingSet) -> None:
    """What decoupled_weight_decay makes of Adam is AdamW (https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html)."""
    texts = {"params": "p", "weight_decay": "0.1", "decoupled_weight_decay": "True"}
    source = "torch.optim.Adam"
    assert shown(derive(tables, source, "mindspore.experimental.optim.AdamW", texts)) == {
        "params": "$0",
        "weight_decay": "$1",
    }
    lost = derive(tables, source, "mindspore.nn.Adam", texts)
    assert [(item.loss, item.hyperparameter) for item in lost.problems] == [(Obstacle.MISSING, "decoupled_decay")]


# Causes


def traits(item: Plan) -> list[tuple[str, Effect]]:
    return [(cause.trait, cause.effect) for cause in item.causes]


def test_traits_that_differ_are_causes(small: MappingSet) -> None:
    found = derive(small, A, SPLIT, params="p")
    assert found.causes == (
        Cause("bias", Effect.DIVERGENT, "corrects", "leaves", None, str(small.apis[SPLIT].at), other="none"),
        Cause("place", Effect.CLOSE, "puts inside", "puts outside", "move it", str(small.apis[SPLIT].at), other="out"),
    )
    assert found.divergent
    assert traits(derive(small, A, SWAPPED, params="p", flag="True")) == [("place", Effect.CLOSE)]
    assert not derive(small, A, SWAPPED, params="p", flag="True").divergent
    assert traits(derive(small, A, SAME, params="p")) == []


def test_a_trait_sleeps_until_its_hyperparameter_is_awake(small: MappingSet) -> None:
    asleep = [("bias", Effect.DIVERGENT), ("place", Effect.CLOSE)]
    awake = [*asleep, ("filter", Effect.DIVERGENT)]
    assert traits(derive(small, A, SPLIT, params="p", wd="0")) == asleep
    assert traits(derive(small, A, SPLIT, params="p", wd="None")) == asleep
    assert traits(derive(small, A, SPLIT, params="p", wd="0.1")) == awake
    assert traits(derive(small, A, SPLIT, params="p", wd="x")) == awake
    assert traits(derive_grouped(small, A, SPLIT, {"params": "p", "wd": "0.1"}, ())) == asleep


def test_the_decay_filter_of_mindspore(tables: MappingSet) -> None:
    pair = ("torch.optim.SGD", "mindspore.nn.SGD")
    assert traits(derive(tables, *pair, params="p")) == []
    assert traits(derive(tables, *pair, params="p", weight_decay="1e-4")) == [("decay_filter", Effect.DIVERGENT)]
    assert traits(derive_grouped(tables, *pair, {"params": "p", "weight_decay": "1e-4"}, ())) == []


def test_adamw_is_not_corrected_for_bias(tables: MappingSet) -> None:
    found = derive(tables, "torch.optim.AdamW", "mindspore.nn.AdamWeightDecay", params="p", weight_decay="0")
    assert traits(found) == [("bias_correction", Effect.DIVERGENT)]


# Candidates and choice


def test_candidates_are_in_the_order_of_the_file_then_of_the_alternatives(tables: MappingSet) -> None:
    found = candidates(tables, tables.apis["torch.optim.AdamW"], Framework("mindspore"))
    assert [api.name for api in found] == [
        "mindspore.nn.AdamWeightDecay",
        "mindspore.experimental.optim.AdamW",
        "mindspore.nn.Adam",
        "mindspore.experimental.optim.Adam",
        "mindspore.nn.AdamOffload",
        # What no CPU runs is last, behind the alternatives too.
        "mindspore.experimental.optim.adamw.SpeedAdamW",
        "mindspore.mint.optim.AdamW",
        "mindspore.mint.optim.FusedAdamW",
        "mindspore.mint.optim.Adam",
    ]
    assert (
        candidates(tables, tables.apis["mindspore.nn.LazyAdam"], Framework("tensorflow"))[0].name
        == "tf.keras.optimizers.Adam"
    )


def plans(tables: MappingSet, *targets: str, **texts: str) -> list[Plan]:
    return [derive(tables, A, target, texts, params="p") for target in targets]


def test_the_first_that_can_is_chosen(small: MappingSet) -> None:
    chosen = choose(plans(small, SPLIT, FIXED, SAME), Prefer.DOCUMENTED)
    assert chosen is not None
    assert chosen.target.name == SPLIT
    chosen = choose(plans(small, SPLIT, SWAPPED, SAME, flag="f"), Prefer.DOCUMENTED)
    assert chosen is not None
    assert chosen.target.name == SAME
    assert choose(plans(small, SPLIT, SWAPPED, flag="f"), Prefer.DOCUMENTED) is None
    assert choose([], Prefer.DOCUMENTED) is None
    assert choose([], Prefer.FAITHFUL) is None


def test_the_most_faithful_that_can_is_chosen(small: MappingSet) -> None:
    def best(*targets: str, **texts: str) -> str | None:
        chosen = choose(plans(small, *targets, **texts), Prefer.FAITHFUL)
        return chosen and chosen.target.name

    assert best(SPLIT, FIXED, SAME) == SAME
    assert best(SPLIT, FIXED) == FIXED, "close before divergent"
    assert best(SPLIT) == SPLIT, "divergent before nothing"
    assert best(SAME, SAME) == SAME
    assert best(SPLIT, SAME, flag="f") == SAME
    assert best(SPLIT, SWAPPED, flag="f") is None


@pytest.mark.parametrize("framework", list(Framework))
def test_every_pair_has_a_plan(tables: MappingSet, framework: Framework) -> None:
    """The plan of a call without arguments: whatever it is, it is one."""
    for api in tables.apis.values():
        for target in candidates(tables, api, framework):
            found = plan(tables, api, (), target)
            named = [argument.parameter.name for argument in found.arguments]
            assert len(set(named)) == len(named)
            assert set(named) <= {parameter.name for parameter in target.current}
