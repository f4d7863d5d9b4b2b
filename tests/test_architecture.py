"""The arrows between the rooms (design, section 4)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "optmap"
MODULES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"torch", "tensorflow", "keras", "mindspore", "tf_keras", "jax"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def named(node: ast.AST) -> str:
    """A name, or an attribute of one, as it is written; nothing else has one."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@cache
def imports(path: Path, *, typing: bool = True) -> tuple[str, ...]:
    """Every module that a file imports, anywhere in it, by its absolute name; `from a import b` gives a and a.b.

    Without `typing` those under `if TYPE_CHECKING:` are left out: they are never carried out.
    """
    return tuple(_imports(path, typing))


def _imports(path: Path, typing: bool) -> Iterator[str]:
    package = ["optmap", *path.relative_to(PACKAGE).parts[:-1]]
    unreal = set() if typing else {id(node) for node in _for_typing(nodes_of(path))}
    for node in nodes_of(path):
        if id(node) in unreal:
            continue
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


def _for_typing(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        if isinstance(node, ast.If) and named(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from (inner for statement in node.body for inner in ast.walk(statement))


def modules_in(*rooms: str) -> list[Path]:
    return [path for path in MODULES if name_of(path).split("/")[0] in rooms]


def offenders(paths: Iterable[Path], found: Callable[[Path], Iterable[object]]) -> dict[str, list[object]]:
    """By its name, each module in which something is found that should not be there."""
    return {name_of(path): wrong for path in paths if (wrong := list(found(path)))}


def imported(paths: Iterable[Path], *prefixes: str) -> dict[str, list[object]]:
    """By its name, each module that imports something below one of some names."""
    return offenders(paths, lambda path: [name for name in imports(path) if under(name, *prefixes)])


def under(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def test_the_rooms_are_there() -> None:
    assert {name_of(path).split("/")[0] for path in MODULES} >= {
        "cli",
        "config.py",
        "diagnostics.py",
        "mapping",
        "source",
        "translate",
        "report",
    }


def test_translation_knows_nothing_of_conformance() -> None:
    lower = modules_in("translate", "source", "mapping")
    assert imported(lower, "optmap.conformance", "optmap.audit", "optmap.processes") == {}


@pytest.mark.parametrize(("room", "other"), [("source", "optmap.mapping"), ("mapping", "optmap.source")])
def test_the_lower_rooms_know_nothing_of_the_upper_ones(room: str, other: str) -> None:
    upper = ("optmap.translate", "optmap.report", "optmap.commands", "optmap.cli", "optmap.config")
    assert imported(modules_in(room), other, *upper) == {}


def test_reports_import_result_types_only() -> None:
    values = ("optmap.conformance.results", "optmap.mapping.values.write_literal", "optmap.mapping.values")
    allowed = (
        "optmap.diagnostics",
        "optmap.translate.results",
        "optmap.conformance.results",
        "optmap.audit.results",
        *values,
        "optmap.report",
        "optmap.shown",
        "rich",
        "jinja2",
        "markupsafe",
    )

    def outside(path: Path) -> list[str]:
        return [
            name
            for name in imports(path)
            if not under(name, *allowed)
            and name not in ("optmap", "optmap.__version__")
            and name.split(".")[0] not in sys.stdlib_module_names
        ]

    assert offenders(modules_in("report"), outside) == {}


def test_frameworks_are_imported_by_engines_only() -> None:
    others = [path for path in MODULES if not name_of(path).startswith("conformance/engines/")]
    assert imported(others, *FRAMEWORKS) == {}
    assert [name_of(path) for path in others if "__import__(" in path.read_text(encoding="utf-8")] == []


def test_the_audit_meets_frameworks_in_its_worker_only() -> None:
    others = [path for path in MODULES if name_of(path) not in ("audit/live.py", "audit/worker.py")]
    assert imported(others, "optmap.audit.live", "optmap.audit.worker") == {}
    own = [path for path in others if name_of(path).startswith("audit/")]
    assert imported(own, "importlib.import_module", "runpy") == {}
    assert [name_of(path) for path in own if "import_module" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("name", ["worker", "live", "signature", "results"])
def test_the_audits_worker_needs_nothing_but_python(name: str) -> None:
    allowed = (
        "optmap.audit",
        "optmap.processes",
        "optmap.wire",
        *(f"optmap.mapping.{each}" for each in ("framework", "frameworks", "records", "versions")),
    )
    found = list(imports(PACKAGE / "audit" / f"{name}.py"))
    assert not [
        each for each in found if each.split(".")[0] not in sys.stdlib_module_names and not under(each, *allowed)
    ]


def test_the_comparison_runs_nothing() -> None:
    allowed = ("__future__", "collections", "typing", "optmap.audit.results", "optmap.audit.signature.literal", "optmap.audit.signature",
               "optmap.shown",
               *(f"optmap.mapping.{each}" for each in ("framework", "frameworks", "model", "sections", "versions", "vocabulary")))  # fmt: skip
    assert not [name for name in imports(PACKAGE / "audit" / "compare.py") if not under(name, *allowed)]


def printing(path: Path) -> Iterator[int]:
    """The lines that call print() or name a stream of sys."""
    for node in nodes_of(path):
        if isinstance(node, ast.Name | ast.Attribute) and named(node) in ("print", "sys.stdout", "sys.stderr"):
            yield node.lineno


def test_only_commands_and_reports_print() -> None:
    printers = modules_in("commands", "cli", "report")
    assert offenders([path for path in MODULES if path not in printers], printing) == {}


WRITERS = {"open", "write_text", "write_bytes", "mkstemp", "unlink", "rename", "replace", "rmtree", "mkdir", "touch"}


def writing(path: Path) -> Iterator[int]:
    """The lines that write to a file, or do away with one."""
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in WRITERS - {"replace", "open"} or (
                owner == "os" and node.func.attr in ("replace", "write")
            ):
                yield node.lineno
        elif isinstance(node, ast.Call) and named(node.func) == "open" and ast.unparse(node.args[0]) != "os.devnull":
            yield node.lineno


def test_only_one_module_writes_users_files() -> None:
    rooms = modules_in("translate", "source", "mapping", "commands", "report", "cli", "config.py", "files.py", "api.py")
    # mapping/stored.py keeps what it has read, in a checkout.
    writers = {"translate/write.py", "mapping/stored.py"}
    assert offenders(rooms, writing).keys() == writers


def test_the_command_line_imports_inside_its_commands() -> None:
    standard = {"gc", "sys", "pathlib", "typing", "os", "collections.abc", "importlib", "inspect"}

    def beside(path: Path) -> set[str]:
        top = [node for node in tree_of(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {
            alias.name if isinstance(node, ast.Import) else str(node.module) for node in top for alias in node.names
        }
        return names - standard - {"typer", "optmap.cli.options"}

    assert offenders(modules_in("cli"), beside) == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))] == []


# Circles of imports


def module_name(path: Path) -> str:
    parts = ["optmap", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph() -> dict[str, set[str]]:
    """What each module imports of the others, within functions, too. A package's `__init__` counts where a name is taken from it."""
    known = {module_name(path): path for path in MODULES}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        found = set(imports(path, typing=False)) & known.keys()
        # `from optmap.a import b` is an import of the module a.b where there is one, and of the package's own names elsewhere.
        taken = {item.module for item in nodes_of(path) if isinstance(item, ast.ImportFrom)}
        packages = {each for each in found if known[each].name == "__init__.py"}
        only_inside = {each for each in packages & taken if not _takes_names(path, each, known)}
        graph[name] = found - only_inside - {name}
    return graph


def _takes_names(path: Path, package: str, known: Mapping[str, Path]) -> bool:
    """Whether a file takes a name from a package that is not one of its modules."""
    return any(
        f"{package}.{alias.name}" not in known
        for node in nodes_of(path) if isinstance(node, ast.ImportFrom) and node.module == package
        for alias in node.names
    )  # fmt: skip


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The groups of modules each of which leads to every other of the group."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            for name in graph[todo.pop()] - found:
                found.add(name)
                todo.append(name)
        return found

    ways = {name: reached(name) for name in graph}
    return {
        frozenset(other for other in ways[name] if name in ways[other]) for name in graph if name in ways[name]
    }  # fmt: skip


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e"}}
    assert circles(graph) == {frozenset({"b", "c"}), frozenset({"e"})}


def test_no_two_modules_import_each_other() -> None:
    assert not circles(import_graph())


def test_the_top_of_the_translator_holds_a_dozen_modules() -> None:
    found = sorted(path.name for path in (PACKAGE / "translate").glob("*.py") if path.name != "__init__.py")
    assert len(found) <= 12, found


def test_the_tests_that_come_first_are_there() -> None:
    from tests.conftest import HERE, LONGEST

    assert not [name for name in LONGEST if not (HERE / name).exists()]
