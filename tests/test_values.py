"""`optmap.values.NamedTuple` is to a class what `typing.NamedTuple` is."""

import copy
import pickle
from typing import NamedTuple as Typed

import pytest

from optmap.values import NamedTuple


class Own(NamedTuple):
    first: int
    second: str = "b"
    third: tuple[int, ...] = ()

    @property
    def doubled(self) -> int:
        return self.first * 2


class Python(Typed):
    first: int
    second: str = "b"
    third: tuple[int, ...] = ()


class Nothing(NamedTuple):
    pass


@pytest.mark.parametrize("given", [(1,), (1, "c"), (1, "c", (2,))])
def test_it_is_the_tuple_that_python_would_make(given: tuple[int, str, tuple[int, ...]]) -> None:
    own, python = Own(*given), Python(*given)
    assert tuple(own) == tuple(python)
    assert own == Own(*own) == Own(**own._asdict())
    assert repr(own) == repr(python).replace("Python", "Own")
    assert own._asdict() == python._asdict()
    assert (own._fields, own._field_defaults) == (python._fields, python._field_defaults)
    assert tuple(own._replace(second="z")) == tuple(python._replace(second="z"))
    assert pickle.loads(pickle.dumps(own)) == own == copy.deepcopy(own)
    assert Own._make(python) == own
    assert own.doubled == 2
    assert Nothing() == ()


def test_fields_match_by_place() -> None:
    match Own(1, "c"):
        case Own(first, second=second):
            assert (first, second) == (1, "c")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Own(),  # type: ignore[call-arg]
        lambda: Own(1, "b", (), 4),  # type: ignore[call-arg]
        lambda: Own(1, fourth=4),  # type: ignore[call-arg]
        lambda: Own(1, first=1),  # type: ignore[misc]
        lambda: Own._make([1, 2]),
    ],
)
def test_what_does_not_fit_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        wrong()  # type: ignore[operator]


def test_neither_a_field_is_set_nor_an_unknown_one_replaced() -> None:
    own = Own(1)
    with pytest.raises(AttributeError):
        own.first = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        own.fourth = 2  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="fourth"):
        own._replace(fourth=4)  # type: ignore[call-arg]
