"""What must hold for whatever is translated; a failure is a text that says what does not."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator

from optmap.diagnostics import INTERNAL_ERROR, LOSS_SCALING, NUMERIC_DIFFERENCE, SMALL_DIFFERENCE, UNVERIFIED, Code
from optmap.mapping.sections import Api
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult, Status
from tests.fuzz.generate import File
from tests.translate.proofs import prove
from tests.translate.test_properties import TABLES, same_meaning


def judge(file: File) -> Counter[str]:
    """The outcomes of the calls of a file. Raises AssertionError."""
    before = ast.parse(file.data)
    result = translate_bytes(file.data, TABLES, file.options)
    assert result.error is None, result.error
    _require_no_failure(result, INTERNAL_ERROR, UNVERIFIED)
    prove(file.data, result, TABLES, file.options)
    if file.newline != b"\n":
        _same_with(file, result)
    statuses = Counter(call.status.value for call in result.calls)
    if result.changed:
        _compare(before, ast.parse(result.output), result)
    return statuses


def judge_any(data: bytes, options: Options) -> bool:
    """Whether bytes that may be no program are translated. Raises AssertionError."""
    result = translate_bytes(data, TABLES, options)
    _require_no_failure(result, INTERNAL_ERROR)
    if result.calls:
        try:
            with warnings.catch_warnings(action="ignore"):
                compile(data, "before", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):  # it has a tree, but Python runs it no more
            return result.changed
        _require_no_failure(result, UNVERIFIED)
        prove(data, result, TABLES, options, places=False)
    return result.changed


def _require_no_failure(result: FileResult, *codes: Code) -> None:
    failed = [item for item in result.diagnostics if item.code in codes]
    assert not failed, f"{failed[0].code.id} on line {failed[0].line}: {failed[0].message}"


def _same_with(file: File, result: FileResult) -> None:
    other = translate_bytes(file.data.replace(b"\n", file.newline), TABLES, file.options)
    assert other.output == result.output.replace(b"\n", file.newline), "the line ending makes a difference"


def _compare(before: ast.Module, after: ast.Module, result: FileResult) -> None:
    """Every call means what it meant, or is what it was; nothing else has changed but imports."""
    translated = [(call.source, call.target) for call in result.calls if call.status is Status.TRANSLATED]
    names = {name.rpartition(".")[2] for pair in translated for name in pair if name}
    names |= {call.source.rpartition(".")[2] for call in result.calls}
    old, new = (list(_calls(tree, names)) for tree in (before, after))
    assert len(old) == len(new), f"{len(old)} calls became {len(new)}"
    found: list[tuple[str, str]] = []
    divisions = {item.line for item in result.diagnostics if item.code is LOSS_SCALING}
    differing = {item.line for item in result.diagnostics if item.code in (SMALL_DIFFERENCE, NUMERIC_DIFFERENCE)}
    paths = {name: _paths(tree) for name, tree in (("old", before), ("new", after))}
    for one, other in zip(old, new, strict=True):
        if ast.dump(one) == ast.dump(other):
            continue
        source, target = _api(one, paths["old"]), _api(other, paths["new"])
        assert source is not None, f"{ast.unparse(one)} was changed, which is no call of an optimizer"
        assert target is not None, f"{ast.unparse(other)} is no call of an optimizer"
        found.append((source.name, target.name))
        try:
            same_meaning(source, one, target, other)
        except Exception as error:
            divided = str(error).startswith("loss_scale is lost") and one.lineno in divisions
            if not divided and not (_is_default(source, str(error)) and one.lineno in differing):
                raise AssertionError(f"{error}\n  {ast.unparse(one)}\n  {ast.unparse(other)}") from None
    wrong = Counter(found) - Counter((source, target or "") for source, target in translated)
    assert not wrong, f"changed without a word: {wrong}"


def _is_default(api: Api, said: str) -> bool:
    """Tell whether a value that became another is the default of its class, written out: that is as good as left out."""
    for row in api.current:
        values = row.default if len(row.ties) > 1 and row.default else [row.default]
        for tie, value in zip(row.ties, values, strict=False):  # type: ignore[arg-type]
            if said.startswith(f"{tie}: {value!r} became"):
                return True
    return False


def _calls(node: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    """The calls of these names in an order that a translation keeps."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            last = getattr(child.func, "attr", getattr(child.func, "id", ""))
            if last in names:
                yield child
        yield from _calls(child, names)


def _paths(tree: ast.Module) -> dict[str, str]:
    """What the imports of a file bind, and the module of a star import as `*`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                found[item.asname or item.name.partition(".")[0]] = (
                    item.name if item.asname else item.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            found |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names if item.name != "*"}
            found |= {"*": str(node.module)} if node.names[0].name == "*" else {}
    return found


def _api(call: ast.Call, paths: dict[str, str]) -> Api | None:
    first, dot, rest = ast.unparse(call.func).partition(".")
    path = paths.get(first) or f"{paths.get('*')}.{first}"
    return TABLES.api_at(f"{path}{dot}{rest}")
