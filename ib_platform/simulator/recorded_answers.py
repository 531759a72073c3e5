"""Recorded answers of the data endpoints, served instead of the simulator's own when asked to.

``gateway.simulator.replay_rest`` switches it on, for the user who is shown the replay. Session
endpoints stay the simulator's: a recorded session is over.
"""

from __future__ import annotations

from aiohttp import web

from ib_platform.simulator.faces import Face
from ib_platform.simulator.guard import Handler, without_prefix


class RecordedAnswers:
    """Stands behind the guard, so that login and pacing are checked as ever."""

    def __init__(self, face: Face) -> None:
        self._face = face

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        replay = self._face.world.replay
        username = self._face.username_of(request)
        if replay is None or replay.answers is None or username is None:
            return await handler(request)
        if not self._face.world.plays_replay(username):
            return await handler(request)
        path, query = without_prefix(request.path), request.query_string
        recorded = replay.answers.take(request.method, path, query)
        if recorded is None or recorded.status is None:
            return await handler(request)
        kind = recorded.headers.get("Content-Type", "application/json;charset=utf-8")
        return web.Response(
            body=recorded.body.encode(), status=recorded.status, headers={"Content-Type": kind}
        )
