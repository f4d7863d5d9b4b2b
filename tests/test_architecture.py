"""The arrows between the rooms (design, section 4)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "optmap"
MODULES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"torch", "tensorflow", "keras", "mindspore", "tf_keras", "jax"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, by its absolute name; `from a import b` gives a and a.b."""
    package = ["optmap", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
                if node.level
                else str(node.module)
            )
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def modules_in(*rooms: str) -> list[Path]:
    return [path for path in MODULES if name_of(path).split("/")[0] in rooms]


def under(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def test_the_rooms_are_there() -> None:
    assert {name_of(path).split("/")[0] for path in MODULES} >= {
        "cli.py",
        "config.py",
        "diagnostics.py",
        "mapping",
        "source",
        "translate",
        "report",
    }


@pytest.mark.parametrize("path", modules_in("translate", "source", "mapping"), ids=name_of)
def test_translation_knows_nothing_of_conformance(path: Path) -> None:
    assert not [name for name in imports(path) if under(name, "optmap.conformance", "optmap.audit", "optmap.processes")]


@pytest.mark.parametrize("path", modules_in("source", "mapping"), ids=name_of)
def test_the_lower_rooms_know_nothing_of_the_upper_ones(path: Path) -> None:
    upper = ["optmap.translate", "optmap.report", "optmap.commands", "optmap.cli", "optmap.config"]
    upper.append("optmap.mapping" if name_of(path).startswith("source") else "optmap.source")
    assert not [name for name in imports(path) if under(name, *upper)]


@pytest.mark.parametrize("path", modules_in("report"), ids=name_of)
def test_reports_import_result_types_only(path: Path) -> None:
    values = ("optmap.conformance.levels", "optmap.mapping.values.write_literal", "optmap.mapping.values")
    allowed = (
        "optmap.diagnostics",
        "optmap.translate.results",
        "optmap.conformance.results",
        "optmap.audit.results",
        *values,
        "optmap.report",
        "rich",
    )
    outside = [
        name
        for name in imports(path)
        if not under(name, *allowed)
        and name not in ("optmap", "optmap.__version__")
        and name.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not outside


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_frameworks_are_imported_by_engines_only(path: Path) -> None:
    if not name_of(path).startswith("conformance/engines/"):
        assert not [name for name in imports(path) if under(name, *FRAMEWORKS)]
        text = path.read_text(encoding="utf-8")
        assert "__import__(" not in text


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_audit_meets_frameworks_in_its_worker_only(path: Path) -> None:
    if name_of(path) not in ("audit/live.py", "audit/worker.py"):
        assert not [name for name in imports(path) if under(name, "optmap.audit.live", "optmap.audit.worker")]
    if name_of(path).startswith("audit/") and name_of(path) not in ("audit/live.py", "audit/worker.py"):
        assert not [name for name in imports(path) if under(name, "importlib.import_module", "runpy")]
        assert "import_module" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["worker", "live", "signature", "results"])
def test_the_audits_worker_needs_nothing_but_python(name: str) -> None:
    allowed = (
        "optmap.audit",
        "optmap.processes",
        *(f"optmap.mapping.{each}" for each in ("model", "records", "versions")),
    )
    found = list(imports(PACKAGE / "audit" / f"{name}.py"))
    assert not [
        each for each in found if each.split(".")[0] not in sys.stdlib_module_names and not under(each, *allowed)
    ]


def test_the_comparison_runs_nothing() -> None:
    allowed = ("__future__", "collections", "optmap.audit.results", "optmap.audit.signature.literal", "optmap.audit.signature",
               "optmap.mapping.model", "optmap.mapping.versions")  # fmt: skip
    assert not [name for name in imports(PACKAGE / "audit" / "compare.py") if not under(name, *allowed)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_commands_and_reports_print(path: Path) -> None:
    if name_of(path).split("/")[0] in ("commands", "cli.py", "report"):
        return
    calls = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
    assert not [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    streams = [
        node
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr")
    ]
    assert not [node.lineno for node in streams if isinstance(node.value, ast.Name) and node.value.id == "sys"]


WRITERS = {"open", "write_text", "write_bytes", "mkstemp", "unlink", "rename", "replace", "rmtree", "mkdir", "touch"}


@pytest.mark.parametrize(
    "path",
    modules_in("translate", "source", "mapping", "commands", "report", "cli.py", "config.py", "files.py", "api.py"),
    ids=name_of,
)
def test_only_one_module_writes_users_files(path: Path) -> None:
    if name_of(path) in ("translate/write.py", "mapping/stored.py"):  # the latter keeps what it has read, in a checkout
        return
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in WRITERS - {"replace", "open"} or (
                owner == "os" and node.func.attr in ("replace", "write")
            ):
                found.append(node.lineno)
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "open"
            and ast.unparse(node.args[0]) != "os.devnull"
        ):
            found.append(node.lineno)
    assert not found


def test_the_command_line_imports_inside_its_commands() -> None:
    tree = ast.parse((PACKAGE / "cli.py").read_bytes())
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name if isinstance(node, ast.Import) else str(node.module) for node in top for alias in node.names}
    assert names <= {"__future__", "gc", "sys", "pathlib", "typing", "typer", "optmap", "os", "collections.abc"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_bytes()))
