"""Tables declared once: a field of a table is one line in one class, and everything else follows from it.

To declare a table, write a class for each kind of mapping in its YAML files, those that others use first:

    class Layer(Record, title="layer"):
        name: str = own_key()                            # the key that the mapping stands under
        path: str = key("the dotted path")               # required
        rank: int | None = key("how many axes it takes", default=None)
        takes: tuple[str, ...] = key("its parameters", default=(), or_one=True)
        defaults: dict[str, Literal] = key("parameter -> default", default={})
        at: Position = place()                           # the file, line and column of the mapping

From it follow the constructor (by position or keyword; `_replace` as of a NamedTuple), the check of YAML with messages that
name the place, what was found and what is expected (`yamlnodes`), the JSON Schema (`schema`), and the stored form
(`store`, `Layer.restore`). The type of a field says what its YAML may be: `str`, `bool`, `int`, `float` (any number), an enum
(one of its values), `tuple[X, ...]` (a list), `dict[K, X]` (K is `str` or an enum), a record; `X | None` where nothing may
stand for it. A type in quotes, such as the alias `Literal`, is a scalar or a list of scalars. Types are read when the class is
made: no `from __future__ import annotations` in a module with records. Values are immutable and shared: never change one.

Most fields are read from YAML by `key`; where the field is more than what is written there:
    interval: Interval | None = key("...", name="range", given=str, read=Interval.parse, default=None)
`name` is the key in YAML, `given` the type there, `read` makes the value of it (a ValueError is reported at the place).
`derived` computes a field from the keys that are given, `added` is a field that the loader fills in.

A record is a tuple underneath: making a dataclass costs half a millisecond at import, a NamedTuple a tenth, this less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, partial
from operator import itemgetter
from types import UnionType
from typing import Any, ClassVar, Final, Self, TypeAlias, dataclass_transform

from optmap.values import NamedTuple

Literal: TypeAlias = "bool | int | float | str | tuple[Literal, ...] | None"
_MISSING: Final = object()
_PLAIN: Final = (str, bool, int, float)


class Position(NamedTuple):
    """A place in a table file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Shape(NamedTuple):
    """What a type allows: `form` is one of str, bool, int, float, object (a literal), tuple, dict, an enum, a class of rows."""

    form: Any
    item: Any = None
    keys: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    or_one: bool = False


class Field:
    """One field of a record; `key` is its key in YAML, None where it has none."""

    __slots__ = ("about", "choices", "default", "derive", "given", "index", "key", "known", "or_one", "read", "role",
                 "type")  # fmt: skip

    def __init__(
        self, role: str, about: str = "", default: Any = _MISSING, key: str | None = None, given: Any = None,
        read: Callable[[Any], Any] | None = None, derive: Callable[[Mapping[str, Any]], Any] | None = None,
        choices: tuple[str, ...] = (), or_one: bool = False,
    ) -> None:  # fmt: skip
        self.role, self.about, self.default, self.key, self.given = role, about, default, key, given
        self.read, self.derive, self.choices, self.or_one = read, derive, choices, or_one
        self.type, self.index = given, 0
        self.known: Shape | None = None

    @property
    def required(self) -> bool:
        return self.default is _MISSING and self.derive is None

    @property
    def kind(self) -> Shape:
        """What may stand in YAML."""
        if self.known is None:
            if self.given is None and isinstance(self.type, str) and "Literal" not in self.type:
                raise TypeError(f"found {self.type!r} in quotes, expected a type: records need types that are there")
            self.known = _kind(self.type if self.given is None else self.given, self.choices, self.or_one)
        return self.known

    @property
    def composed(self) -> bool:
        """Whether a list or mapping is read, so that `read` is given built values."""
        return self.kind.form in (tuple, dict)


def key(
    about: str, *, default: Any = _MISSING, name: str | None = None, given: Any = None,
    read: Callable[[Any], Any] | None = None, derive: Callable[[Mapping[str, Any]], Any] | None = None,
    choices: tuple[str, ...] = (), or_one: bool = False,
) -> Any:  # fmt: skip
    """A key of the mapping, required without `default` and `derive`, which makes the value of the other keys.

    Strings are of `choices`; with `or_one` a single item stands for a list of one.
    """
    return Field("key", about, default, name, given, read, derive, choices, or_one)


def own_key() -> Any:
    """The key that the mapping stands under."""
    return Field("own_key")


def place() -> Any:
    """The place of the mapping."""
    return Field("place")


def derived(function: Callable[[Mapping[str, Any]], Any]) -> Any:
    """A value made of the keys that are given, by their names in YAML."""
    return Field("derived", derive=function)


def added(*, default: Any = None) -> Any:
    """A value that the loader fills in."""
    return Field("added", default=default)


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(key, own_key, place, derived, added, Field)
)
class Record(tuple[Any, ...]):
    """A mapping of a table with known keys."""

    record_name: ClassVar[str] = ""
    record_fields: ClassVar[dict[str, Field]] = {}

    def __init_subclass__(cls, title: str = "") -> None:
        cls.record_name = title or cls.__name__.lower()
        cls.record_fields = dict(cls.record_fields)
        for name, annotation in cls.__annotations__.items():
            field = cls.__dict__[name]
            field.type = annotation
            if field.role == "key" and field.key is None:
                field.key = name
            cls.record_fields[name] = field
        for index, (name, field) in enumerate(cls.record_fields.items()):
            field.index = index
            setattr(cls, name, property(itemgetter(index)))

    def __new__(cls, *values: Any, **named: Any) -> Self:
        rest = list(cls.record_fields.items())[len(values) :]
        given = [named.pop(name) if name in named else _default(cls, name, field) for name, field in rest]
        if named or len(values) > len(cls.record_fields):
            raise TypeError(f"{cls.__name__} has no field {', '.join(named) or len(values)}")
        return tuple.__new__(cls, (*values, *given))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in zip(self.record_fields, self, strict=True))
        return f"{type(self).__name__}({inside})"

    def _replace(self, **changes: Any) -> Self:
        """Return the record with other values for some fields."""
        values = list(self)
        for name, value in changes.items():
            values[self.record_fields[name].index] = value
        return tuple.__new__(type(self), values)

    @classmethod
    def read(cls, given: Mapping[str, Any], at: Position, under: str = "") -> Self:
        """Make a record of the values under the keys of a mapping."""

        def value(field: Field) -> Any:
            if field.role in ("place", "own_key"):
                return at if field.role == "place" else under
            if field.key is not None and field.key in given:
                found = given[field.key]
                return field.read(found) if field.read and field.composed else found
            if field.derive is not None:
                return field.derive(given)
            return None if field.default is _MISSING else field.default

        return tuple.__new__(cls, [value(field) for field in cls.record_fields.values()])

    @classmethod
    def restore(cls, row: list[Any]) -> Self:
        """Make a record of its stored form, which is used up."""
        defaults, converters = _plan(cls)
        count = len(row)
        for index, convert in converters:
            if index >= count:
                break
            if row[index] is not None:
                row[index] = convert(row[index])
        return tuple.__new__(cls, row + defaults[count:])


def _default(cls: type[Record], name: str, field: Field) -> Any:
    if field.default is _MISSING:
        raise TypeError(f"{cls.__name__} lacks {name!r}")
    return field.default


@cache
def keys(cls: type[Record]) -> dict[str, Field]:
    """The fields that are read from YAML, by their keys there."""
    return {field.key: field for field in cls.record_fields.values() if field.key is not None}


def _kind(kind: Any, choices: tuple[str, ...] = (), or_one: bool = False) -> Shape:
    if isinstance(kind, UnionType):
        parts = [part for part in kind.__args__ if part is not type(None)]
        return _kind(parts[0], choices, or_one) if len(parts) == 1 else Shape(object)
    origin = getattr(kind, "__origin__", kind)
    if origin is tuple and kind.__args__[-1] is Ellipsis:
        return Shape(tuple, _kind(kind.__args__[0], choices), or_one=or_one)
    if origin is dict:
        first, item = kind.__args__
        return Shape(dict, _kind(item, choices, or_one), () if first is str else tuple(first))
    if origin in _PLAIN:
        return Shape(origin, choices=choices)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return Shape(origin, choices=tuple(item.value for item in origin))
    return Shape(origin) if isinstance(origin, type) and origin is not tuple else Shape(object)


def store(value: Any) -> Any:
    """Return what JSON can hold of a record, or of a list or mapping of records; trailing defaults are left out."""
    if isinstance(value, Record):
        fields = list(value.record_fields.values())
        count = len(fields)
        while count and _is_default(value[count - 1], fields[count - 1].default):
            count -= 1
        return [{} if _is_sentinel(value[i], fields[i].default) else store(value[i]) for i in range(count)]
    if isinstance(value, dict):
        return {name: store(item) for name, item in value.items()}
    return [store(item) for item in value] if isinstance(value, tuple) else value


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def _is_sentinel(value: Any, default: Any) -> bool:
    """Whether the value is a default that is no value of YAML."""
    return value is default and not isinstance(value, (*_PLAIN, tuple, dict, type(None)))


@cache
def _plan(cls: type[Record]) -> tuple[list[Any], list[tuple[int, Callable[[Any], Any]]]]:
    """The defaults of a record's fields, and for each place in its stored form what makes the value of it."""
    converters = []
    for index, field in enumerate(cls.record_fields.values()):
        convert = _converter(_kind(field.type), field.default)
        if convert is not None:
            converters.append((index, convert))
    return [field.default for field in cls.record_fields.values()], converters


def _converter(kind: Shape, default: Any = None) -> Callable[[Any], Any] | None:
    """What makes a value of its stored form; None where that is the value."""
    form = kind.form
    if form in _PLAIN:
        return None
    if form is object:
        return partial(_literal, default)
    if form is tuple or form is dict:
        convert = _converter(kind.item)
        if form is tuple:
            return tuple if convert is None else lambda items: tuple([convert(item) for item in items])
        names = {str(name): name for name in kind.keys}
        if names or convert is not None:
            return partial(_mapping, names, convert or _same)
        return None
    if issubclass(form, Enum):
        members: Callable[[Any], Any] = form._value2member_map_.__getitem__
        return members
    if issubclass(form, str):
        return form  # type: ignore[no-any-return]
    return form.restore if issubclass(form, Record) else partial(tuple.__new__, form)


def _mapping(names: dict[str, Any], convert: Callable[[Any], Any], items: dict[str, Any]) -> dict[Any, Any]:
    return {names.get(name, name): convert(item) for name, item in items.items()}


def _same(value: Any) -> Any:
    return value


def _literal(default: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple([_literal(default, item) for item in value])
    return default if isinstance(value, dict) else value
