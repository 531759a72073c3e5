"""The data endpoints of a face, of all subjects (Web API page, section 2.2)."""

from __future__ import annotations

from ib_platform.simulator.asking import answering
from ib_platform.simulator.faces import Face
from ib_platform.simulator.guard import Handler
from ib_platform.simulator.rest_accounts import AccountEndpoints
from ib_platform.simulator.rest_contracts import ContractEndpoints
from ib_platform.simulator.rest_market_data import MarketDataEndpoints


class DataEndpoints:
    """Handlers of one face; the guard has checked login and brokerage session."""

    def __init__(self, face: Face) -> None:
        self._subjects = (
            AccountEndpoints(face),
            ContractEndpoints(face),
            MarketDataEndpoints(face),
        )

    def routes(self) -> dict[tuple[str, str], Handler]:
        """Handlers by method and path without prefix. What they refuse, they answer."""
        return {
            key: answering(handler)
            for subject in self._subjects
            for key, handler in subject.routes().items()
        }
