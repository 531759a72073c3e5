"""A build that kills its own process (SIGKILL) right before or after a statement, as no handler can
catch: ``python -m ib_platform_tests.rebuild.killed CONFIG DATE before|after STATEMENT``.

The statement is named by how it begins.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from ib_platform.config import load_config
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect


def main(file: str, day: str, moment: str, statement: str) -> None:
    config = load_config(Path(file))
    with closing(connect(config.clickhouse)) as client:
        send = client.command

        def command(cmd: str, *arguments: Any, **named: Any) -> Any:
            fatal = cmd.startswith(statement)
            if fatal and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = send(cmd, *arguments, **named)
            if fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        client.command = command  # type: ignore[method-assign]
        finalize(client, config, date.fromisoformat(day))


if __name__ == "__main__":
    main(*sys.argv[1:])
