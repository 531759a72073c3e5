"""What the tests of the spool commands share: a configuration, a spool below it, the command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import PlatformConfig, dump_config
from ib_platform.paths import PodPaths
from ib_platform_tests.streamer.spools import PAPER_USER
from ib_platform_tests.support import make_config


@dataclass
class Bench:
    """A configuration on disk. ``folder``: the spool of ``PAPER_USER``, not there yet."""

    config: PlatformConfig
    file: Path

    @classmethod
    def create(cls, base: Path, **overrides: Any) -> Bench:
        config = make_config(base / "state", **overrides)
        file = base / "ib_platform.yaml"
        file.write_text(dump_config(config), encoding="utf-8")
        return cls(config, file)

    @property
    def folder(self) -> Path:
        return PodPaths(self.config.runtime.state_dir, PAPER_USER).spool

    def run(self, *arguments: str) -> Result:
        """``ib-platform ARGUMENTS --config ...``, in this process."""
        result = CliRunner().invoke(main, [*arguments, "--config", str(self.file)])
        if result.exception is not None:
            assert isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *arguments: str) -> Any:
        return msgspec.json.decode(self.run(*arguments).stdout)

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """The JSON lines that a command prints."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.stderr
        return [msgspec.json.decode(line) for line in result.stdout.splitlines()]

    def process(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command as a process of its own."""
        command = [sys.executable, "-m", "ib_platform.cli", *arguments, "--config", str(self.file)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
