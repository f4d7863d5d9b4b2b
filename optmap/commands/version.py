"""`optmap --version`: the versions of optmap, of what its tables cover, and of the frameworks that are installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import packages_distributions, version

from optmap import __version__
from optmap.mapping.framework import frameworks


def lines() -> Iterator[str]:
    """One line each; nothing is imported to look for frameworks."""
    yield f"optmap {__version__}"
    packages = [name for item in frameworks().values() for name in item.facts.packages]
    covers = {name: span for item in frameworks().values() for name, span in item.facts.covers.items()}
    yield f"tables: {', '.join(f'{name} {first} to {last}' for name, (first, last) in covers.items())}"
    installed = packages_distributions()
    found = [f"{name} {version(installed[name][0])}" for name in packages if name in installed]
    yield f"installed: {', '.join(found) or 'no framework'}"
