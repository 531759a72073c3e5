"""`make shots`: pictures of a running demo's Dagster UI and of an example's page, into docs/images.

Needs Debian's chromium (`apt-get install chromium`), driven by Playwright. The demo runs until the
assets have been built once, then one streamer is killed so that the restart run can be shown.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Page, sync_playwright

from ib_platform_tests.e2e.running_demo import RunningDemo
from ib_platform_tests.report.example import make_picture

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_REPORT_MATERIALIZED = """
{ assetNodeOrError(assetKey: {path: ["quality_report"]}) {
    ... on AssetNode { assetMaterializations(limit: 1) { runId } } } }
"""
_RESTART_RUNS = """
{ runsOrError(filter: {pipelineName: "restart_pod", statuses: [SUCCESS]}, limit: 1) {
    ... on Runs { results { runId } } } }
"""


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("make shots needs Chromium: apt-get install chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    make_picture(IMAGES / "quality_page.png")
    with TemporaryDirectory() as folder, RunningDemo(Path(folder), ui=True) as demo:
        base = f"http://127.0.0.1:{demo.ui_port}"
        demo.wait(lambda: _materialized(base), "the first quality report")
        os.kill(demo.processes("alpha")["streamer"], signal.SIGKILL)
        demo.wait(lambda: _restart_run(base), "a finished run of restart_pod")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM_OPTIONS)
            page = browser.new_page(viewport={"width": 1400, "height": 800})
            lineage = "view=lineage&lineageScope=upstream&lineageDepth=5"
            _shoot(page, f"{base}/assets/quality_report?{lineage}", "asset-graph", "frames")
            _shoot(page, f"{base}/runs/{_restart_run(base)}", "restart-run", "restart_pod")
            _shoot(page, _sensor_page(base), "sensor", "pod_fleet")
            _shoot(page, f"{base}/assets/bars?view=overview", "bars", "bars")
            browser.close()


def _shoot(page: Page, url: str, name: str, text: str) -> None:
    page.goto(url, wait_until="networkidle")
    page.get_by_text(text).first.wait_for(timeout=60_000)
    # The graph is laid out in a worker after the text is there; nothing in the page says when.
    page.wait_for_timeout(4_000)
    page.mouse.move(800, 650)
    page.mouse.wheel(0, -20_000)  # a run's page opens at the end of its events
    page.wait_for_timeout(1_000)
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file)
    print(f"{file} ({file.stat().st_size // 1024} kB)")


def _sensor_page(base: str) -> str:
    return f"{base}/locations/ib_platform/sensors/pod_fleet"


def _materialized(base: str) -> bool:
    node = _graphql(base, _REPORT_MATERIALIZED)["assetNodeOrError"]
    return bool(node.get("assetMaterializations"))


def _restart_run(base: str) -> str | None:
    results = _graphql(base, _RESTART_RUNS)["runsOrError"].get("results", [])
    return results[0]["runId"] if results else None


def _graphql(base: str, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{base}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        data: dict[str, Any] = json.load(answer)["data"]
        return data


if __name__ == "__main__":
    main()
