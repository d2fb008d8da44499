"""Reading ahead: in order, two at a time, and nothing is left open."""

from collections.abc import Iterator

import pytest

from huntonce.connectors.siem.sweep.ahead import one_ahead


class Thing:
    """Something that has to be closed."""

    def __init__(self, number: int, opened: list[int], closed: list[int]) -> None:
        self.number = number
        self._closed = closed
        opened.append(number)

    def close(self) -> None:
        self._closed.append(self.number)


def test_things_come_in_order_and_are_closed_one_by_one() -> None:
    opened: list[int] = []
    closed: list[int] = []
    seen = []

    for item, made in one_ahead(range(5), lambda number: Thing(number, opened, closed)):
        assert item == made.number
        assert closed == list(range(item))
        assert len(opened) <= item + 2
        seen.append(item)

    assert seen == closed == list(range(5))


def test_nothing_to_do_makes_nothing() -> None:
    assert list(one_ahead([], lambda number: Thing(number, [], []))) == []


def test_what_cannot_be_made_is_raised_in_its_turn() -> None:
    opened: list[int] = []
    closed: list[int] = []
    seen = []

    def make(number: int) -> Thing:
        if number == 2:
            raise ValueError("no such file")
        return Thing(number, opened, closed)

    def read() -> None:
        for item, _ in one_ahead(range(5), make):
            seen.append(item)

    with pytest.raises(ValueError, match="no such file"):
        read()

    assert seen == [0, 1]
    assert sorted(closed) == sorted(opened)


def test_a_reader_that_stops_leaves_nothing_open() -> None:
    opened: list[int] = []
    closed: list[int] = []

    def stop_at_the_second() -> None:
        for item, _ in one_ahead(range(5), lambda number: Thing(number, opened, closed)):
            if item == 1:
                raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        stop_at_the_second()

    assert sorted(closed) == sorted(opened)
    assert 1 in closed


def test_work_that_fails_leaves_nothing_open() -> None:
    opened: list[int] = []
    closed: list[int] = []

    def work() -> Iterator[int]:
        yield from (0, 1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(one_ahead(work(), lambda number: Thing(number, opened, closed)))

    assert sorted(closed) == sorted(opened)
    assert 0 in closed
