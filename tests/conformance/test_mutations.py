"""Wrong tables are caught: each mutation of a table makes a check of its row come out other than expected."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

import pytest

from optmap.conformance.catalog import catalog
from optmap.conformance.expect import find_better
from optmap.conformance.results import Result, Verdict
from optmap.conformance.run import RunOptions, run_trials
from optmap.conformance.select import table_calls
from optmap.conformance.trials import Trials
from optmap.mapping.framework import Framework
from optmap.mapping.load import load, load_files
from optmap.mapping.model import MappingSet
from optmap.mapping.stored import default_directory

from .frameworks import sessions


class Mutation(NamedTuple):
    """What is written into a table in place of what; the text must be found there."""

    what: str
    file: str
    section: str
    old: str
    new: str
    source: str


MUTATIONS: Final = (
    Mutation("swapped betas", "adam.yaml", "mindspore.nn.Adam", "name: beta1, is: beta1", "name: beta1, is: SWAP",
             "torch.optim.Adam"),
    Mutation("swapped betas in a tuple", "adamw.yaml", "mindspore.experimental.optim.AdamW", "is: [beta1, beta2]",
             "is: [beta2, beta1]", "torch.optim.AdamW"),
    Mutation("wrong default of the source", "adamax.yaml", "torch.optim.Adamax", "default: 0.002", "default: 0.001",
             "torch.optim.Adamax"),
    Mutation("wrong epsilon of the source", "adam.yaml", "tf.compat.v1.train.AdamOptimizer", "default: 1e-8",
             "default: 1e-7", "tf.compat.v1.train.AdamOptimizer"),
    Mutation("dropped fill: the target's default called equal", "adamax.yaml", "mindspore.nn.AdaMax", "default: 0.001",
             "default: 0.002", "torch.optim.Adamax"),
    Mutation("dropped fill of the accumulator", "adagrad.yaml", "mindspore.nn.Adagrad",
             "is: initial_accumulator, default: 0.1", "is: initial_accumulator, default: 0.0", "torch.optim.Adagrad"),
    Mutation("tied to the wrong parameter", "sgd.yaml", "mindspore.nn.SGD", "name: dampening, is: dampening",
             "name: dampening, is: l2", "torch.optim.SGD"),
    Mutation("L2 called decoupled", "adam.yaml", "torch.optim.Adam", "name: weight_decay, is: l2",
             "name: weight_decay, is: decoupled_decay", "torch.optim.Adam"),
    Mutation("decoupled called L2", "adamw.yaml", "torch.optim.AdamW", "name: weight_decay, is: decoupled_decay",
             "name: weight_decay, is: l2", "torch.optim.AdamW"),
    Mutation("a quirk left out", "rmsprop.yaml", "mindspore.nn.RMSProp", "mean_square_start: ones",
             "mean_square_start: zeros", "torch.optim.RMSprop"),
    Mutation("an ignored argument called honoured", "momentum.yaml", "mindspore.nn.Momentum", "nesterov_flag: ignored",
             "nesterov_flag: honoured", "tf.compat.v1.train.MomentumOptimizer"),
    Mutation("the name filter left out", "adam.yaml", "mindspore.nn.Adam", ", decay_filter: by_name", "",
             "torch.optim.Adam"),
    Mutation("a difference that is none", "sgd.yaml", "mindspore.nn.SGD", "momentum_learning_rate: outside",
             "momentum_learning_rate: inside", "torch.optim.SGD"),
    Mutation("a flag turned round", "sgd.yaml", "torch.optim.SGD", "name: nesterov, is: nesterov",
             "name: nesterov, is: maximize", "torch.optim.SGD"),
    Mutation("a state of the source under the wrong name", "adamw.yaml", "torch.optim.AdamW", "second_moment: {slot: exp_avg_sq}",
             "second_moment: {slot: exp_avg}", "torch.optim.AdamW"),
    Mutation("a state in the wrong measure", "sgd.yaml", "tf.keras.optimizers.SGD", "times: \"-{learning_rate}\", ", "",
             "tf.keras.optimizers.SGD"),
    Mutation("a power of the other beta", "adam.yaml", "mindspore.nn.Adam", "value: \"{beta2} ** {step}\"",
             "value: \"{beta1} ** {step}\"", "torch.optim.Adam"),
)  # fmt: skip


@cache
def contents() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(default_directory().glob("*.yaml"))}


def mutate(mutation: Mutation) -> MappingSet:
    """The tables with one section of one file changed."""
    files = dict(contents())
    head, mark, rest = files[mutation.file].partition(f"\n  {mutation.section}:\n")
    section, gap, others = rest.partition("\n\n")
    assert mutation.old in section, f"{mutation.section} has no {mutation.old!r}"
    if "SWAP" in mutation.new:
        section = section.replace("is: beta2", "is: beta1").replace(
            mutation.old, mutation.new.replace("SWAP", "beta2"), 1
        )
    elif mutation.new.endswith("is: l2") and "is: l2" in section:
        section = section.replace("name: weight_decay, is: l2", "name: weight_decay, is: dampening")
        section = section.replace(mutation.old, mutation.new, 1)
    elif mutation.new.endswith("is: maximize"):
        section = section.replace("name: maximize, is: maximize", "name: maximize, is: nesterov")
        section = section.replace(mutation.old, mutation.new, 1)
    else:
        section = section.replace(mutation.old, mutation.new, 1)
    files[mutation.file] = head + mark + section + gap + others
    return load_files(((name, text.encode()) for name, text in files.items()), own_modules=True)


def check(tables: MappingSet, source: str) -> list[Result]:
    """What `optmap check --all` does for one class."""
    api = tables.apis[source]
    trials = Trials(tables, catalog(), every_target=True)
    found = trials.find((call, Framework("mindspore")) for call in table_calls(tables, [api]))
    engines = sessions(api.framework, "mindspore")
    return find_better(run_trials(found, engines, RunOptions(30, 30, ("float32", "float64"), free=False)))


def failed(results: list[Result]) -> list[str]:
    return [
        f"{item.pair.source} -> {item.pair.target} {dict(item.pair.hyperparameters)} {item.scenario} {item.dtype}: {item.reason}"
        for item in results if item.verdict is not Verdict.AS_EXPECTED
    ]  # fmt: skip


@cache
def usually_failed(source: str) -> set[str]:
    """What fails for a class with the tables as they are: the same for every mutation."""
    return set(failed(check(load(), source)))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda item: item.what.replace(" ", "-"))
def test_a_wrong_table_is_caught(mutation: Mutation, record_property: Callable[[str, object], None]) -> None:
    caught, usual = set(failed(check(mutate(mutation), mutation.source))), usually_failed(mutation.source)
    assert caught - usual, f"{mutation.what} in {mutation.section} changes nothing"
    example = min(caught - usual)
    record_property("caught", example)
    print(f"{mutation.what}: caught by {len(caught - usual)} runs, such as {example}")
