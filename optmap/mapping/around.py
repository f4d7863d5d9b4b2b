"""The tables of what stands around an optimizer (mappings/around/*.yaml): what is recognized, and what replaces it.

They are facts about the frameworks, as the optimizers' tables are, and are loaded only for files that need them.
"""

import ast
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from optmap.mapping.framework import Framework
from optmap.mapping.records import Literal, Position, Record, added, key, own_key, place, store
from optmap.mapping.stored import MappingError, read_tables, stored

FOLDER: Final = "around"
OPTIMIZER: Final = "optimizer"
"""What `of` says of the members of a translated optimizer; any other word is the name of a pattern with `paths`."""
HOLDS: Final = ("gradient", "optimizer", "rate")
"""What `given` may ask of a parameter: gradients, a translated optimizer, or the learning rate of one."""
ANY: Final = "any"
"""In `given`, whichever parameter."""
ROLES: Final = ("optimizer", "wrapper", "other")
USES: Final = ("any", "call", "read", "write", "item")


def _signature(text: str) -> tuple[tuple[str, str | None], ...]:
    """Read `a, b=1` as (name, text of the default or None). Raises ValueError."""
    try:
        function = ast.parse(f"def f({text}): pass").body[0]
    except SyntaxError:
        raise ValueError(f"takes: found {text!r}, expected a signature such as 'a, b=1'") from None
    assert isinstance(function, ast.FunctionDef)
    names = [argument.arg for argument in function.args.args]
    defaults = [ast.unparse(default) for default in function.args.defaults]
    return tuple(zip(names, [*[None] * (len(names) - len(defaults)), *defaults], strict=True))


class Replacement(Record, title="replacement"):
    """What to write in the target for one pattern: a sentence, and code where code is what helps."""

    say: str = key("what to do, as a clause; parameters in braces")
    code: str | None = key("the code to write, runnable; parameters in braces", default=None)
    when: dict[str, Literal] = key(
        "the values of parameters for which it is meant; without, for all others", default={}
    )
    current: str | None = key("how the target reads what the pattern writes", default=None)


class Pattern(Record):
    """Something of one framework that must change with the optimizer: either functions and classes, or attributes."""

    name: str = own_key()
    at: Position = place()
    framework: Framework = added()
    diagnostic: str = key("the name of the diagnostic")
    about: str = key("what the framework does here, as a clause")
    to: dict[str, tuple[Replacement, ...]] = key("framework, or module of it -> what replaces it", or_one=True)
    paths: tuple[str, ...] = key("import paths of the function or class", default=())
    takes: tuple[tuple[str, str | None], ...] = key("the signature of the call", default=(), given=str, read=_signature)
    given: dict[str, str] = key("parameter, or any -> what it must hold", default={}, choices=HOLDS)
    of: tuple[str, ...] = key(
        "whose attribute it is: optimizer, or the names of patterns with paths", default=(), or_one=True
    )
    members: tuple[str, ...] = key("the attributes; dots lead deeper", default=())
    use: str = key("how the attribute is used", default="any", choices=USES)
    keys: tuple[str, ...] = key("the keys that are written in the dictionaries inside", default=())


class NamedClass(Record, title="class of a short name"):
    """A class that a factory constructs."""

    path: str = key("the class that it constructs", name="class")
    sets: dict[str, str] = key("arguments that the library sets -> their text", default={})


class Factory(Record):
    """A function of a library that constructs an optimizer by a short name."""

    path: str = own_key()
    at: Position = place()
    framework: Framework = added()
    takes: tuple[tuple[str, str | None], ...] = key("the signature of the function", given=str, read=_signature)
    name: str = key("the parameter that holds the short name")
    model: str = key("the parameter that holds the model")
    note: str = key("what a user should know")
    gives: dict[str, NamedClass] = key("short name -> class")
    passes: dict[str, str] = key("parameter of the function -> parameter of the class", default={})


class Foreign(Record, title="package"):
    """What another package does in place of a framework's optimizers, with them, or with the training around them."""

    name: str = own_key()
    at: Position = place()
    framework: Framework = added()
    paths: tuple[str, ...] = key("import paths, of modules with all that they hold, or of single members", default=())
    methods: tuple[str, ...] = key("methods that the package calls; one of the paths must be imported, too", default=())
    role: str = key("what it is: an optimizer, a wrapper of one, or anything else", choices=ROLES)
    about: str = key("what it is and what to do, as a clause")
    instead: dict[str, str] = key("member -> what to write in its place", default={})


class PatternFile(Record, title="table"):
    """All that a file may hold."""

    framework: Framework = key("the framework that the patterns belong to", given=str, read=Framework)
    patterns: dict[str, Pattern] = key("name -> pattern", default={})
    factories: dict[str, Factory] = key("import path -> function that constructs by a short name", default={})
    foreign: dict[str, Foreign] = key("name -> what another package does", default={})


class Around(Record):
    """All of these tables."""

    patterns: tuple[Pattern, ...] = added(default=())
    factories: tuple[Factory, ...] = added(default=())
    foreign: tuple[Foreign, ...] = added(default=())

    def of(self, frameworks: frozenset[Framework]) -> list[Pattern]:
        return [pattern for pattern in self.patterns if pattern.framework in frameworks]


@lru_cache(maxsize=8)
def load_around(extra: tuple[Path, ...] = ()) -> Around:
    """Load the tables, and those in the folder `around` of each directory. Raises MappingError."""
    found = stored("around", FOLDER, build, store, Around.restore)
    contents = [item for directory in extra for item in _further(directory)]
    if not contents:
        return found
    more = build(contents)
    return Around(
        **{name: (*getattr(found, name), *getattr(more, name)) for name in ("patterns", "factories", "foreign")}
    )


@lru_cache(maxsize=8)
def load_words(extra: tuple[Path, ...] = ()) -> dict[str, dict[str, list[str]]]:
    """Load for each framework the words of which a file must hold one for any pattern, or any other package, to count in it."""
    own: dict[str, dict[str, list[str]]] = stored("words", FOLDER, lambda contents: words(build(contents)), dict, dict)
    return words(load_around(extra)) if any(_further(directory) for directory in extra) else own


def _further(directory: Path) -> list[tuple[str, bytes]]:
    return read_tables(directory / FOLDER)


def build(contents: Iterable[tuple[str, bytes]]) -> Around:
    """Build the tables from YAML files given as (name, content). Raises MappingError with every error."""
    from optmap.mapping.yamlnodes import Problems, parse

    problems = Problems()
    patterns: list[Pattern] = []
    factories: list[Factory] = []
    foreign: list[Foreign] = []
    for name, data in contents:
        parsed = parse(data, name, PatternFile, problems)
        if parsed is None or parsed.broken:
            continue
        file = parsed.make(PatternFile)
        patterns += [item._replace(framework=file.framework) for item in file.patterns.values()]
        factories += [item._replace(framework=file.framework) for item in file.factories.values()]
        foreign += [item._replace(framework=file.framework) for item in file.foreign.values()]
    for item in patterns:
        if bool(item.paths) == bool(item.of):
            problems.add(item.at, f"pattern {item.name!r}: expected either `paths` or `of`")
    if problems.found:
        raise MappingError(problems.lines())
    return Around(patterns=tuple(patterns), factories=tuple(factories), foreign=tuple(foreign))


def words(tables: Around) -> dict[str, dict[str, list[str]]]:
    """Return those words; an object's members need none of their own: the object's class is one."""
    found: dict[str, dict[str, set[str]]] = {"patterns": {}, "packages": {}}
    for pattern in tables.patterns:
        own = {path.rpartition(".")[2] for path in pattern.paths}
        if OPTIMIZER in pattern.of:
            own = {f".{member.partition('.')[0]}" for member in pattern.members}
        found["patterns"].setdefault(str(pattern.framework), set()).update(own)
    for item in tables.foreign:
        packages = {path.partition(".")[0] if item.methods else path for path in item.paths}
        found["packages"].setdefault(str(item.framework), set()).update(packages)
    return {kind: {name: sorted(each) for name, each in group.items()} for kind, group in found.items()}
