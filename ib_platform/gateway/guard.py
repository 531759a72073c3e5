"""Runs a program that must not outlive its parent, whatever kills the parent.

``python -m ib_platform.gateway.guard PARENT_PID PROGRAM ARGUMENT...`` asks the Linux kernel to kill
this process when its parent ends, then becomes the program (same process id; the wish survives
``exec``). This is a program of its own, because code between fork and exec of a threaded parent
is not safe. On systems without ``prctl`` the program just runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_NO_PARENT = 3


def guarded(argv: Sequence[str], parent_pid: int) -> list[str]:
    """The command line that runs ``argv`` as a guarded child of ``parent_pid``."""
    return [sys.executable, "-m", __name__, str(parent_pid), *argv]


def main() -> None:
    """Entry point; see the module's docstring. Does not return."""
    parent_pid, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have died before the wish was heard.
    if os.getppid() != parent_pid:
        sys.exit(_NO_PARENT)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main()
