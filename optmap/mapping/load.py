"""Load the tables of optimizers and of schedules: optmap's own from their stored form while it is fresh, others from YAML."""

from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from optmap.mapping.framework import Framework, frameworks
from optmap.mapping.frameworks import FOLDER, OptimizerModule
from optmap.mapping.model import MappingSet, assembled
from optmap.mapping.records import Record, added, store
from optmap.mapping.sections import Algorithm, Api
from optmap.mapping.state import Quantity
from optmap.mapping.stored import MappingError, own_files, stored
from optmap.mapping.vocabulary import Hyperparameter, Trait

SCHEDULES: Final = "schedules"
"""The folder of the tables of learning-rate schedules, in a directory of tables."""


def load(extra: Iterable[Path] = ()) -> MappingSet:
    """Load optmap's own tables, then those of each extra directory; a later section replaces an earlier one of its name.

    Raises MappingError with every error of every file.
    """
    directories = tuple(extra)
    if not directories:
        return stored("optimizers", "", OPTIMIZERS, plain, back, FOLDER)
    return OPTIMIZERS(own_files(), directories, directories)._replace(extra=directories)


@lru_cache(maxsize=2)
def load_schedules(extra: tuple[Path, ...] = ()) -> MappingSet:
    """Load the tables of learning-rate schedules, optmap's own and those in the folder `schedules` of each directory.

    Few files need them, so they are stored apart from the optimizers' tables. Raises MappingError.
    """
    directories = tuple(found for path in extra if (found := path / SCHEDULES).is_dir())
    if directories:
        tables = load_files(own_files(SCHEDULES), directories, extra)
    else:
        tables = stored("schedules", SCHEDULES, load_files, plain, back)
    return tables._replace(extra=extra)


def load_files(
    files: Iterable[tuple[str, bytes]],
    directories: Iterable[Path] = (),
    extra: tuple[Path, ...] = (),
    *,
    own_modules: bool = False,
) -> MappingSet:
    """Load tables from YAML: (name, content) pairs, then directories, of the frameworks that `extra` brings, too.

    With `own_modules` the frameworks' own are known, which hold optimizers.

    Raises MappingError.
    """
    from optmap.mapping.build import Builder

    known = frameworks(extra)
    builder = Builder(known)
    if own_modules:
        builder.modules |= {
            name: item.own(module) for item in known.values() for name, module in item.facts.modules.items()
        }
    builder.add_contents(list(files))
    for directory in directories:
        builder.add_directory(directory)
    tables = builder.build()
    if tables is None:
        raise MappingError(builder.problems.lines())
    return tables


OPTIMIZERS: Final = partial(load_files, own_modules=True)
"""Loads tables of optimizers."""


class _Stored(Record):
    """The tables as they are stored: a class's module follows from its name, an algorithm's classes from theirs."""

    hyperparameters: dict[str, Hyperparameter] = added()
    traits: dict[str, Trait] = added()
    states: dict[str, Quantity] = added()
    modules: dict[str, OptimizerModule] = added()
    algorithms: dict[str, Algorithm] = added()
    apis: dict[str, Api] = added()


def plain(tables: MappingSet) -> Any:
    """Return what JSON can hold of the tables."""
    algorithms = {name: item._replace(apis=()) for name, item in tables.algorithms.items()}
    apis = {name: item._replace(module=None) for name, item in (tables.apis | tables.older).items()}
    parts = _Stored(
        hyperparameters=tables.hyperparameters, traits=tables.traits, states=tables.states,
        modules=tables.modules, algorithms=algorithms, apis=apis,
    )  # fmt: skip
    return store(parts)


def back(row: Any) -> MappingSet:
    """Make the tables of what `plain` returned."""
    found = _Stored.restore(row)
    modules = {name: item._replace(framework=Framework(item.framework)) for name, item in found.modules.items()}
    apis = {name: api._replace(module=modules[name.rpartition(".")[0]]) for name, api in found.apis.items()}
    return assembled(found.hyperparameters, found.traits, modules, found.algorithms, apis, found.states)
