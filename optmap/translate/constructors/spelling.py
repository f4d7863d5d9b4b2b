"""By which name can the target class be reached where the call stands, and which import does that need?"""

from __future__ import annotations

from typing import NamedTuple

from optmap.mapping.model import Api
from optmap.source.scopes import ImportedName, Names, Scope
from optmap.source.text import Source
from optmap.translate.discover.sites import CallSite


class NewImport(NamedTuple):
    """An import that the file needs: `import path`, or `import path as name`."""

    path: str
    name: str

    @property
    def text(self) -> str:
        return f"import {self.path}" if self.path == self.name else f"import {self.path} as {self.name}"


class Spelling(NamedTuple):
    """How to write a class at a place, and the import that this needs, if any."""

    text: str
    needs: NewImport | None


def spell(source: Source, names: Names, site: CallSite, target: Api) -> Spelling | None:
    """Find a name for the class that is provably right at the call; None where the file has taken every one."""
    path = f"{target.module.paths[0]}.{target.class_name}"
    conventional = target.module.name.partition(".")[0]
    return spell_path(source, names, path, conventional, site.scope, source.start(site.node))


def spell_path(
    source: Source, names: Names, path: str, conventional: str, scope: Scope, offset: int
) -> Spelling | None:
    """Find a name for what lies at a dotted path that is provably right in a scope, at an offset of the file."""
    for found in _reusable(names, path):
        chain = (found.local, *path[len(found.path) :].strip(".").split("."))
        chain = tuple(part for part in chain if part)
        # A module-level import has surely run by the time of a use that stands below it.
        if names.paths(chain, scope) == {path} and source.start(found.statement) < offset:
            return Spelling(".".join(chain), None)
    root = path.partition(".")[0]
    for name in dict.fromkeys((conventional, root, f"_{root}")):
        if _free(names, name, scope):
            return Spelling(name + path[len(root) :], NewImport(root, name))
    return None


def _reusable(names: Names, path: str) -> list[ImportedName]:
    """Imports at the top of the module that lead to the class, the most specific module first, the class itself last."""
    leading = [
        found
        for found in names.imports
        if found.scope is names.module and not found.ancestors and (path + ".").startswith(found.path + ".")
    ]
    return sorted(leading, key=lambda found: (found.path == path, -found.path.count(".")))


def _free(names: Names, name: str, scope: Scope) -> bool:
    """Tell whether a module-level import may bind the name without hiding anything or being hidden."""
    if scope.owner(name) is not None or name in names.module.bindings:
        return False
    return name not in names.uses
