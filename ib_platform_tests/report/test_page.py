"""The page of a trade date: what it says, that it says no more, and how it looks in a browser."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import PlatformConfig, dump_config
from ib_platform.report.day import DatePage
from ib_platform.report.page import SHOWN, render
from ib_platform.report.read import dates_with_a_report, read_date
from ib_platform_tests.report.example import CL, DAY, ES, NQ, take_picture


@pytest.fixture(scope="module")
def day(client: Any) -> DatePage:
    return read_date(client, DAY)


@pytest.fixture(scope="module")
def page(day: DatePage) -> str:
    return render(day)


class _Texts(HTMLParser):
    """Text of the page, and the attributes by which it could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(page: str) -> tuple[str, _Texts]:
    parser = _Texts()
    parser.feed(page)
    return " ".join(" ".join(parser.texts).split()), parser


def test_what_was_read(day: DatePage) -> None:
    assert [contract.name for contract in day.contracts] == [CL, ES, NQ]
    cl, es, nq = day.contracts
    assert [c.report["verdict"] for c in day.contracts] == ["degraded", "degraded", "missing"]
    assert [gap.what for gap in cl.gaps] == ["session_lost", "unknown"]
    assert cl.gaps[0].seconds == pytest.approx(40 * 60 + 12, abs=0.1)
    assert {suspect.what for suspect in cl.suspects} == {"crossed_book"}
    assert not es.suspects
    assert (cl.source, nq.source) == ("simulated", "simulated")
    assert [len(c.checks) for c in day.contracts] == [33, 33, 33]
    assert (nq.verified, nq.clean, nq.arrivals, len(nq.minutes)) == (None, None, None, 0)
    assert cl.verified is not None
    assert es.clean == 1 > (cl.clean or 0) > 0.8
    assert es.arrivals is not None
    assert es.arrivals.frames == es.report["ladder_frames"] - 1
    assert 11 < es.arrivals.median < 13 < es.arrivals.p99 <= es.arrivals.longest < 20
    assert len(es.minutes) == 181
    assert all(minute.spread for minute in es.minutes)


def test_it_says_what_the_tables_say(page: str, day: DatePage) -> None:
    text, _ = parsed(page)
    assert "Quality of trade date 2026-11-18" in text
    assert "Tue 17 Nov 16:30:00 to Wed 18 Nov 16:30:00, Chicago" in text
    assert "Tue 17 Nov 22:30 to Wed 18 Nov 22:30, UTC" in text
    assert "A simulated market." in text
    assert "Preliminary" not in text
    for contract in day.contracts:
        assert f"{contract.name} {contract.report['verdict']}" in text
        assert all(reason in text for reason in contract.report["reasons"])
        assert all(check["explanation"] in text for check in contract.checks)
    assert "session_lost Tue 17 Nov 17:59:48 Chicago, 23:59:48 UTC" in text
    assert "40 min 12 s" in text
    suspects = len(day.contracts[0].suspects)
    assert f"The longest {SHOWN} of {suspects}; all are in the table suspect_windows." in text


def test_what_is_not_known_is_not_zero(page: str) -> None:
    row = re.search(rf"{NQ}</a>.*?</tr>", page, re.DOTALL)
    assert row is not None
    cells = re.findall(r'<td class="number">(.*?)</td>', row[0])
    assert cells == ["0 %", "unknown", "unknown", "23 h 0 min", "0"]


def test_it_loads_nothing_and_runs_nothing(page: str) -> None:
    _, parser = parsed(page)
    assert not {"script", "link", "iframe", "object"} & {*parser.tags}
    assert all(target.startswith(("data:image/svg+xml;base64,", "#")) for target in parser.targets)
    assert "@import" not in page
    assert "url(" not in page
    for target in parser.targets:
        if target.startswith("data:"):
            svg = b64decode(target.partition(",")[2]).decode()
            assert "<script" not in svg
            loaded = re.findall(r'(?:href|src)="([^#"][^"]*)"', svg)
            assert not loaded


def test_the_same_date_gives_the_same_page(client: Any, page: str) -> None:
    assert render(read_date(client, DAY)) == page


def test_a_date_without_rows(client: Any) -> None:
    page = render(read_date(client, DAY - timedelta(days=1)))
    assert "Nothing was assigned or recorded on this trade date." in page
    assert dates_with_a_report(client) == [DAY]


def test_a_browser_asks_nobody_for_anything(page: str, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    assert take_picture(file, tmp_path / "page.png") == []
    assert (tmp_path / "page.png").stat().st_size > 50_000


def report(config: PlatformConfig, folder: Path, *arguments: str) -> Result:
    file = folder / "ib_platform.yaml"
    file.write_text(dump_config(config))
    return CliRunner().invoke(main, ["report", "--config", str(file), *arguments])


def test_the_command_writes_the_newest_date(
    config: PlatformConfig, tmp_path: Path, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = report(config, tmp_path)
    assert result.exit_code == 0, result.output
    written = tmp_path / "quality_2026-11-18.html"
    assert written.read_text(encoding="utf-8") == page
    assert str(written) in result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ib_platform.yaml", written.name]


def test_bad_input_is_answered_with_what_exists(config: PlatformConfig, tmp_path: Path) -> None:
    other = report(config, tmp_path, "--date", "2026-11-19")
    assert (other.exit_code, "no report of 2026-11-19" in other.output) == (2, True)
    assert "2026-11-18" in other.output
    nonsense = report(config, tmp_path, "--date", "yesterday")
    assert (nonsense.exit_code, "'yesterday' does not match" in nonsense.output) == (2, True)
    nowhere = report(config, tmp_path, "--output", str(tmp_path / "nowhere" / "page.html"))
    assert (nowhere.exit_code, "the page cannot be written" in nowhere.output) == (2, True)
    assert "Traceback" not in other.output + nonsense.output + nowhere.output
