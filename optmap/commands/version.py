"""`optmap --version`: the versions of optmap, of what its tables cover, and of the frameworks that are installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from optmap import __version__
from optmap.mapping.framework import frameworks


def lines() -> Iterator[str]:
    """One line each; nothing is imported to look for frameworks."""
    yield f"optmap {__version__}"
    packages = [name for item in frameworks().values() for name in item.facts.packages]
    covers = {name: span for item in frameworks().values() for name, span in item.facts.covers.items()}
    yield f"tables: {', '.join(f'{name} {first} to {last}' for name, (first, last) in covers.items())}"
    found = [f"{name} {release}" for name in packages if (release := _installed(name)) is not None]
    yield f"installed: {', '.join(found) or 'no framework'}"


def _installed(package: str) -> str | None:
    """The release of a package, by the directory beside it; to look through every distribution would take seconds."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent.parent
    for item in (*sorted(home.glob(f"{package}-*.dist-info")), *sorted(home.glob(f"{package}_*.dist-info"))):
        brings = item / "top_level.txt"  # tensorflow_cpu brings tensorflow
        if item.name.startswith(f"{package}-") or (brings.is_file() and package in brings.read_text("utf-8").split()):
            return item.name.removesuffix(".dist-info").rpartition("-")[2]
    from importlib.metadata import packages_distributions, version

    return next(map(version, packages_distributions().get(package, ())), None)
