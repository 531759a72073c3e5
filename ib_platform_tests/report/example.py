"""A trade date with everything that the page shows, and its picture for the docs.

``python -m ib_platform_tests.report.example docs/images/quality_page.png`` makes that picture.
"""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import FloatRect, sync_playwright

from ib_platform.config import PlatformConfig
from ib_platform.report.write import write_page
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, TICK, Recorder, assign, rows_of
from ib_platform_tests.warehouse.server import EmbeddedServer

DAY = date(2026, 11, 18)
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
BEGIN = to_ns(datetime(2026, 11, 17, 23, tzinfo=UTC))
HOUR = 3600 * SECOND
EVERY = 12 * SECOND
CL, ES, NQ = "CL.NYMEX.front", "ES.CME.front", "NQ.CME.front"
CLOSE = BEGIN + 23 * HOUR


def record(client: Any, config: PlatformConfig, hours: int = 23) -> None:
    """Three contracts by CME's hours: one that lost its session for 40 minutes and was crossed for
    a while, one in order, one of which nothing came."""
    contracts = [(CL, "alpha", 1), (ES, "beta", 2), (NQ, "beta", 3)]
    assign(client, contracts, BEGIN - HOUR, calendar="cme_globex")
    for user, conid, price, seed in (("alpha", 1, 60, 1), ("beta", 2, 6000, 2)):
        recorder = Recorder(f"{user}-run", user)
        recorder.event(BEGIN - SECOND, StreamEventKind.RUN_STARTED, source="simulated")
        _follow(recorder, conid, price * SECOND, Random(seed), hours, broken=conid == 1)
        recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)


def _follow(
    recorder: Recorder, conid: int, top: int, chance: Random, hours: int, *, broken: bool
) -> None:
    lost = BEGIN + hours * HOUR // 3
    for at in range(BEGIN, BEGIN + hours * HOUR + 1, EVERY):
        top += chance.choice((-1, 0, 0, 1)) * TICK
        if broken and lost <= at < lost + 2 * HOUR // 3:
            if at == lost:
                recorder.event(at, StreamEventKind.DISCONNECTED, "session_lost")
            continue
        sizes = {row: chance.randint(2, 20 + 3 * abs(10 - row)) for row in range(11, 21)}
        sizes |= {row: -chance.randint(2, 20 + 3 * abs(10 - row)) for row in range(10)} | {10: 0}
        if broken and lost - HOUR <= at < lost - HOUR // 2 and chance.random() < 0.5:
            sizes |= {9: 5, 11: -7}
        elif chance.random() < 0.3:
            sizes[9] = 0
        trade = (9 + 2 * chance.randrange(2), 1 + chance.randrange(9))
        late = 0 if at in (BEGIN, lost - EVERY, CLOSE) else round(chance.expovariate(2.5) * SECOND)
        recorder.ladder(
            at + late, conid, rows_of(top, sizes, trade if chance.random() < 0.4 else None)
        )


def take_picture(page_file: Path, picture: Path, height: int | None = None) -> list[str]:
    """A picture of the page, of its first ``height`` pixels where that is given; returns what the
    page asked the network for."""
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not wide, "the page is wider than its window"
        clip = FloatRect(x=0, y=0, width=1180, height=height) if height else None
        page.screenshot(path=picture, full_page=True, clip=clip)
        browser.close()
    return [url for url in asked if url != page_file.as_uri() and not url.startswith("data:")]


def main() -> None:
    picture = Path(sys.argv[1])
    with TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        migrate(server.settings)
        config = make_config(Path(folder), clickhouse=server.settings.model_dump())
        with closing(connect(server.settings)) as client:
            record(client, config)
            file = Path(folder) / "page.html"
            print(f"{write_page(client, DAY, file):,} bytes")
            if len(sys.argv) > 2:
                Path(sys.argv[2]).write_bytes(file.read_bytes())
            take_picture(file, picture, height=2060)


if __name__ == "__main__":
    main()
