"""What two decoders made, compared without a warehouse."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from ib_platform.redecode.compare import Difference, compare, outdated

DAY = date(2026, 11, 18)
NEXT = date(2026, 11, 19)
COLUMNS = ("trade_date", "conid", "seq", "price", "size", "decoder_version")


def row(seq: int, price: int | None = 1, size: int = 1, version: int = 1, **other: Any) -> Any:
    return (other.get("day", DAY), other.get("conid", 7), seq, price, size, version)


def test_the_version_alone_is_no_difference() -> None:
    found = compare("t", COLUMNS, [row(0), row(1)], [row(0, version=2), row(1, version=2)])
    assert found == {(DAY, "t", 7): Difference(equal=2)}
    assert found[DAY, "t", 7].is_none


def test_columns_are_counted_by_row() -> None:
    old = [row(0), row(1), row(2, None)]
    new = [row(0, 2, 2), row(1, 2), row(2, None)]
    assert compare("t", COLUMNS, old, new) == {
        (DAY, "t", 7): Difference(equal=1, differing=2, by_column=Counter(price=2, size=1))
    }


def test_rows_of_one_side_and_places_are_kept_apart() -> None:
    old = [row(0), row(1, conid=8)]
    new = [row(0, conid=8), row(2, day=NEXT)]
    found = compare("t", COLUMNS, old, new)
    assert found == {
        (DAY, "t", 7): Difference(only_old=1),
        (DAY, "t", 8): Difference(only_old=1, only_new=1),
        (NEXT, "t", 7): Difference(only_new=1),
    }
    assert not any(one.is_none for one in found.values())


def test_nothing_known_is_not_zero() -> None:
    (found,) = compare("t", COLUMNS, [row(0, None)], [row(0, 0)]).values()
    assert found.by_column == {"price": 1}


def test_only_what_is_older_or_absent_is_outdated() -> None:
    old = [row(0, version=1), row(1, version=2), row(2, version=3)]
    new = [row(seq, version=2) for seq in (3, 2, 1, 0)]
    assert outdated(COLUMNS, old, new) == [row(0, version=2), row(3, version=2)]


def test_differences_add_up() -> None:
    total = Difference(equal=1, by_column=Counter(price=1))
    total.add(Difference(2, 3, 4, 5, Counter(price=2, size=1)))
    assert total == Difference(3, 3, 4, 5, Counter(price=3, size=1))
