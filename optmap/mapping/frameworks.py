"""What the code has to know of a framework, from mappings/frameworks/*.yaml: one file each, and nothing of it in the code.

Texts are clauses of messages; what stands in braces in them is filled in by `fill`. A fact that is left out is one that
the framework does not have, or that optmap does not know: the message then goes without it, and nothing is written for it.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from optmap.mapping.records import Literal, Position, Record, key, own_key, place, store
from optmap.mapping.state import Files, Slot
from optmap.mapping.stored import Contents, MappingError, read_tables, stored

if TYPE_CHECKING:
    from optmap.mapping.framework import Framework

FOLDER: Final = "frameworks"
"""The folder of the frameworks' facts, in a directory of tables."""
DEFAULT: Final = "mindspore"
"""The framework that is translated to where none is named."""
ANY: Final = "any"
"""In a mapping by modules, every module that has no entry of its own."""


class Gradients(StrEnum):
    """How a training step comes by its gradients."""

    RECORDED = "recorded"
    TAPE = "tape"
    FUNCTION = "function"


class Kind(StrEnum):
    """What is done with an optimizer."""

    ZERO_GRAD = "zero_grad"
    STEP = "step"
    SCALED_STEP = "scaled_step"
    APPLY_GRADIENTS = "apply_gradients"
    MINIMIZE = "minimize"
    COMPILE = "compile"
    CALL = "call"
    TRAIN_ONE_STEP = "train_one_step"
    MODEL = "model"
    UPDATE = "update"


class Form(StrEnum):
    """What a function or cell makes of a function that computes the loss."""

    VALUES = "values"
    GRADIENTS = "gradients"
    OPERATION = "operation"
    LOSS = "loss"
    STEPS = "steps"


class Parameters(Record, title="parameters"):
    """How models give their parameters, and what optimizers ask of them."""

    trainable: str = key("what a model gives its trainable parameters by", default="")
    also: tuple[str, ...] = key("what gives the same under another name", default=())
    named: str | None = key("the method that gives them with their names", default=None)
    one_pass: bool = key("what they are given in can be iterated over once only", default=False)
    flag: str | None = key("the attribute that says whether a parameter is trained, where all are given", default=None)
    trained: str | None = key(
        "the attribute that says whether a parameter is trained, as all are in `named`", default=None
    )
    lists: bool = key("a group takes its parameters in a list, and no iterator", default=False)
    idle_groups: tuple[str, ...] = key("keys of groups that train nothing: such a group has no other", default=())
    idle_keys: dict[str, Literal] = key("key of a group -> the value at which it does nothing", default={})
    own_names: bool = key("a parameter has its name in its attribute `name`", default=False)
    rename: str | None = key("the call that tells equal names apart, where no two may be equal", default=None)
    join: str | None = key("what does so as well", default=None)
    scales: dict[str, str] = key("last part of a name elsewhere -> that of a normalization layer here", default={})
    tables: dict[str, str] = key("last part of a name elsewhere -> that of an embedding here", default={})
    spare: str | None = key("how to decay what the source decays, given {parameters}, {list}, {model}", default=None)
    spare_any: str | None = key("the same where the parameters cannot be quoted", default=None)
    left_out: str = key("what is said of a class that takes no parameters", default="the class takes none")
    left_out_some: str = key("the same where they may be some of a model's", default="the class takes none")
    shown_by: str | None = key("what to do so that a file shows what an optimizer trains", default=None)
    kept_by: tuple[str, ...] = key("paths of what is given an optimizer and only keeps it", default=())


class Variables(Record, title="variables"):
    """What is known of functions, so that the variables behind a loss are told. Paths are written as `alike` gives them."""

    alike: dict[str, str] = key("prefix of import paths -> another below which the same functions stand", default={})
    made_by: dict[str, int] = key(
        "function that makes a variable -> how many positional arguments do not decide whether it is trained",
        default={},
    )
    computing: dict[str, tuple[str, ...]] = key(
        "module -> its functions that compute with nothing but what they are given; `any` for all", default={}
    )
    stops: tuple[str, ...] = key("functions through which no gradient passes", default=())
    collection: tuple[str, ...] = key("what gives all trainable variables of a graph", default=())
    gradients: tuple[str, ...] = key("what gives the gradients of a loss with regard to some", default=())


class Rates(Record, title="rates"):
    """What a learning rate may be beside a number."""

    objects: dict[str, tuple[str, ...]] = key("what it is -> the import paths that make it", default={})
    lists: bool = key("a list with a rate for each step", default=False)
    method: str | None = key("the method of the user's own schedules that gives the rate", default=None)
    called: str = key("what these are called with at a {step}", default="{step}")
    array: str | None = key("the numpy array of a {tensor} of rates", default=None)
    of_list: dict[str, str] = key("module -> what takes the place of a list", default={})
    of_class: dict[str, str] = key("module -> what becomes of a class of the user's own", default={})


class Schedules(Record, title="schedules"):
    """How learning-rate schedules come to an optimizer."""

    only: str | None = key("the one way, where there is one", choices=("attached", "passed"), default=None)
    function: str | None = key("the attached schedule that takes a function", default=None)
    steps: str | None = key("the schedule that is passed and takes a rate for each interval", default=None)
    rate: str | None = key("how the rate of {optimizer} is set by hand", default=None)
    given: str | None = key("what functions are called with, where it is no int", default=None)
    lacking: dict[str, str] = key("member that attached schedules elsewhere have -> what to do", default={})
    stepped: dict[str, str] = key(
        "algorithm, or algorithm.hyperparameter, whose step() takes no epoch here -> why", default={}
    )
    unswitched: dict[str, str] = key("algorithm that no sequence can switch to -> why, after its {line}", default={})


class Models(Record, title="models"):
    """Models and tensors, as far as training steps touch them."""

    called: str = key("what a model is called in messages", default="a model")
    bases: tuple[str, ...] = key("what models derive from", default=())
    containers: tuple[str, ...] = key("classes of layers that are made of other layers", default=())
    layers: tuple[str, ...] = key("modules whose classes are layers", default=())
    tensors: tuple[str, ...] = key("functions that give tensors, and no layers", default=())
    normalizing: tuple[str, ...] = key("parts of the names of layers that normalize, or hold such layers", default=())
    same: tuple[str, ...] = key("methods of models that give back the model itself", default=())
    mode: str | None = key("how a model is put into training mode", default=None)
    flag: str | None = key("the keyword that tells a call whether it is for training", default=None)
    frozen_by: str | None = key("the attribute of a model or layer that says whether it is trained", default=None)
    frozen_also: str | None = key("what else that attribute does", default=None)
    freeze: str | None = key("code that says so in another way, given {model} and {value}", default=None)
    start: str | None = key("what is said where models are in training mode from the start", default=None)
    methods: dict[str, dict[str, str]] = key("framework -> method of its models -> the call here", default={})
    lacking: dict[str, dict[str, str]] = key("framework -> method that is lacking here -> what there is", default={})


class Shown(Record, title="shown"):
    """The code that messages show in place of a step. What stands in braces is filled in, over several lines where needed.

    {body} are the statements that compute {loss}. A framework whose gradients come from a function says in `before` how to
    define it; elsewhere the statements stand in `gradients`.
    """

    before: str = key("what stands in front of the loop, given {forward}, {function}, {given}, {results}", default="")
    more: str = key("what is written for {more} where the function returns more than a loss", default="")
    gradients: str = key("what computes the gradients, and calls the function, if there is one", default="")
    called: str = key(
        "the same where a function of the file, {call}, gives {targets}, the first of them the loss", default=""
    )
    clip: dict[str, str] = key(
        "norm, global (without torch's 1e-6), each or value -> what clips {grads} to {bound} and gives {made}; times or"
        " over -> what multiplies or divides each by it",
        default={},
    )
    total: str = key("what adds the gradients up in {total}, which is None at first", default="")
    taken: str = key(
        "what takes {grads} of {loss} for {parameters} alone, where steps share a forward part", default=""
    )
    assigned: str = key("what gives these to {parameters}, {parameter} and {gradient} at a time", default="")
    update: str = key("how the optimizer is given gradients", default="{optimizer}(grads)")
    cell: str = key(
        "what takes the place of a TrainOneStepCell {name}, where {value} computes {loss} from what is {given}",
        default="",
    )
    compiled: str = key("what takes the place of a Keras model's compile", default="")
    model: str = key("what takes the place of a model that trains by itself", default="")
    stop: str = key("the function of what torch's detach() gives", default="")
    paused: str = key("the context in which {tape} records nothing", default="")
    training: str = key("what puts {model} into training mode", default="")
    evaluation: str = key("what puts {model} into evaluation mode", default="")
    idiom: str = key("what is said of a step for which no code can be shown", default="")


class Saving(Record, title="saving"):
    """How the state of a model is written to a file, as `save(model.state(), path)`, and read again."""

    save: str = key("the import path of the function that writes a state")
    load: str = key("that of the function that reads it")
    gives: str = key("the method of a model that gives its state")
    takes: str = key("the method that takes it")
    idle: tuple[str, ...] = key("arguments of `load` that say how, not what", default=())
    endings: tuple[str, ...] = key("how such files are called; the first is written")
    holds: str | None = key("what writes the state of {optimizer} alone to {path}", default=None)
    restores: str | None = key("what reads it", default=None)


class Scaling(Record, title="scaling"):
    """Loss scales: what multiplies the loss, and how gradients are divided where no optimizer does so by itself."""

    managers: tuple[str, ...] = key("import paths of what holds a scale", default=())
    takes: tuple[str, ...] = key("its arguments: the scale, and whether the gradients are divided there", default=())
    dividing: tuple[str, ...] = key("import paths of what divides the gradients by itself", default=())
    divided: str | None = key("code that has {optimizer} divide by a $scale, with a {name} of its own", default=None)
    since: str = key("the version from which on this code runs", default="")


class Recording(Record, title="recording"):
    """Through what gradients do not pass, and where nothing is recorded. Paths are those of imports."""

    unrecorded: tuple[str, ...] = key("contexts and decorators under which nothing is recorded", default=())
    fresh: tuple[str, ...] = key("functions whose results have no history, whatever they are given", default=())
    computes: tuple[str, ...] = key(
        "regular expressions of functions whose results have a history only where what they are given has one",
        default=(),
    )
    stops: tuple[str, ...] = key("methods of tensors whose results have no history", default=())


class Steps(Record, title="steps"):
    """What is done with optimizers in training, and how a step is written."""

    gradients: Gradients | None = key("how a step comes by its gradients", default=None)
    words: tuple[str, ...] = key("patterns of which a file with a step has one", default=())
    methods: dict[str, Kind] = key("method of an optimizer -> what it does", default={})
    given: dict[str, Kind] = key("what is given an optimizer (methods begin with a dot) -> what it does", default={})
    called: Kind | None = key("what calling the optimizer does", default=None)
    takes: tuple[str, ...] = key("what is called to take gradients", default=())
    makes: tuple[str, ...] = key("what is called to make a function that takes them", default=())
    written: tuple[Kind, ...] = key("what of other frameworks optmap can rewrite to this one's steps", default=())
    renames: bool = key("names of other frameworks that a table has are rewritten with its steps", default=False)
    tape: str | None = key("the import path of the gradient tape", default=None)
    recording: Recording = key("what is recorded of what is computed", default=Recording())
    forms: dict[str, Form] = key(
        "import path -> what it makes of a loss: a function that gives its value with its gradients, or those alone, an"
        " operation that makes such a function, a cell of model and loss, a cell that makes whole steps",
        default={},
    )
    compiles: tuple[str, ...] = key(
        "import paths of decorators that compile a function, which otherwise does the same", default=()
    )
    passes: tuple[str, ...] = key(
        "functions that give what they are given first, once the update beside it is made", default=()
    )
    clips: dict[str, str] = key(
        "function that clips a list of gradients -> how (+norm if it gives that, too), and its arguments, the bound last",
        default={},
    )
    clips_one: dict[str, str] = key("the same of functions that clip one gradient", default={})
    trainers: tuple[str, ...] = key(
        "import paths of what trains with classes of the modules `trained` alone", default=()
    )
    trained: tuple[str, ...] = key("modules whose optimizers `trainers` take, and what becomes of compile", default=())
    shown: Shown = key("the code that messages show", default=Shown())


class Frontier(Record, title="frontier"):
    """What the framework's names give, so that its values are told from others. Paths are patterns with `*`; the first fits.

    What no pattern knows gives a tensor, or what computes with one.
    """

    kin: tuple[str, ...] = key("packages whose objects are the framework's own", default=())
    devices: tuple[str, ...] = key("what names devices, or tells which there are, and does nothing else", default=())
    settings: tuple[str, ...] = key("functions that change what all code of a file means", default=())
    contexts: tuple[str, ...] = key("contexts and decorators that change what code means", default=())
    losses: tuple[str, ...] = key("losses", default=())
    schedules: tuple[str, ...] = key("learning-rate schedules", default=())
    data: tuple[str, ...] = key("what gives batches of tensors", default=())
    batches: tuple[str, ...] = key(
        "import paths of what gives nothing but batches of tensors when a loop runs over it", default=()
    )
    own_batches: tuple[str, ...] = key("arguments with which they give something else", default=())
    batched: tuple[str, ...] = key("methods of `data` of which the same is true", default=())
    array: str | None = key("the numpy array of a {tensor}", default=None)
    tensor: str | None = key("the tensor of a numpy {array}", default=None)
    models: tuple[str, ...] = key("layers, models and their base classes", default=())
    plain: tuple[str, ...] = key("what gives numbers, text, arrays or nothing", default=())
    members: tuple[str, ...] = key("members of tensors and models that give numbers, text or arrays", default=())


class OptimizerModule(Record):
    """A module that holds optimizers: every path it is imported by, and how its classes take parameter groups."""

    name: str = own_key()
    at: Position = place()
    framework: "Framework" = key("the framework, but in the file of one", given=str, default="")
    package: str = key("the package whose version counts; the framework's own by default", default="")
    paths: tuple[str, ...] = key("every import path of the module; the first is written")
    docs_template: str | None = key(
        "address of a class's page; `{api}` and `{class}` stand for its full and its short name",
        default=None,
        name="docs",
    )
    pinned: dict[str, str] = key("import path -> the version whose classes it holds, whatever is installed", default={})
    until: dict[str, str] = key(
        "for a module that is no more: package -> version from which the paths below it are another module's",
        default={},
    )
    exclusive: bool = key("every class in the module is an optimizer", default=False)
    others: tuple[str, ...] = key("members that are not optimizers", default=())
    schedules: tuple[str, ...] = key("members that are learning-rate schedules or hold them", default=())
    submodules: dict[str, tuple[str, ...]] = key(
        "submodule -> classes of the module that it defines and whose names do not begin as its own does", default={}
    )
    group_keys: dict[str, tuple[str, ...]] = key(
        "key of a parameter group -> the canonical names it may stand for", default={}
    )
    group_extras: dict[str, str] = key(
        "other key of a parameter group -> what to do where a target has none", default={}
    )
    groups_take_all: bool = key("a parameter group takes every hyperparameter by its own name", default=False)
    superseded: bool = key(
        "what else there is of the framework no longer takes its classes: they come last", default=False
    )
    collects: bool = key(
        "minimize(loss, step, variables) trains what the loss depends on where it is given no variables", default=False
    )
    serves: tuple[str, ...] = key("modules of optimizers that the schedules of this module are made for", default=())
    state: dict[str, Slot] = key("quantity of the state that every class stores -> how", default={})
    unserved: tuple[str, ...] = key("classes of those modules that take no schedule all the same", default=())


class Facts(Record, title="framework"):
    """A framework."""

    framework: str = key("the name that tables and options call it")
    title: str = key("the name for people")
    rank: int = key("its place among the frameworks; last without", default=99)
    aliases: tuple[str, ...] = key("other names for the command line", default=())
    packages: tuple[str, ...] = key("the packages whose versions can be chosen")
    covers: dict[str, tuple[str, ...]] = key(
        "package -> the first and the last of its versions whose signatures the tables have; any without", default={}
    )
    joined: dict[str, str] = key("package -> version of the first from which it has versions of its own", default={})
    names: dict[str, str] = key("name that stands for a path by convention", default={})
    imports: tuple[str, ...] = key("submodules that people import from it by their own names", default=())
    words: tuple[str, ...] = key("a file that mentions optimizers has one of these, or any text without", default=())
    class_names: bool = key("the name of a class is such a word, too", default=False)
    short_names: tuple[tuple[str, ...], ...] = key("words that together name optimizers by short names", default=())
    strings: str | None = key("the module whose classes `model.compile` takes by name", default=None)
    serialized: bool = key("configurations with class_name and config are its own", default=False)
    takes_dense: bool = key("classes that update the rows of sparse gradients alone take dense ones, too", default=True)
    install: str | None = key("the command that installs it", default=None)
    modules: dict[str, OptimizerModule] = key("modules that hold its optimizers", default={})
    parameters: Parameters = key("models' parameters", default=Parameters())
    variables: Variables = key("variables of a graph", default=Variables())
    rates: Rates = key("learning rates", default=Rates())
    schedules: Schedules = key("learning-rate schedules", default=Schedules())
    models: Models = key("models and tensors", default=Models())
    scaling: Scaling = key("loss scales", default=Scaling())
    saving: Saving | None = key("files with the states of models", default=None)
    steps: Steps = key("training steps", default=Steps())
    saved: Files | None = key("files with the state of optimizers", default=None)
    frontier: Frontier = key("what its names give", default=Frontier())
    gradients_from: str = key("how an optimizer comes by the gradients", default="")
    example: str | None = key(
        "a program that trains with {call}, and prints what each of three steps gives", default=None
    )
    sparse_example: str | None = key("the same with sparse gradients", default=None)
    at: Position = place()

    def called(self, path: str) -> str:
        """The name that stands for the package of a path by convention."""
        package = path.partition(".")[0]
        return next((name for name, meant in self.names.items() if meant == package), package)


def fill(template: str, **texts: str) -> str:
    """Put texts in place of the words in braces that have one; other braces are code."""
    return re.sub(r"\{(\w+)\}", lambda match: texts.get(match[1], match[0]), template)


def for_module(texts: Mapping[str, str], module: str) -> str | None:
    """The entry of a module in a mapping by modules."""
    return texts.get(module, texts.get(ANY))


@lru_cache(maxsize=8)
def load_facts(extra: tuple[Path, ...] = ()) -> dict[str, Facts]:
    """The facts of optmap's own frameworks, then those in the folder `frameworks` of each directory, in their order.

    A later file replaces an earlier one of its framework. Raises MappingError.
    """
    found = stored("frameworks", FOLDER, build, store, restore)
    for directory in extra:
        contents = read_tables(directory / FOLDER)
        found = {**found, **build(contents)} if contents else found
    return dict(sorted(found.items(), key=lambda item: item[1].rank))


def build(contents: Contents) -> dict[str, Facts]:
    """Build facts from YAML files given as (name, content). Raises MappingError."""
    from optmap.mapping.yamlnodes import Problems, parse

    problems = Problems()
    found: dict[str, Facts] = {}
    for name, data in contents:
        parsed = parse(data, name, Facts, problems)
        if parsed is None or parsed.broken:
            continue
        facts = parsed.make(Facts)
        if facts.framework in found:
            problems.add(facts.at, f"framework {facts.framework!r} is already defined at {found[facts.framework].at}")
        found[facts.framework] = facts
    if problems.found:
        raise MappingError(problems.lines())
    return found


def restore(rows: dict[str, Any]) -> dict[str, Facts]:
    return {name: Facts.restore(row) for name, row in rows.items()}
