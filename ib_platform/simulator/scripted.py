"""Scripted books: what a ladder shows, written down state by state, instead of a synthetic market.

A script is a YAML file. Times are simulated seconds since the simulator began; prices are in price
units, on the contract's tick; sizes are contracts:

    repeat_every: 30            # optional: begin again after so many seconds
    states:
      - at: 0                   # before any price is known: the ladder is laid around zero
      - at: 2
        bids: {58.27: 5, 58.26: 12}
        asks: {58.29: 4}
      - at: 2.5
        last: {price: 58.29, size: 3}
        asks: {58.29: 1, 58.30: 7}

``bids`` and ``asks`` replace that whole side; what is left out stays as it was; an empty mapping
empties the side. ``last`` is a trade. Crossed and locked books are allowed, as far as a ladder can
show them: no price holds a bid and an ask at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ib_platform.config_errors import Lines, load_yaml_with_lines
from ib_platform.errors import ConfigurationError
from ib_platform.simulator.catalogue import PRODUCTS, Product, SimulatedContract
from ib_platform.simulator.market import Market


def _as_written(value: Any) -> Any:
    """58.27 of the file as exactly that, not as the nearest binary fraction."""
    return str(value) if isinstance(value, float | int) else value


Price = Annotated[Decimal, BeforeValidator(_as_written)]
Size = Annotated[int, Field(gt=0)]


class _Trade(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    price: Price
    size: Size


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    at: float = Field(ge=0)
    bids: dict[Price, Size] | None = None
    asks: dict[Price, Size] | None = None
    last: _Trade | None = None


class _Script(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    repeat_every: float | None = Field(default=None, gt=0)
    states: tuple[_State, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class BookState:
    """A book from ``at`` on, in whole ticks. ``trade``: (tick, size) of a trade at that instant."""

    at: float
    sizes: Mapping[int, int]
    trade: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class BookScript:
    """States in order of time. ``repeat_every``: seconds after which they begin again."""

    states: tuple[BookState, ...]
    repeat_every: float | None = None


class ScriptedMarket(Market):
    """Plays a script from ``start`` on. Empty before the first state."""

    def __init__(self, contract: SimulatedContract, script: BookScript, *, start: float) -> None:
        super().__init__(contract)
        self._script = script
        self._round_began = start
        self._next = 0

    def advance(self, now: float) -> None:
        self._skip_whole_rounds(now)
        while (due := self._due()) is not None and due <= now:
            state = self._script.states[self._next]
            self._next += 1
            self.version += 1
            self._sizes = dict(state.sizes)
            if state.trade is not None:
                self._traded(*state.trade)

    def _due(self) -> float | None:
        """Instant of the next state; None when there is none any more."""
        if self._next == len(self._script.states):
            if self._script.repeat_every is None:
                return None
            self._round_began += self._script.repeat_every
            self._next = 0
        return self._round_began + self._script.states[self._next].at

    def _skip_whole_rounds(self, now: float) -> None:
        """Rounds that nobody looked at are not played."""
        every = self._script.repeat_every
        if every is not None and now - self._round_began >= 2 * every:
            self._round_began += ((now - self._round_began) // every - 1) * every
            self._next = 0


def load_scripts(paths: Mapping[str, Path]) -> dict[str, BookScript]:
    """The scripts of several symbols, for ``World(scripted=...)``: every month of a symbol plays
    its script. Raises ConfigurationError like ``load_script``, and for an unknown symbol."""
    products = {product.symbol: product for product in PRODUCTS}
    for symbol, path in paths.items():
        if symbol not in products:
            known = ", ".join(products)
            raise ConfigurationError(f"{path}: no product {symbol!r} to script; known: {known}")
    return {symbol: load_script(path, products[symbol]) for symbol, path in paths.items()}


def load_script(path: Path, product: Product) -> BookScript:
    """The script of ``path`` for a contract of ``product``.

    Raises:
        ConfigurationError: file, line and reason: not readable, not YAML, an unknown key, a price
            off the product's tick, times that do not rise, a price with a bid and an ask.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the scripted book cannot be read: {error}") from error
    data, lines = load_yaml_with_lines(text, path)
    try:
        script = _Script.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(_described(error, path, lines)) from error
    states: list[BookState] = []
    for index, state in enumerate(script.states):
        before = states[-1] if states else BookState(-1.0, {})
        try:
            states.append(_state(state, before, product))
        except (ValueError, InvalidOperation) as error:
            line = lines.get(("states", index), 1)
            raise ConfigurationError(f"{path}, line {line}: states.{index}: {error}") from error
    every = script.repeat_every
    if every is not None and every <= states[-1].at:
        raise ConfigurationError(
            f"{path}, line {lines.get(('repeat_every',), 1)}: repeat_every: {every:g} s is over "
            f"before the last state at {states[-1].at:g} s"
        )
    return BookScript(tuple(states), every)


def _state(state: _State, before: BookState, product: Product) -> BookState:
    """Raises ValueError with the reason."""
    if state.at <= before.at:
        raise ValueError(f"at {state.at:g} s does not come after {before.at:g} s")
    bids = {tick: size for tick, size in before.sizes.items() if size > 0}
    asks = {tick: size for tick, size in before.sizes.items() if size < 0}
    if state.bids is not None:
        bids = {_tick(price, product): size for price, size in state.bids.items()}
    if state.asks is not None:
        asks = {_tick(price, product): -size for price, size in state.asks.items()}
    if both := bids.keys() & asks.keys():
        price = min(both) * product.tick
        raise ValueError(f"price {price} has a bid and an ask: a ladder shows one of them")
    last = state.last
    trade = None if last is None else (_tick(last.price, product), last.size)
    return BookState(state.at, bids | asks, trade)


def _tick(price: Decimal, product: Product) -> int:
    if not price.is_finite() or price % product.tick:
        raise ValueError(f"price {price} is no multiple of {product.symbol}'s tick {product.tick}")
    return int(price / product.tick)


def _described(error: ValidationError, path: Path, lines: Lines) -> str:
    """One line for each problem, with the line of the innermost key that stands in the file."""
    problems = []
    for item in error.errors(include_url=False):
        location = tuple(part if isinstance(part, int) else str(part) for part in item["loc"])
        known = (lines[location[:n]] for n in range(len(location), -1, -1) if location[:n] in lines)
        key = ".".join(map(str, location)) or "(whole file)"
        problems.append(f"{path}, line {next(known, 1)}: {key}: {item['msg']}")
    return "\n".join(problems)
