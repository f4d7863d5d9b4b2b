"""A class as one framework defines it, and the algorithm that it belongs to: every key of a section stands here once."""

from functools import cached_property

from optmap.mapping import versions
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import OptimizerModule
from optmap.mapping.records import Literal, Position, Record, added, key, own_key, place
from optmap.mapping.state import Quantity, Slot
from optmap.mapping.vocabulary import PARAMETERS, Hyperparameter, Parameter, ParameterRow, Trait


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
    parameters: tuple[Parameter, ...] = key("the signature, in order", given=tuple[ParameterRow, ...])
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
    unmoved: tuple[str, ...] = key("dtypes of weights that the class leaves as they are, without an error", default=())
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
    state: dict[str, Slot] = key("quantity of the state -> how the class stores it", default={})
    module: OptimizerModule = added()
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
    states: dict[str, Quantity] = key("quantities that optimizers hold between two steps", default={})
    modules: dict[str, OptimizerModule] = key(
        "modules that hold schedules, and those of the user's own tables", default={}
    )
    parameter_lists: dict[str, tuple[Parameter, ...]] = key(
        "runs of parameters that several signatures share", default={}
    )
