"""What the doctor's tests share: findings by level, and configurations with one thing changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Finding, Level


def levels(findings: Iterable[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def only(findings: Iterable[Finding]) -> Finding:
    """The one finding; a finding that is not good has a remedy."""
    (finding,) = findings
    assert (finding.remedy is None) is (finding.level is Level.OK)
    return finding


def with_gateway(config: PlatformConfig, **values: Any) -> PlatformConfig:
    return PlatformConfig(**{**config.model_dump(), "gateway": values})


def with_credentials(config: PlatformConfig, **sources: dict[str, Any]) -> PlatformConfig:
    """``alpha={"password_file": ...}``; the pods run Java, so that somebody has to log in."""
    data = config.model_dump()
    for user in data["paper_users"]:
        user["credentials"] = sources.get(user["name"])
    data["gateway"] = {"program": "java", "java": {"folder": "/opt/gateway"}}
    return PlatformConfig(**data)


def script(file: Path, text: str) -> Path:
    """A real program."""
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file
