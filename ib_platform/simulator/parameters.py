"""Named parameters of the simulation: a decorator and the ranges that they share.

Every group of parameters is a frozen dataclass that pydantic validates: a scenario file may set
each of them by name, and an unknown name or a value out of range is refused with its line.
"""

from __future__ import annotations

from typing import Annotated, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as _pydantic_dataclass

Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Span = tuple[Seconds, Seconds]
"""Shortest and longest; drawn evenly in between."""

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def parameters(cls: type[T]) -> type[T]:
    """A frozen, validated dataclass that refuses unknown names."""
    decorate = _pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
    return cast("type[T]", decorate(cls))
