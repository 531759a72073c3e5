"""Whatever is seen in whatever order: what the planner of the requests never does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.ladder_watch import ANSWER_DUE, QUOTE_RENEWAL, LadderSight
from ib_platform.streamer.requests import Request
from ib_platform.streamer.subscriptions import Subscriptions

KEYS = ("CL.NYMEX.front", "ES.CME.front", "NQ.CME.front")
LOOK = 0.25
SILENT_AFTER = 10.0
RENEWAL = 60.0


class Look:
    """One look of the tracker at one ladder, made from what a machine drew."""

    def __init__(self) -> None:
        self.answered_at: float | None = None
        self.last_frame: float | None = None
        self.open_since: float | None = 0.0

    def sight(self, now: float, heard_from: float, entitled: bool | None) -> LadderSight:
        heard = max(self.last_frame or heard_from, heard_from)
        is_open = self.open_since is not None
        silent = is_open and now - max(heard, self.open_since or 0.0) >= SILENT_AFTER
        cause = Cause.NO_ENTITLEMENT if entitled is False else Cause.SILENT_LADDER
        return LadderSight(
            market_open=is_open,
            live=is_open and not silent and self.answered_at is not None,
            answered_at=self.answered_at,
            last_frame=self.last_frame,
            silence=cause if silent else None,
            entitled=entitled,
        )


STEPS = st.lists(
    st.tuples(
        st.integers(1, 90),  # looks that it lasts
        st.sampled_from(["full", "delta", "nothing"]),
        st.sampled_from(["full", "delta", "nothing"]),
        st.sampled_from(["full", "delta", "nothing"]),
        st.booleans(),  # the market is open
        st.sampled_from([True, False, None]),  # entitled
    ),
    min_size=1,
    max_size=12,
)


class Machine:
    """Plans through the steps and checks each plan."""

    def __init__(self, chance: float) -> None:
        self.subscriptions = Subscriptions("DU1", chance=lambda: chance, ladder_renewal=RENEWAL)
        self.subscriptions.desire({key: number for number, key in enumerate(KEYS)})
        self.looks = {key: Look() for key in KEYS}
        self.now = 0.0
        self.asked_at: dict[str, float] = {}
        self.silent_since: dict[str, float] = {}
        self.opened_at: float | None = 0.0
        self.quotes_at: dict[str, float] = {}

    def step(self, kinds: dict[str, str], is_open: bool, entitled: bool | None) -> None:
        self.now += LOOK
        if is_open != (self.opened_at is not None):
            self.opened_at = self.now if is_open else None
        for key, look in self.looks.items():
            look.open_since = self.opened_at
            # A ladder that nobody asked for sends nothing, and a full frame follows its request.
            if key in self.asked_at and kinds[key] != "nothing":
                look.last_frame = self.now
                if kinds[key] == "full":
                    look.answered_at = self.now
        sights = {k: look.sight(self.now, 0.0, entitled) for k, look in self.looks.items()}
        self._check(self.subscriptions.plan(self.now, sights), sights)

    def _check(self, requests: list[Request], sights: dict[str, LadderSight]) -> None:
        renewals = [r for r in requests if r.detail.get("why") == "renewal"]
        assert len(renewals) <= 1, "never more than one renewal at once"
        ladders = [r for r in requests if r.requests_ladder]
        assert len({r.contract for r in ladders}) == len(ladders), "none twice in one plan"
        if any(r.kind is StreamEventKind.UNSUBSCRIBED for r in requests):
            # A ladder is asked for alone: the account-wide end has ended all.
            self.asked_at.clear()
        for request in ladders:
            assert request.contract is not None
            self._check_request(request, request.contract, sights[request.contract])
        self._check_silence(sights)
        for request in requests:
            if request.detail.get("topic") == "smd":
                self.quotes_at[request.detail["contract"]] = self.now
        for key, at in self.quotes_at.items():
            # Three quotes may be due at once, one a look.
            assert self.now - at <= 1.1 * QUOTE_RENEWAL + 3 * LOOK, f"the quote of {key} ended"

    def _check_request(self, request: Request, key: str, sight: LadderSight) -> None:
        why = request.detail["why"]
        before = self.asked_at.get(key)
        if before is None:
            assert why == "new"
        else:
            assert why in ("silent", "no_answer", "renewal")
            assert sight.market_open, "none outside market hours after the first request"
            if why == "no_answer":
                assert self.now - before >= ANSWER_DUE, "not within its patience"
                assert sight.answered_at is None or sight.answered_at < before
            if why == "silent":
                assert sight.silence is not None
            if why == "renewal":
                assert sight.live
        self.asked_at[key] = self.now

    def _check_silence(self, sights: dict[str, LadderSight]) -> None:
        """A ladder that answered and then fell silent is asked for within twice the threshold."""
        for key, sight in sights.items():
            asked = self.asked_at.get(key)
            if sight.silence is None or sight.answered_at is None or asked is None:
                continue
            heard = max(sight.last_frame or 0.0, self.opened_at or 0.0)
            if self.now - heard >= 2 * SILENT_AFTER and sight.entitled is not False:
                assert asked >= heard, f"{key} is silent since {heard}, asked at {asked}"


@settings(deadline=None, max_examples=100)
@given(steps=STEPS, chance=st.floats(0, 1, exclude_max=True))
def test_whatever_is_seen(
    steps: list[tuple[int, str, str, str, bool, bool | None]], chance: float
) -> None:
    machine = Machine(chance)
    for lasts, first, second, third, is_open, entitled in steps:
        for _ in range(lasts):
            kinds = dict(zip(KEYS, (first, second, third), strict=True))
            machine.step(kinds, is_open, entitled)
