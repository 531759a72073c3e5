"""Ladder frames of a synthetic market, made beforehand, so that whoever sends them need not think.

A cycle begins with the full frame that a request is answered with, and may be sent again and again:
each time round the window is laid anew.
"""

from __future__ import annotations

from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.ladder_rows import encode_ladder
from ib_platform.simulator.ladder_view import LadderParameters, LadderView
from ib_platform.simulator.synthetic import SyntheticMarket

CADENCE = 0.3
_BINARY = 0x82
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 126, 126, 127


def ladder_cycle(contract: SimulatedContract, account: str, frames: int, seed: int) -> list[bytes]:
    """So many frames of one contract in order, as a ladder at IBKR's cadence shows them."""
    market = SyntheticMarket(contract, seed=seed, start=0.0)
    parameters = LadderParameters(around_zero_share=0.0)
    view = LadderView(market, seed=seed, parameters=parameters)
    view.request(0.0)
    made: list[bytes] = []
    point = 0
    while len(made) < frames:
        point += 1
        if (rows := view.poll(point * CADENCE)) is not None:
            made.append(encode_ladder(account, contract.conid, rows))
    return made


def websocket_frame(payload: bytes) -> bytes:
    """A whole binary message as a server writes it: final, unmasked."""
    size = len(payload)
    if size < _SHORT:
        return bytes((_BINARY, size)) + payload
    if size < 1 << 16:
        return bytes((_BINARY, _TWO_BYTES)) + size.to_bytes(2, "big") + payload
    return bytes((_BINARY, _EIGHT_BYTES)) + size.to_bytes(8, "big") + payload
