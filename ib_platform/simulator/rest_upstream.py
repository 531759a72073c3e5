"""Calls that only a gateway program makes to IBKR, as it was seen to make them (face B).

After a login it validates (``sso/validate?gw=1``), asks ``one/user``, and then tries ``ssodh/init``
(without ``/iserver``): a Diffie-Hellman exchange whose answer only IBKR can give. Here that is
refused; the program logs ``ssodh failed, retry with /iserver/reauthenticate`` and does so, which
starts the brokerage session.
"""

from __future__ import annotations

from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.faces import Face
from ib_platform.simulator.guard import LOGIN, PREFIXES, reply

_ALREADY_SET = {"message": "sso dh already set"}


def upstream_routes(face: Face) -> list[web.RouteDef]:
    """Routes of face B beside those that both faces have. The guard has checked the login."""

    async def ssodh_init(request: web.Request) -> web.Response:
        login = request[LOGIN]
        if login.status(face.world.clock.now()).authenticated:
            return reply(_ALREADY_SET)
        return reply(shapes.INIT_REFUSED, 500)

    return [
        web.route(method, f"{prefix}/ssodh/init", ssodh_init)
        for prefix in PREFIXES
        for method in ("GET", "POST")
    ]
