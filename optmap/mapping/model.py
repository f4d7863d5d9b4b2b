"""What the tables say, as frozen values that remember the line they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from optmap.mapping import versions


class Framework(StrEnum):
    """A framework whose optimizers the tables describe."""

    TORCH = "torch"
    TENSORFLOW = "tensorflow"
    MINDSPORE = "mindspore"


class Effect(StrEnum):
    """How far two update rules drift apart where they differ in a trait."""

    CLOSE = "close"
    DIVERGENT = "divergent"


class Need(StrEnum):
    """What a training run must have for a trait to show, beyond the hyperparameters of the call."""

    CHANGING_RATE = "changing_learning_rate"
    SCALE_NAMES = "parameters_named_beta_or_gamma"
    SINGLE_PRECISION = "single_precision"
    LONG_RUN = "more_steps_than_inverse_square_of_learning_rate"


class Accepts(StrEnum):
    """The Python type that a constructor insists on; ANY where it takes any number."""

    ANY = "any"
    FLOAT = "float"
    FLOATS = "floats"
    INT = "int"
    BOOL = "bool"
    LIST = "list"


Literal: TypeAlias = "bool | int | float | str | tuple[Literal, ...] | None"

PARAMETERS: Final = "parameters"
"""The canonical name of the argument that holds the trainable parameters."""
OPTIMIZER: Final = "optimizer"
"""The canonical name of the argument that holds the optimizer that a schedule is attached to."""


class Position(NamedTuple):
    """A place in a table file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Interval(NamedTuple):
    """The values that a constructor accepts, such as `(0, 1]`."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    def __contains__(self, value: float) -> bool:  # type: ignore[override]
        above = value >= self.low if self.closed_low else value > self.low
        below = value <= self.high if self.closed_high else value < self.high
        return above and below

    def __str__(self) -> str:
        return f"{'[' if self.closed_low else '('}{self.low:g}, {self.high:g}{']' if self.closed_high else ')'}"


class Required:
    """The default of a parameter that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = Required()


class Hyperparameter(NamedTuple):
    """A canonical hyperparameter. Where a framework lacks it, a neutral value may be dropped.

    `effect` is how far two update rules drift apart where one of them can only use another value; `grows_with` names the
    hyperparameter whose size decides instead. `samples` are values to try: the first is given where a call has to give one.
    `remedy` says what to do where a framework lacks it, `remedies` the same for some frameworks in particular.
    """

    name: str
    about: str
    has_neutral: bool
    neutral: Literal
    also_neutral: tuple[Literal, ...]
    inert_without: str | None
    remedy: str | None
    effect: Effect
    grows_with: str | None
    samples: tuple[Literal, ...]
    remedies: dict[str, str]
    at: Position

    def advice(self, target: Framework, value: str) -> str | None:
        """Return what to do where the target lacks it; `value` is the text of what the call gives."""
        found = self.remedies.get(target, self.remedy)
        return found and found.replace("{value}", value)

    def is_neutral(self, value: Literal) -> bool:
        """Tell whether the value makes the hyperparameter do nothing."""
        if not self.has_neutral:
            return False
        return any(same_value(value, neutral) for neutral in (self.neutral, *self.also_neutral))


class Trait(NamedTuple):
    """A property of an update rule by which two frameworks may differ.

    With `grows_with` the size of a hyperparameter decides how far: at 0 there is no difference. `advice` says how to avoid
    the difference, `advice_to` the same where the target has a value in particular.
    """

    name: str
    values: dict[str, str]
    default: str | None
    effect: Effect
    active_with: tuple[str, ...]
    ungrouped_only: bool
    needs: Need | None
    advice: str | None
    grows_with: str | None
    advice_to: dict[str, str]
    at: Position


class Parameter(NamedTuple):
    """One parameter of a constructor, tied to canonical hyperparameters or to execution only.

    `ties` holds one canonical name, or several where the value is a tuple of them (betas). `default` is REQUIRED or a
    literal. `switches` maps a canonical name to the one it becomes while this (boolean) parameter is true. The row holds
    for the versions from `since` up to but not including `until`; a signature may have several rows of one name. `was`
    holds older names that are still accepted, each with the first version that no longer does.

    A parameter of a schedule may stand for its hyperparameter in another measure: the hyperparameter is the parameter's
    value, `times` another hyperparameter or `over` one; or the list of it with `plus` added to each item; or the list without
    its last item, which is what `then` names. The value must lie `below` another hyperparameter.
    """

    name: str
    ties: tuple[str, ...]
    execution: bool
    default: Literal | Required
    keyword_only: bool
    accepts: Accepts
    interval: Interval | None
    switches: dict[str, str]
    since: str | None
    until: str | None
    was: dict[str, str]
    note: str | None
    at: Position
    times: str | None = None
    plus: int = 0
    then: str | None = None
    below: str | None = None
    over: str | None = None

    @property
    def required(self) -> bool:
        return isinstance(self.default, Required)

    @property
    def is_parameters(self) -> bool:
        return self.ties == (PARAMETERS,)

    @property
    def leads(self) -> bool:
        """Tell whether the argument is written first and without its name."""
        return self.ties in ((PARAMETERS,), (OPTIMIZER,))


class Module(NamedTuple):
    """A module that holds optimizers: every path it is imported by, and how its classes take parameter groups.

    `package` is the package whose version decides which rows of its classes hold. `pinned` are paths through which
    the classes of one version are imported, whatever is installed (`tf.keras.optimizers.legacy`). `group_extras` are keys of
    parameter groups that are no hyperparameters, each with what to do where a target has no such key.

    `superseded` classes still run, but what else there is today of the framework does not take them.

    A module of schedules `serves` the optimizers of some modules, but for the classes that are `unserved`.
    """

    name: str
    framework: Framework
    package: str
    docs_template: str | None
    paths: tuple[str, ...]
    pinned: dict[str, str]
    exclusive: bool
    others: tuple[str, ...]
    schedules: tuple[str, ...]
    group_keys: dict[str, tuple[str, ...]]
    group_extras: dict[str, str]
    groups_take_all: bool
    at: Position
    serves: tuple[str, ...] = ()
    unserved: tuple[str, ...] = ()
    superseded: bool = False


class Earlier(NamedTuple):
    """What held of an update rule before a version, in place of what the API says today."""

    until: str
    rule: dict[str, str]
    rule_when: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Api:
    """An optimizer class as one framework defines it.

    `parameters` are the rows of all versions; `version` is the one whose signature counts here, None for the verified one.
    `instead` says what to do where a framework has no counterpart. `not_run` says why the class cannot be run on any
    machine with the framework: such a class is chosen only where no other expresses a call. `group_keys` are the keys that
    its parameter groups take where those are fewer than its module's. `sample` holds arguments without which no other
    framework can express a call, for the calls that optmap makes itself.
    """

    name: str
    module: Module
    algorithm: str
    verified: str
    parameters: tuple[Parameter, ...]
    extra_keywords: bool
    rule: dict[str, str]
    rule_when: dict[str, dict[str, str]]
    fixed: dict[str, Literal]
    deprecated: str | None
    note: str | None
    instead: str | None
    not_run: str | None
    since: str | None
    until: str | None
    earlier: tuple[Earlier, ...]
    at: Position
    group_keys: tuple[str, ...] | None = None
    sample: dict[str, Literal] = field(default_factory=dict)
    version: str | None = None
    original: Api | None = field(default=None, repr=False)

    @property
    def framework(self) -> Framework:
        return self.module.framework

    @property
    def class_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def docs(self) -> str | None:
        """The address of the class's page."""
        template = self.module.docs_template
        return template and template.replace("{api}", self.name).replace("{class}", self.class_name)

    @property
    def exists(self) -> bool:
        """Whether the version has the class at all."""
        return versions.holds(self.version or self.verified, self.since, self.until)

    @property
    def absence(self) -> str:
        """Why a version that does not have the class does not."""
        package = self.module.package
        early = self.since is not None and not versions.holds(self.version or self.verified, self.since, None)
        when = f"came with {package} {self.since}" if early else f"went with {package} {self.until}"
        return f"{self.label} does not exist: the class {when}"

    @property
    def label(self) -> str:
        """The name for messages, with the version where that is not the verified one."""
        return f"{self.name} of {self.module.package} {self.version}" if self.version else self.name

    def with_version(self, version: str | None) -> Api:
        """The same class as another version has it; None for the verified one."""
        if version == self.version:
            return self
        verified = self.original or self
        if version is None:
            return verified
        rule, rule_when = verified.rule, verified.rule_when
        for older in verified.earlier:  # the latest first, so that the earliest that holds wins
            if versions.holds(version, None, older.until):
                rule, rule_when = {**rule, **older.rule}, {**rule_when, **older.rule_when}
        return replace(verified, version=version, rule=rule, rule_when=rule_when, original=verified)

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        """Every keyword that the version accepts, older names included."""
        at = self.version or self.verified
        older = {
            name: row for row in self.current for name, until in row.was.items() if versions.holds(at, None, until)
        }
        return {**older, **{row.name: row for row in self.current}}

    @cached_property
    def by_tie(self) -> dict[str, Parameter]:
        """Canonical name to the parameter that carries it."""
        return {tie: parameter for parameter in self.current for tie in parameter.ties}

    @cached_property
    def current(self) -> tuple[Parameter, ...]:
        """The parameters that the version has, in order."""
        at = self.version or self.verified
        return tuple(row for row in self.parameters if versions.holds(at, row.since, row.until))

    @property
    def parameters_argument(self) -> Parameter | None:
        return self.by_tie.get(PARAMETERS)


class Algorithm(NamedTuple):
    """One optimization algorithm and the classes that implement it, in order of preference for each framework.

    `instead` says what to do where a framework has none.
    """

    name: str
    title: str
    reference: str | None
    alternatives: tuple[str, ...]
    instead: str | None
    apis: tuple[Api, ...]
    at: Position


@dataclass(frozen=True)
class MappingSet:
    """All tables together."""

    hyperparameters: dict[str, Hyperparameter]
    traits: dict[str, Trait]
    modules: dict[str, Module]
    algorithms: dict[str, Algorithm]
    apis: dict[str, Api] = field(default_factory=dict)
    answers: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    """What `translate.resolve` has answered so far, by question."""
    extra: tuple[Path, ...] = field(default=(), compare=False)
    """The directories of the tables that came on top of optmap's own."""

    def at(self, chosen: Mapping[str, str]) -> MappingSet:
        """The same tables for other versions of some packages."""
        if not chosen:
            return self
        wanted = versions.with_keras(chosen)
        apis = {name: api.with_version(wanted.get(api.module.package)) for name, api in self.apis.items()}
        algorithms = {
            name: item._replace(apis=tuple(apis[api.name] for api in item.apis))
            for name, item in self.algorithms.items()
        }
        return MappingSet(self.hyperparameters, self.traits, self.modules, algorithms, apis, extra=self.extra)

    @cached_property
    def modules_by_path(self) -> dict[str, Module]:
        return {path: module for module in self.modules.values() for path in (*module.paths, *module.pinned)}

    @cached_property
    def roots(self) -> dict[Framework, tuple[str, ...]]:
        """The packages through which each framework's optimizers are imported."""
        found: dict[Framework, dict[str, None]] = {framework: {} for framework in Framework}
        for path, module in self.modules_by_path.items():
            found[module.framework][path.partition(".")[0]] = None
        return {framework: tuple(names) for framework, names in found.items()}

    def find(self, path: str) -> tuple[Module, str] | None:
        """Split a dotted path into the optimizer module that it leads into and the rest, empty for the module itself."""
        head, rest = path, ""
        while head:
            module = self.modules_by_path.get(head)
            if module is not None:
                return module, rest
            head, _, last = head.rpartition(".")
            rest = f"{last}.{rest}" if rest else last
        return None

    def api_at(self, path: str) -> Api | None:
        """Return the API that a dotted import path names, also through the submodule that defines it."""
        found = self.find(path)
        if found is None:
            return None
        module, rest = found
        inner, _, name = rest.rpartition(".")
        if inner.replace("_", "") not in ("", name.lower()):
            return None
        api = self.apis.get(f"{module.name}.{name}")
        if api is None and not inner:  # the module may define a class for the package that exports it
            parent, _, last = module.name.rpartition(".")
            exported = self.apis.get(f"{parent}.{name}")
            return exported if last.replace("_", "") == name.lower() else None
        if api is None or not module.pinned:
            return api
        pinned = (version for prefix, version in module.pinned.items() if path.startswith(f"{prefix}."))
        return api.with_version(next(pinned, api.version))

    def named(self, name: str) -> list[Api]:
        """Return the classes that a name may mean: a full name in any spelling, or a class name alone."""
        head, _, rest = name.partition(".")
        path = f"{ {'tf': 'tensorflow', 'ms': 'mindspore'}.get(head, head) }.{rest}" if rest else name
        exact = self.apis.get(name) or self.api_at(path)
        return [exact] if exact else [api for api in self.apis.values() if api.class_name.lower() == name.lower()]

    @cached_property
    def class_names(self) -> frozenset[str]:
        return frozenset(api.class_name for api in self.apis.values())


def same_value(left: Literal, right: Literal) -> bool:
    """Compare two literals as hyperparameter values: 0 equals 0.0, but False does not."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right
