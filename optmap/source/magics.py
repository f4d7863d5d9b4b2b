"""A notebook cell as Python: IPython's magics, shell escapes and help requests are blanked, so that every offset stays."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from enum import Enum, auto
from typing import Final

from optmap.values import NamedTuple

PYTHON_MAGICS: Final = frozenset(
    ("time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "snakeviz", "scalene", "heat", "wandb", "debug")
)
"""Cell magics whose body is Python that runs among the other cells' names."""

FUNCTION_MAGICS: Final = frozenset(("timeit", "memit"))
"""Those that run it as the body of a function: what it imports stays there."""

FOREIGN_MAGICS: Final = frozenset(
    ("bash", "sh", "script", "system", "sx", "cmd", "powershell", "perl", "ruby", "pypy", "python", "python2", "python3",
     "html", "HTML", "svg", "SVG", "javascript", "js", "latex", "markdown", "writefile", "file", "shell", "sql", "bigquery",
     "R", "julia", "octave", "cython", "cu", "cpp", "css", "mermaid", "dot", "graphviz", "writetemplate", "configure")
)  # fmt: skip
"""Cell magics that keep their body from this notebook's names: other languages, other processes, files."""

PYTHON_ELSEWHERE: Final = frozenset(
    ("writefile", "file", "writetemplate", "script", "python", "python2", "python3", "pypy", "cython")
)
"""Those among them whose body may be Python all the same."""

_STATEMENT_MAGICS: Final = frozenset(("time", "timeit", "prun", "memit"))
_SHELL_MAGICS: Final = frozenset(
    ("pip", "conda", "mamba", "uv", "cd", "ls", "mkdir", "rm", "cp", "mv", "cat", "pwd", "env", "set_env", "bash", "sx", "sc",
     "system", "matplotlib", "load_ext", "reload_ext", "autoreload", "config", "tensorboard", "tensorflow_version", "writefile")
)  # fmt: skip
"""Line magics whose words are no Python names, but for those in braces or behind a dollar sign."""

_AUTOMAGICS: Final = _SHELL_MAGICS | {"run", "who", "whos", "rmdir", "less", "more", "man", "ll", "history"}

_PHYSICAL: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_CELL_MAGIC: Final = re.compile(r"((?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*[ \t]*)(%%([A-Za-z_]\w*)(?!\w|\?)[^\r\n]*)")
_ESCAPE: Final = re.compile(r"[ \t\f]*(?=%|!|\?|[,;/][A-Za-z_])")
_ASSIGNED: Final = re.compile(r"(?<![=!<>+*/|&^@:%-])=[ \t]*(?=%[A-Za-z_]|!)")
_STATEMENT: Final = re.compile(r"%(\w+)(?:[ \t]+-[a-zA-Z]+(?:[ \t]*\d+)?)*[ \t]+(?=\S)")
_ASKED: Final = re.compile(r"(?<![\w)\]])%{0,2}(?!\d)[\w*]+(?:\.\w[\w*]*|\[[^\]]*\])*\?{1,2}\s*\Z")
_PIECE: Final = re.compile(r"""#[^\r\n]*|'{3}|"{3}|['"]|[(\[{]|[)\]}]|\\(?:\r\n|[\r\n])|\?""")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_INTERPOLATED: Final = re.compile(r"\{([^{}\r\n]*)\}|\$\{?([^\W\d][\w.]*)")


class CellKind(Enum):
    """How a cell takes part."""

    PYTHON = auto()
    FUNCTION = auto()
    FOREIGN = auto()
    UNKNOWN = auto()
    BROKEN = auto()


class CellCode(NamedTuple):
    """A cell's text with all that is not Python blanked; as many bytes of UTF-8 as it had.

    `lead` has to stand before it to make it parse; `words` are names that the blanked text may use; `magic` is the cell
    magic. A cell that does not parse has a message and its place.
    """

    kind: CellKind
    text: str
    lead: str = ""
    words: frozenset[str] = frozenset()
    magic: str | None = None
    message: str = ""
    line: int = 1
    column: int = 1


def read_cell(text: str) -> CellCode:
    """Read a code cell's text."""
    if _error(text) is None:
        return CellCode(CellKind.PYTHON, text)
    kind, magic, words, blanked = CellKind.PYTHON, None, set[str](), ""
    rest = text
    while (found := _CELL_MAGIC.match(rest)) is not None:
        name = found[3]
        magic = magic or name
        if name not in PYTHON_MAGICS:
            return CellCode(CellKind.FOREIGN if name in FOREIGN_MAGICS else CellKind.UNKNOWN, text, magic=name)
        words |= names_in(found[2].removeprefix(f"%%{name}"))
        blanked += found[1] + _blank(found[2])
        rest = rest[found.end() :]
        kind = CellKind.FUNCTION if name in FUNCTION_MAGICS else kind
    rest, more = _blank_magics(rest)
    return _checked(CellCode(kind, blanked + rest, words=frozenset(words | more), magic=magic))


def names_in(text: str) -> set[str]:
    """Every word of a text that may be a name."""
    return {word for word in _WORD.findall(text) if not keyword.iskeyword(word)}


def _checked(cell: CellCode) -> CellCode:
    error = _error(cell.text)
    if error is None:
        return cell
    if error.msg == "unexpected indent" and _error("if 1:\n" + cell.text) is None:
        return cell._replace(lead="if 1:\n")
    first = cell.text.split(None, 1)
    lines = [line for line in cell.text.splitlines() if line.strip()]
    if len(lines) == 1 and first[0] in _AUTOMAGICS:
        return CellCode(CellKind.PYTHON, _blank(cell.text.rstrip("\r\n")) + cell.text[len(cell.text.rstrip("\r\n")) :])
    line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
    return cell._replace(kind=CellKind.BROKEN, message=error.msg, line=line, column=column)


def _error(text: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        if isinstance(error, UnicodeError):
            reason = "half a surrogate pair"
        return SyntaxError(reason)
    return None


def _blank(text: str) -> str:
    """A statement that does nothing, of the same length in UTF-8; line endings stay."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if "\n" not in text and "\r" not in text:
        return "0" + " " * (size - 1)
    lines = _PHYSICAL.findall(text)
    bare = [line.rstrip("\r\n") for line in lines]
    blank = [
        " " * len(text.encode("utf-8", "surrogatepass")) + line[len(text) :]
        for text, line in zip(bare, lines, strict=True)
    ]
    return "0" + "".join(blank)[1:]


def _blank_magics(text: str) -> tuple[str, set[str]]:
    """Blank what IPython takes out of single lines, and return the names that it may use."""
    lines = _PHYSICAL.findall(text)
    done: list[str] = []
    words: set[str] = set()
    state = _State()
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        at = _magic_start(line) if state.fresh else None
        if at is None:
            state.advance(line)
            done.append(line)
            continue
        while line.rstrip("\r\n").endswith("\\") and index < len(lines):
            line += lines[index]
            index += 1
        content = line[at:].rstrip("\r\n")
        statement = _statement(content)
        if statement:
            blank = "0;" + " " * (len(content[:statement].encode()) - 2) + content[statement:]
        else:
            blank = _blank(content)
            words |= _used(content)
        done.append(line[:at] + blank + line[at + len(content) :])
    return "".join(done), words


def _statement(content: str) -> int:
    """Where the statement of `%time statement` and its like begins; 0 where there is none that could stand alone."""
    found = _STATEMENT.match(content)
    if found is None or found[1] not in _STATEMENT_MAGICS:
        return 0
    rest = content[found.end() :]
    if _error(rest) is not None or _error(f"0;{rest}") is not None:
        return 0
    inner = found[1] != "time" and re.search(r"\bimport\b", rest)
    return 0 if inner else found.end()


def _used(content: str) -> set[str]:
    """Names that a magic may use."""
    name = _WORD.match(content.lstrip("%!")) if content.startswith("%") else None
    if content.startswith("!") or (name is not None and name[0] in _SHELL_MAGICS):
        return names_in(" ".join(part for pair in _INTERPOLATED.findall(content) for part in pair))
    return names_in(content)


def _magic_start(line: str) -> int | None:
    """Where a line that begins a statement stops being Python; None where it is Python to its end."""
    found = _ESCAPE.match(line)
    if found is not None:
        return found.end()
    for assigned in _ASSIGNED.finditer(line):
        if _State().advance(line[: assigned.start()]).fresh and "#" not in line[: assigned.start()]:
            return assigned.end()
    if _ASKED.search(line) and _State().advance(line).asks:
        return len(line) - len(line.lstrip(" \t"))
    return None


class _State:
    """What the end of a line leaves open."""

    def __init__(self) -> None:
        self.depth = 0
        self.quote = ""
        self.continued = False
        self.asks = False

    @property
    def fresh(self) -> bool:
        """Whether the next line begins a statement."""
        return not self.quote and self.depth <= 0 and not self.continued

    def advance(self, line: str) -> _State:
        self.continued = self.asks = False
        at = 0
        while at < len(line):
            if self.quote:
                at = self._string(line, at)
                continue
            found = _PIECE.search(line, at)
            if found is None:
                break
            self._piece(found[0])
            at = found.end()
        if len(self.quote) == 1 and not line.rstrip("\r\n").endswith("\\"):
            self.quote = ""
        if self.depth < 0:
            self.depth = 0
        return self

    def _string(self, line: str, at: int) -> int:
        """Go to the end of the string or of the line."""
        found = re.compile(r"\\(?:\r\n|[\s\S])|" + self.quote).search(line, at)
        if found is None:
            return len(line)
        if found[0] == self.quote:
            self.quote = ""
        return found.end()

    def _piece(self, piece: str) -> None:
        if piece[0] in "'\"":
            self.quote = piece
        elif piece in "([{":
            self.depth += 1
        elif piece in ")]}":
            self.depth -= 1
        elif piece[0] == "\\":
            self.continued = True
        self.asks = piece == "?"
