"""Record the constructors of old releases: python scripts/record_signatures.py writes tests/mapping/signatures.json.

Reads single files from the wheels on PyPI (by HTTP ranges; nothing is installed or run) and takes the signatures from the
syntax tree. tests/mapping/test_versions.py compares the tables' `since` and `until` with the record.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[1] / "tests" / "mapping" / "signatures.json"
RELEASES = {
    "torch": (
        "1.8.1", "1.9.0", "1.10.0", "1.11.0", "1.12.0", "1.13.0", "2.0.0", "2.1.0", "2.2.0", "2.3.0", "2.4.0", "2.5.0",
        "2.6.0", "2.7.0", "2.8.0", "2.9.0", "2.10.0",
    ),
    "tensorflow": ("1.13.1", "1.14.0", "1.15.0", "2.1.0", "2.3.0", "2.5.0"),
    "keras": (
        "2.2.0", "2.2.5", "2.3.0", "2.3.1",
        "2.6.0", "2.8.0", "2.10.0", "2.11.0", "2.12.0", "2.13.1", "2.14.0", "2.15.0", "3.0.0", "3.3.3", "3.5.0", "3.9.0",
        "3.10.0", "3.12.0", "3.13.0", "3.14.0",
    ),
}  # fmt: skip
FILES = {
    "torch": re.compile(r"torch/optim/[a-z_]+\.py"),
    "tensorflow": re.compile(r".*/python/(keras/optimizer_v2|training)/(?!.*(schedule|test))[a-z_0-9]+\.py"),
    "tensorflow 1.13": re.compile(r".*/python/(keras/optimizers|training/[a-z_0-9]+)\.py"),
    "keras": re.compile(r"keras/src/optimizers/[a-z_]+\.py"),
    "keras 2.2": re.compile(r"keras/optimizers\.py"),
    "keras 2.3": re.compile(r"keras/optimizers\.py"),
    "keras 2.11": re.compile(r"keras/optimizers/optimizer_experimental/[a-z_]+\.py"),
    "keras 2.10": re.compile(r"keras/optimizers/optimizer_v2/[a-z_]+\.py"),
    "keras 2.8": re.compile(r"keras/optimizer_v2/[a-z_]+\.py"),
    "keras 2.6": re.compile(r"keras/optimizer_v2/[a-z_]+\.py"),
    "keras 2.12": re.compile(r"keras/optimizers/[a-z_]+\.py"),
}
"""The files in which a release defines the classes of its public module; some releases have several sets of classes."""


class RemoteFile(io.RawIOBase):
    """A file on a web server, read by ranges."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.position = 0
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD")) as answer:
            self.size = int(answer.headers["Content-Length"])

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self.size - self.position)
        if wanted <= 0:
            return 0
        ranges = {"Range": f"bytes={self.position}-{self.position + wanted - 1}"}
        with urllib.request.urlopen(urllib.request.Request(self.url, headers=ranges)) as answer:
            data = answer.read(wanted)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def wheel(package: str, version: str) -> str:
    """The URL of one of a release's wheels; all wheels contain the same Python files."""
    with urllib.request.urlopen(f"https://pypi.org/simple/{package}/") as answer:
        page = answer.read().decode()
    found = re.search(rf'href="([^"#]*/{package}-{re.escape(version)}-[^"#]*\.whl)', page, re.IGNORECASE)
    if found is None:
        raise SystemExit(f"found no wheel of {package} {version}")
    return found[1]


def signatures(package: str, version: str) -> dict[str, list[list[Any]]]:
    """Class name -> [[name, keyword only, default as text or None if required]], without self."""
    archive = zipfile.ZipFile(io.BufferedReader(RemoteFile(wheel(package, version)), 1 << 20))
    found: dict[str, list[list[Any]]] = {}
    files = FILES.get(f"{package} {version.rpartition('.')[0]}", FILES[package])
    for name in filter(files.fullmatch, archive.namelist()):
        for node in ast.parse(archive.read(name)).body:
            constructor = _constructor(node)
            if constructor is not None and ("/training/" not in name or node.name.endswith("Optimizer")):  # type: ignore[attr-defined]
                found[node.name] = list(_rows(constructor.args))  # type: ignore[attr-defined]
    return found


def _constructor(node: ast.stmt) -> ast.FunctionDef | None:
    if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
        return None
    return next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)


def _rows(arguments: ast.arguments) -> Iterator[list[Any]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in list(zip(positional, defaults, strict=True))[1:]:
        yield [argument.arg, False, default and ast.unparse(default)]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield [argument.arg, True, default and ast.unparse(default)]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    recorded: dict[str, Any] = {"command": "python scripts/record_signatures.py"}
    for package, versions in RELEASES.items():
        recorded[package] = {}
        for version in versions:
            recorded[package][version] = signatures(package, version)
            sys.stderr.write(f"{package} {version}: {len(recorded[package][version])} classes\n")
    OUTPUT.write_text(json.dumps(recorded, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")
