"""What the tables say, as immutable records that remember the line they came from: every key of a table stands here once."""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from optmap.mapping import versions
from optmap.mapping.frameworks import Facts, Module, load_facts
from optmap.mapping.records import Literal, Position, Record, added, derived, key, own_key, place
from optmap.nearest import nearest
from optmap.values import NamedTuple

T = TypeVar("T")


class _Own(type):
    """optmap's own frameworks are what `Framework` runs over."""

    def __iter__(cls) -> "Iterator[Framework]":
        return iter(frameworks().values())


class Framework(str, metaclass=_Own):
    """A framework whose optimizers the tables describe: its name, with the facts of mappings/frameworks/.

    `Framework("torch")` gives one of optmap's own; `MappingSet.frameworks` has those that the user's tables bring, too.
    """

    facts: Facts

    def __new__(cls, name: str, facts: Facts | None = None) -> "Framework":
        if facts is None:
            found = name if isinstance(name, Framework) else frameworks().get(name)
            if found is None:
                raise ValueError(f"unknown framework {name!r}, expected one of {', '.join(frameworks())}")
            return found
        self = super().__new__(cls, name)
        self.facts = facts
        return self

    def __getnewargs__(self) -> tuple[str, Facts]:  # type: ignore[override]
        return str(self), self.facts

    def own(self, module: Module) -> Module:
        """A module as one of this framework."""
        return module._replace(framework=self, package=module.package or self.facts.packages[0])


def frameworks(extra: tuple[Path, ...] = ()) -> dict[str, Framework]:
    """optmap's own frameworks and those of the directories, by name, in their order. Raises MappingError."""
    return _frameworks(extra)


@lru_cache(maxsize=8)
def _frameworks(extra: tuple[Path, ...]) -> dict[str, Framework]:
    own = _frameworks(()) if extra else {}
    made = {name: Framework(name, facts) for name, facts in load_facts(extra).items()}
    return {name: own[name] if name in own and own[name].facts == item.facts else item for name, item in made.items()}


def check_version(package: str, version: str, known: Mapping[str, Framework]) -> None:
    """Raise ValueError unless the tables describe the version of the package."""
    covered = {name: item.facts.covers.get(name) for item in known.values() for name in item.facts.packages}
    if package not in covered:
        raise ValueError(f"unknown package {package!r}{nearest(package, covered)}")
    versions.key(version)
    span = covered[package]
    if span is not None and not versions.within(version, *span):
        raise ValueError(f"found {package} {version}, but the tables cover {package} {' to '.join(span)} only")


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
    """The Python type that a constructor insists on; ANY where it takes any number, OBJECT where it takes no number at all.

    What is NOT_INT is a float where it is written out; what else it may be is not looked at.
    """

    ANY = "any"
    FLOAT = "float"
    FLOATS = "floats"
    NOT_INT = "not_int"
    INT = "int"
    INTS = "ints"
    OBJECT = "object"
    BOOL = "bool"
    LIST = "list"


PARAMETERS: Final = "parameters"
"""The canonical name of the argument that holds the trainable parameters."""
OPTIMIZER: Final = "optimizer"
"""The canonical name of the argument that holds the optimizer that a schedule is attached to."""


class Interval(NamedTuple):
    """The values that a constructor accepts, such as `(0, 1]`."""

    low: float
    high: float
    closed_low: bool
    closed_high: bool

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read an interval. Raises ValueError."""
        match = re.fullmatch(r"([\[(])\s*(-?(?:inf|[0-9.eE+-]+))\s*,\s*(-?(?:inf|[0-9.eE+-]+))\s*([\])])", text)
        try:
            low, high = (float(match[2]), float(match[3])) if match else (0.0, -1.0)
        except ValueError:
            low, high = 0.0, -1.0
        if match is None or low > high:
            raise ValueError(f"found range {text!r}, expected an interval such as '(0, 1]'")
        return cls(low, high, match[1] == "[", match[4] == "]")

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


class Hyperparameter(Record):
    """A canonical hyperparameter. Where a framework lacks it, a neutral value may be dropped."""

    name: str = own_key()
    about: str = key("what it is")
    has_neutral: bool = derived(lambda given: "neutral" in given)
    neutral: Literal = key("the value at which it does nothing", default=None)
    also_neutral: tuple[Literal, ...] = key("other spellings of neutral, such as null", default=())
    inert_without: str | None = key("the hyperparameter without which it does nothing", default=None)
    remedy: str | None = key("what to do where a framework lacks it; {value} is the value given", default=None)
    remedies: dict[str, str] = key(
        "framework that lacks it -> what to do there; {value} is the value given", default={}
    )
    effect: Effect = key(
        "how far rules drift apart where one can only use another value; close by default", default=Effect.CLOSE
    )
    grows_with: str | None = key("the hyperparameter whose size decides how far, whatever `effect` says", default=None)
    samples: tuple[Literal, ...] = key(
        "values for `optmap check`: the first is given where a call has to give one", default=()
    )
    at: Position = place()

    def advice(self, target: Framework, value: str) -> str | None:
        """Return what to do where the target lacks it; `value` is the text of what the call gives."""
        found = self.remedies.get(target, self.remedy)
        return found and found.replace("{value}", value)

    def is_neutral(self, value: Literal) -> bool:
        """Tell whether the value makes the hyperparameter do nothing."""
        if not self.has_neutral:
            return False
        return any(same_value(value, neutral) for neutral in (self.neutral, *self.also_neutral))


class Trait(Record):
    """A property of an update rule by which two frameworks may differ."""

    name: str = own_key()
    at: Position = place()
    values: dict[str, str] = key("value -> what the framework does, as the predicate of a sentence")
    default: str | None = key("the value of APIs that do not state the trait", default=None)
    effect: Effect = key("how far rules drift apart that differ here")
    active_with: tuple[str, ...] = key("the trait matters only while one of these is not neutral", default=())
    ungrouped_only: bool = key("the trait matters only without parameter groups", default=False)
    needs: Need | None = key("what a run must have for the trait to show", default=None)
    advice: str | None = key("what removes the difference", default=None)
    advice_to: dict[str, str] = key("the target's value -> what removes the difference there", default={})
    grows_with: str | None = key("the hyperparameter whose size decides how far; at 0 the rules agree", default=None)


class Parameter(Record):
    """One parameter of a constructor, tied to canonical hyperparameters or to execution only.

    `ties` holds one canonical name, or several where the value is a tuple of them (betas). `default` is REQUIRED or a
    literal. The row holds for the versions from `since` up to but not including `until`; a signature may have several rows
    of one name. A parameter of a schedule may stand for its hyperparameter in another measure.
    """

    name: str = key("the name in the signature")
    at: Position = place()
    ties: tuple[str, ...] = key(
        "the canonical hyperparameter, or the list of those in a tuple", default=(), name="is", or_one=True
    )
    default: "Literal | Required" = key("the default; a parameter without this key is required", default=REQUIRED)
    none_is: Literal = key("the value that None stands for, where it stands for one", default=None)
    execution: bool = key(
        "the parameter changes how, not what, is computed",
        default=False, name="affects", given=str, choices=("execution",), read=bool,
    )  # fmt: skip
    keyword_only: bool = key("true after the `*` of the signature", default=False)
    accepts: Accepts = key("the Python type that the constructor insists on", default=Accepts.ANY)
    whole: bool = key(
        "a count of steps: what may be a fraction is refused, since it is not rounded alike", default=False
    )
    interval: Interval | None = key(
        "the interval of accepted values, such as `(0, 1)` or `[0, inf)`",
        default=None, name="range", given=str, read=Interval.parse,
    )  # fmt: skip
    since: str | None = key("first version that has the parameter", default=None)
    until: str | None = key("first version that no longer has it", default=None)
    was: dict[str, str] = key("older name -> first version that no longer accepts it", default={})
    switches: dict[str, str] = key("while this flag is true: canonical name -> the one that it stands for", default={})
    note: str | None = key("what a user should know", default=None)
    times: str | None = key("the hyperparameter is the value times this other one", default=None)
    over: str | None = key("the hyperparameter is the value over this other one", default=None)
    plus: int = key("the hyperparameter is the list with this number added to each item", default=0)
    then: str | None = key("the list ends in this hyperparameter in addition", default=None)
    below: str | None = key("the value must lie below this hyperparameter", default=None)

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


class Row(Parameter, title="parameter or include"):
    """A row of a signature: a parameter, or the name of a list of them."""

    name: str = key("the name in the signature", default="")
    include: str | None = key("a list from `parameter_lists`, inserted here", default=None)


class Earlier(Record):
    """What held of an update rule before a version, in place of what the API says today."""

    until: str = own_key()
    at: Position = place()
    rule: dict[str, str] = key("trait -> value", default={})
    rule_when: dict[str, dict[str, str]] = key(
        "hyperparameter -> traits that held instead while it is not neutral", default={}
    )


class Api(Record):
    """An optimizer class as one framework defines it.

    `parameters` are the rows of all versions; `version` is the one whose signature counts here, None for the verified one.
    A class that is not run is chosen only where no other expresses a call.
    """

    name: str = own_key()
    at: Position = place()
    algorithm: str = added(default="")
    verified: str = key("the version whose live signature the rows equal")
    parameters: tuple[Parameter, ...] = key("the signature, in order", given=tuple[Row, ...])
    rule: dict[str, str] = key("trait -> value", default={})
    rule_when: dict[str, dict[str, str]] = key(
        "hyperparameter -> traits that hold instead while it is not neutral", default={}
    )
    fixed: dict[str, Literal] = key(
        "hyperparameters that the class has no argument for -> the constant it uses", default={}
    )
    extra_keywords: bool = key("the signature ends in **kwargs", default=False)
    note: str | None = key("what a user should know", default=None)
    deprecated: str | None = key("since when, and what replaces it", default=None)
    instead: str | None = key("what to do where a framework has no counterpart of this class", default=None)
    not_run: str | None = key(
        "why no run can compare the class with others, such as a device that it needs", default=None
    )
    since: str | None = key("first version that has the class", default=None)
    until: str | None = key("first version that no longer has it", default=None)
    earlier: tuple[Earlier, ...] = key(
        "version -> what held of the update rule before it, the latest version first",
        default=(), given=dict[str, Earlier], read=lambda given: tuple(given.values()),
    )  # fmt: skip
    group_keys: tuple[str, ...] | None = key(
        "the keys that parameter groups take, where fewer than the module's", default=None
    )
    sample: dict[str, Literal] = key(
        "arguments that a call needs to have a counterpart, where the defaults have none", default={}
    )
    no_rate: str | None = key(
        "why the rates of this schedule have no formula, where those of its siblings do", default=None
    )
    module: Module = added()
    version: str | None = added()
    original: "Api | None" = added()
    unknown: str | None = added()

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
        """Whether the version has the class at all, as far as it is known which version that is."""
        return self.unknown is None and versions.holds(self.version or self.verified, self.since, self.until)

    @property
    def absence(self) -> str:
        """Why a version that does not have the class does not."""
        if self.unknown is not None:
            return self.unknown
        package = self.module.package
        early = self.since is not None and not versions.holds(self.version or self.verified, self.since, None)
        when = f"came with {package} {self.since}" if early else f"went with {package} {self.until}"
        return f"{self.label} does not exist: the class {when}"

    @property
    def label(self) -> str:
        """The name for messages, with the version where that is not the verified one."""
        return f"{self.name} of {self.module.package} {self.version}" if self.version else self.name

    def with_version(self, version: str | None) -> "Api":
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
        return verified._replace(version=version, rule=rule, rule_when=rule_when, original=verified)

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


class Algorithm(Record):
    """One optimization algorithm and the classes that implement it, in order of preference for each framework."""

    name: str = key("the algorithm's canonical name; also the file's name", default="", name="algorithm")
    at: Position = place()
    title: str = key("the algorithm's name for people", derive=lambda given: given.get("algorithm", ""))
    reference: str | None = key("paper or page that defines the algorithm", default=None)
    alternatives: tuple[str, ...] = key(
        "algorithms whose classes may stand in when this one's cannot express a call", default=()
    )
    instead: str | None = key("what to do where a framework has no class of the algorithm", default=None)
    rate: str | None = key(
        "the rate of a schedule at a step: arithmetic over canonical hyperparameters, see `rate.py`", default=None
    )
    no_rate: str | None = key("why the rates of a schedule have no formula", default=None)
    apis: tuple[Api, ...] = added(default=())


class TableFile(Algorithm, title="table"):
    """All that a file may hold."""

    sections: dict[str, Api] = key(
        "class -> section, in order of preference for each framework", default={}, name="apis"
    )
    hyperparameters: dict[str, Hyperparameter] = key("canonical hyperparameters", default={})
    traits: dict[str, Trait] = key("traits of update rules", default={})
    modules: dict[str, Module] = key("modules that hold schedules, and those of the user's own tables", default={})
    parameter_lists: dict[str, tuple[Parameter, ...]] = key(
        "runs of parameters that several signatures share", default={}
    )


class MappingSet(Record):
    """All tables together.

    `older` are classes of modules that are no more, for the versions that have them; `extra` are the directories of the
    tables that came on top of optmap's own.
    """

    hyperparameters: dict[str, Hyperparameter] = added()
    traits: dict[str, Trait] = added()
    modules: dict[str, Module] = added()
    algorithms: dict[str, Algorithm] = added()
    apis: dict[str, Api] = added()
    older: dict[str, Api] = added()
    extra: tuple[Path, ...] = added(default=())

    @cached_property
    def _answers(self) -> dict[object, Any]:
        return {}

    def once(self, question: object, answer: Callable[[], T]) -> T:
        """The answer to a question that nothing but the tables and the question itself decide; it is looked for once."""
        found: T | None = self._answers.get(question)
        if found is None:
            found = self._answers[question] = answer()
        return found

    @cached_property
    def frameworks(self) -> dict[str, Framework]:
        """Every framework that the tables describe, by name, in their order."""
        return frameworks(self.extra)

    def framework(self, name: str) -> Framework:
        """Return a framework by its name. Raises ValueError."""
        found = self.frameworks.get(name)
        if found is None:
            raise ValueError(f"unknown framework {name!r}, expected one of {', '.join(self.frameworks)}")
        return found

    def at(self, chosen: Mapping[str, str]) -> "MappingSet":
        """The same tables for other versions of some packages. Raises ValueError for versions that they do not cover."""
        if not chosen:
            return self
        for package, version in chosen.items():
            check_version(package, version, self.frameworks)
        joined = {
            package: (item.facts.packages[0], version)
            for item in self.frameworks.values()
            for package, version in item.facts.joined.items()
        }
        wanted = versions.with_joined(chosen, joined)
        apis = {name: api.with_version(wanted.get(api.module.package)) for name, api in self.apis.items()}
        algorithms = {
            name: item._replace(apis=tuple(apis[api.name] for api in item.apis))
            for name, item in self.algorithms.items()
        }
        modules, apis = self._with_older(chosen, wanted, apis)
        return self._replace(modules=modules, algorithms=algorithms, apis=apis)

    def _with_older(
        self, chosen: Mapping[str, str], wanted: Mapping[str, str], apis: dict[str, Api]
    ) -> tuple[dict[str, Module], dict[str, Api]]:
        """Give modules that are no more the import paths that they had in the versions that are chosen.

        Where a path is below a package whose version is not given, and that decides whose it is, its classes are not known.
        """
        modules = dict(self.modules)
        for name, older in self.modules.items():
            package = older.package
            if not older.until or package not in wanted:
                continue
            paths = [path for path in older.paths if _belongs(path, older.until, chosen)]
            open_ = [path for path in older.paths if path.partition(".")[0] not in chosen]
            own = {key: api.with_version(wanted[package]) for key, api in self.older.items() if api.module.name == name}
            if not paths and not (open_ and versions.holds(wanted[package], None, older.until[package])):
                continue
            others = {key: api for key, api in apis.items() if api.module.package == package}
            doubtful = others if paths else own
            apis = {**apis, **own, **{key: _unknown(api, path) for path in open_[:1] for key, api in doubtful.items()}}
            taken = paths or open_
            modules |= {
                other: item._replace(paths=tuple(path for path in item.paths if path not in taken))
                for other, item in modules.items()
            }
            modules[name] = older._replace(paths=tuple(taken), until={})
        return modules, apis

    @cached_property
    def modules_by_path(self) -> dict[str, Module]:
        current = [module for module in self.modules.values() if not module.until]
        return {path: module for module in current for path in (*module.paths, *module.pinned)}

    @cached_property
    def roots(self) -> dict[Framework, tuple[str, ...]]:
        """The packages through which each framework's optimizers are imported."""
        found: dict[Framework, dict[str, None]] = {framework: {} for framework in self.frameworks.values()}
        for path, module in self.modules_by_path.items():
            found[module.framework][path.partition(".")[0]] = None
        return {framework: tuple(names) for framework, names in found.items()}

    @cached_property
    def conventional(self) -> dict[str, str]:
        """What names mean by convention where nothing binds them."""
        return {name: path for item in self.frameworks.values() for name, path in item.facts.names.items()}

    @cached_property
    def rate_objects(self) -> dict[str | None, str]:
        """What the objects are that import paths make, where a learning rate may be one of them."""
        rates = (item.facts.rates for item in self.frameworks.values())
        return {path: what for each in rates for what, paths in each.objects.items() for path in paths}

    def instead(self, api: Api, target: Framework) -> str | None:
        """What to do where the target has no counterpart of a class.

        Advice that names frameworks is for those that optmap's own tables had in mind, and for the ones that it names.
        """
        text = api.instead or self.algorithms[api.algorithm].instead
        if text is None or target in frameworks():
            return text
        others = [item.facts for item in self.frameworks.values() if item not in (target, api.framework)]
        named = {word for facts in others for word in (facts.framework, facts.title, *facts.aliases, *facts.names)}
        pattern = rf"\b({'|'.join(map(re.escape, named))})\b"
        return text if re.search(pattern, text, re.IGNORECASE) is None else None

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
        if not (name.lower().startswith(inner.replace("_", "")) or name in module.submodules.get(inner, ())):
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
        path = f"{self.conventional.get(head, head)}.{rest}" if rest else name
        exact = self.apis.get(name) or self.api_at(path)
        return [exact] if exact else [api for api in self.apis.values() if api.class_name.lower() == name.lower()]

    @cached_property
    def class_names(self) -> frozenset[str]:
        return frozenset(api.class_name for api in self.apis.values())


def assembled(
    hyperparameters: dict[str, Hyperparameter], traits: dict[str, Trait], modules: dict[str, Module],
    algorithms: Mapping[str, Algorithm], apis: Mapping[str, Api],
) -> MappingSet:  # fmt: skip
    """The tables of some sections: classes of modules that are no more are kept apart and belong to no algorithm."""
    current: dict[str, Api] = {}
    older: dict[str, Api] = {}
    members: dict[str, list[Api]] = {name: [] for name in algorithms}
    for name, api in apis.items():
        (older if api.module.until else current)[name] = api
        if not api.module.until:
            members[api.algorithm].append(api)
    found = {name: item._replace(apis=tuple(members[name])) for name, item in algorithms.items()}
    return MappingSet(
        hyperparameters=hyperparameters, traits=traits, modules=modules, algorithms=found, apis=current, older=older
    )


def _belongs(path: str, until: Mapping[str, str], chosen: Mapping[str, str]) -> bool:
    """Tell whether a path is a module's own in the chosen version of the package that it begins with."""
    package = path.partition(".")[0]
    return package in chosen and package in until and versions.holds(chosen[package], None, until[package])


def _unknown(api: Api, path: str) -> Api:
    package = path.partition(".")[0]
    why = f"what {api.class_name} does depends on the version of {package}, which is not given"
    return api._replace(unknown=f"{why}: --from {package}==VERSION, or [tool.optmap.versions], says which")


def same_value(left: Literal, right: Literal) -> bool:
    """Compare two literals as hyperparameter values: 0 equals 0.0, but False does not."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right
