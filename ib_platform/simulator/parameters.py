"""Named parameters of the simulation: a decorator and the ranges that they share.

Every group of parameters is a frozen dataclass that pydantic validates: a scenario file may set
each of them by name, and an unknown name or a value out of range is refused with its line.
"""

from __future__ import annotations

from typing import Annotated, TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as _pydantic_dataclass

Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Days = Annotated[int, Field(ge=0, le=3_650)]


def _ascending(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"[{span[0]:g}, {span[1]:g}] is no span: the smaller one comes first")
    return span


Span = Annotated[tuple[Seconds, Seconds], AfterValidator(_ascending)]
"""Shortest and longest; drawn evenly in between."""
Ticks = Annotated[int, Field(ge=1, le=100_000)]
TickSpan = Annotated[tuple[Ticks, Ticks], AfterValidator(_ascending)]
"""Nearest and farthest, in whole ticks."""

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def parameters(cls: type[T]) -> type[T]:
    """A frozen, validated dataclass that refuses unknown names."""
    decorate = _pydantic_dataclass(
        frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False)
    )
    return cast("type[T]", decorate(cls))
