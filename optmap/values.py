"""`NamedTuple` as `typing` has it, at a tenth of the cost: `typing` compiles the text of each annotation and of each `__new__`.

A run makes more than a hundred such classes, and most of what it does takes no longer than that.
"""

from __future__ import annotations

import collections
from functools import cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    @cache
    def _new_of(size: int) -> CodeType:
        """The code of a `__new__` with so many fields, whose names are still to be given."""
        names = "".join(f"_{place}, " for place in range(size))
        return eval(f"lambda _cls, {names}: _new(_cls, ({names}))", {}).__code__

    class _Named(tuple):
        """What all of them can do; each is made directly below it."""

        __slots__ = ()

        @classmethod
        def _make(cls, values: Any) -> Any:
            found = tuple.__new__(cls, values)
            if len(found) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(found)}")
            return found

        def _replace(self, /, **values: Any) -> Any:
            found = self._make(map(values.pop, self._fields, self))
            if values:
                raise ValueError(f"Got unexpected field names: {list(values)!r}")
            return found

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{self.__class__.__name__}({values})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

        __replace__ = _replace

    class _Maker(type):
        """Makes a named tuple of the body of a class."""

        def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = tuple(body.pop("__annotations__", None) or _fields(body))
            defaults = {field: body.pop(field) for field in fields if field in body}
            code = _new_of(len(fields)).replace(co_varnames=("_cls", *fields), co_name="__new__")
            new = FunctionType(code, {"_new": tuple.__new__}, "__new__", tuple(defaults.values()))
            getters = {field: collections._tuplegetter(place, "") for place, field in enumerate(fields)}
            own = {
                "__slots__": (),
                "_fields": fields,
                "_field_defaults": defaults,
                "__match_args__": fields,
                "__new__": new,
            }
            return type(name, (_Named,), {**own, **getters, **body})

    def _fields(body: dict[str, Any]) -> dict[str, Any]:
        """The annotations of a class body that Python 3.14 leaves unevaluated."""
        try:
            from annotationlib import Format, call_annotate_function, get_annotate_from_class_namespace
        except ImportError:
            return {}
        annotate = get_annotate_from_class_namespace(body)
        return {} if annotate is None else call_annotate_function(annotate, Format.FORWARDREF)

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
