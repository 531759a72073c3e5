"""What was decided about the roll of products whose rule is ``volume``, kept beside the spool.

A decision holds for its trade date: the conid of a contract changes at the border of the trade date
only. It is never taken back: ``front`` rolls forward, in this run and in the ones after it.
"""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import msgspec

from ib_platform.paths import PodPaths
from ib_platform.streamer.durable_json import replace_json

logger = logging.getLogger(__name__)


class Decision(msgspec.Struct, frozen=True):
    """``front_from`` of a product (see ``marketdata.roll``), taken on ``trade_date``."""

    trade_date: date
    front_from: date


def rolls_path(paths: PodPaths) -> Path:
    """The decisions of one paper user's streamers."""
    return paths.spool.with_name(f"{paths.paper_user}.rolls.json")


class RollMemory:
    """Decisions by product. Another paper user that takes a contract over decides anew.

    ``file`` None keeps them in this process only.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._decisions = _load(file) if file is not None else {}

    def of(self, product: str) -> Decision | None:
        return self._decisions.get(product)

    def decide(self, product: str, decision: Decision) -> None:
        """Remember it. A disk that refuses costs the memory of the next run, which is said."""
        self._decisions[product] = decision
        if self._file is None:
            return
        try:
            replace_json(self._file, self._decisions)
        except OSError as error:
            logger.warning("%s: the roll of %s could not be kept: %s", self._file, product, error)


def _load(file: Path) -> dict[str, Decision]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Decision])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("%s: the rolls of earlier runs cannot be used: %s", file, error)
        return {}
