"""Recorded sessions: reading and checking a capture before anything is served.

``docs/recording.md`` describes the file. What is played are its inbound frames; its REST exchanges
tell the facts of the contracts, and may be served again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import msgspec

from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_file import read_capture_file
from ib_platform.ibkr.capture_format import Exchange, Frame
from ib_platform.marketdata.frames import LADDER, QUOTE, classify
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.simulator.recorded_facts import RecordedContract, recorded_facts

_HINT = "Name a capture that `ib-platform record` has made as the replay."
_NANOS = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """An inbound message and the seconds that passed since the inbound message before it.
    ``is_text``: it came in a text frame, not a binary one."""

    pause: float
    payload: bytes
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Capture:
    """The inbound side of a recorded session, in order. ``contracts``: whose ladders it shows, the
    one with the most frames first. ``exchanges``: REST. ``torn``: what is missing at the end of
    the file, in words; None when it is whole."""

    messages: tuple[RecordedMessage, ...]
    contracts: tuple[RecordedContract, ...]
    exchanges: tuple[Exchange, ...] = ()
    torn: str | None = None

    @property
    def conid(self) -> int:
        """Of the contract with the most ladder frames."""
        return self.contracts[0].conid

    @property
    def symbol(self) -> str:
        """Of the contract with the most ladder frames."""
        return self.contracts[0].symbol

    def shows(self, conid: int) -> bool:
        """Whether this contract's ladder is part of the recording."""
        return any(contract.conid == conid for contract in self.contracts)


class _Symbol(msgspec.Struct):
    symbol: str | None = msgspec.field(default=None, name="55")


_decode_symbol = msgspec.json.Decoder(_Symbol).decode


def load_capture(path: Path, *, allow_torn: bool = False) -> Capture:
    """Read a whole capture into memory. ``allow_torn``: one whose recorder was killed is played as
    far as it goes.

    Raises:
        ConfigurationError: file, line and reason; nothing was started.
    """
    file = read_capture_file(path, allow_torn=allow_torn)
    frames = [line for line in file.lines if isinstance(line, Frame) and line.dir == "in"]
    exchanges = tuple(line for line in file.lines if isinstance(line, Exchange))
    contracts = _contracts(path, frames, recorded_facts(exchanges))
    return Capture(_messages(frames), contracts, exchanges, file.torn)


def _messages(frames: Iterable[Frame]) -> tuple[RecordedMessage, ...]:
    messages, previous = [], None
    for frame in frames:
        pause = 0.0 if previous is None else (frame.ns - previous) / 1e9
        messages.append(RecordedMessage(pause, frame.payload, frame.opcode == "text"))
        previous = frame.ns
    return tuple(messages)


def _contracts(
    path: Path, frames: Iterable[Frame], facts: dict[int, RecordedContract]
) -> tuple[RecordedContract, ...]:
    """Contracts with ladder frames, most first. Only the first of them must have a name: another
    one without is played, but not listed."""
    ladders: Counter[int] = Counter()
    symbols: dict[int, str] = {}
    prices: dict[int, Decimal] = {}
    for payload in (frame.payload for frame in frames):
        kind = classify(payload)
        if kind.conid is None:
            continue
        if kind.topic == LADDER:
            ladders[kind.conid] += 1
            if kind.conid not in prices and (price := _middle(payload)) is not None:
                prices[kind.conid] = price
        elif kind.topic == QUOTE and kind.conid not in symbols and (name := _symbol(payload)):
            symbols[kind.conid] = name
    if not ladders:
        raise ConfigurationError(f"{path}: no ladder frame (sbd) in the whole capture. {_HINT}")
    found = []
    for position, (conid, _) in enumerate(ladders.most_common()):
        contract = facts.get(conid)
        if contract is None and conid in symbols:
            contract = RecordedContract(conid, symbols[conid])
        if contract is not None:
            found.append(replace(contract, price=prices.get(conid)))
        elif position == 0:
            raise ConfigurationError(
                f"{path}: no quote frame (smd) names the symbol (field 55) of conid {conid}, and "
                "no recorded REST answer does, so the simulator cannot know which contract is "
                f"played. {_HINT}"
            )
    return tuple(found)


def _middle(payload: bytes) -> Decimal | None:
    """Price in the middle of a full frame; None for any other."""
    ladder = decode_ladder(payload)
    if not isinstance(ladder, LadderRows) or not ladder.is_full:
        return None
    price = Decimal(ladder.rows[len(ladder.rows) // 2].price) / _NANOS
    return price if price > 0 else None


def _symbol(payload: bytes) -> str | None:
    try:
        return _decode_symbol(payload).symbol
    except msgspec.DecodeError:
        return None
