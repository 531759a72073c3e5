"""Asking for traded volumes over REST, one short call at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ib_platform.ibkr.rest import GatewayCallError, GatewayClient

logger = logging.getLogger(__name__)
_ASK_EVERY = 1.0
_PATIENCE = 10.0
"""Fields arrive over several calls; what has not come by then is not known."""


class VolumeQuestion:
    """Volumes of some conids, until all have arrived or the patience is over.

    ``now`` is monotonic seconds.
    """

    def __init__(self, conids: Iterable[int], now: float) -> None:
        self._conids = tuple(dict.fromkeys(conids))
        self._began_at = self._due_at = now
        self.volumes: dict[int, int] = {}

    async def ask(self, client: GatewayClient, now: float) -> bool:
        """One call, if it is time for one; whether the question is over.

        Raises:
            GatewayCallError: 401 or 429, which concern more than this question. Another refusal
                answers nothing, and the next call tries again.
        """
        if now >= self._due_at:
            self._due_at = now + _ASK_EVERY
            try:
                self.volumes |= await client.volumes(self._conids)
            except GatewayCallError as error:
                if error.status in (401, 429):
                    raise
                logger.warning("volumes are not known yet: %s", error)
        known = all(conid in self.volumes for conid in self._conids)
        return known or now - self._began_at >= _PATIENCE
