"""What two decoders made of the same frames, row by row. PURE."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Row = tuple[Any, ...]
"""Columns in the order of the table: the first is the trade date, the last the decoder's version,
between them ``conid`` and ``seq``."""
Place = tuple[date, str, int]
"""Trade date, table, conid."""


@dataclass
class Difference:
    """Rows of one place. ``equal``: in all columns but the version. ``differing``: the rows that
    are not, and ``by_column`` how often each column differs in them. ``only_old``: stored, and not
    made again. ``only_new``: made now, and not stored."""

    equal: int = 0
    differing: int = 0
    only_old: int = 0
    only_new: int = 0
    by_column: Counter[str] = field(default_factory=Counter)

    def add(self, other: Difference) -> None:
        self.equal += other.equal
        self.differing += other.differing
        self.only_old += other.only_old
        self.only_new += other.only_new
        self.by_column.update(other.by_column)

    @property
    def is_none(self) -> bool:
        """Whether both made the same."""
        return not (self.differing or self.only_old or self.only_new)


def compare(
    table: str, columns: Sequence[str], old: Iterable[Row], new: Iterable[Row]
) -> dict[Place, Difference]:
    """Differences by place. All rows are of one run; ``columns`` names theirs."""
    before, after = by_key(columns, old), by_key(columns, new)
    conid = columns.index("conid")
    found: dict[Place, Difference] = defaultdict(Difference)
    for key in before.keys() | after.keys():
        was, made = before.get(key), after.get(key)
        row = made if was is None else was
        assert row is not None
        place = found[row[0], table, row[conid]]
        if was is None:
            place.only_new += 1
        elif made is None:
            place.only_old += 1
        elif other := _other_columns(columns, was, made):
            place.differing += 1
            place.by_column.update(other)
        else:
            place.equal += 1
    return dict(found)


def outdated(columns: Sequence[str], old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Those of the ``new`` rows that are not stored, or stored by an older decoder, by number."""
    version = by_key(columns, old)
    seq = columns.index("seq")
    wanted = [
        row
        for key, row in by_key(columns, new).items()
        if key not in version or version[key][-1] < row[-1]
    ]
    return sorted(wanted, key=lambda row: row[seq])


def by_key(columns: Sequence[str], rows: Iterable[Row]) -> Mapping[tuple[int, int], Row]:
    """Rows of one run by what a replacing table keeps apart: conid and number."""
    conid, seq = columns.index("conid"), columns.index("seq")
    return {(row[conid], row[seq]): row for row in rows}


def _other_columns(columns: Sequence[str], was: Row, made: Row) -> list[str]:
    compared = zip(columns[:-1], was, made, strict=False)
    return [name for name, one, other in compared if one != other]
