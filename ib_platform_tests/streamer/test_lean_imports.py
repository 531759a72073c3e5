"""pandas stays out of a streamer, and pyarrow works without it from several threads at once."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys, threading
from ib_platform.streamer.lean_imports import keep_pandas_out
keep_pandas_out()
keep_pandas_out()
errors = []

def build():
    try:
        import pyarrow
        pyarrow.array([1, 2, None])
        pyarrow.array(["a"])
    except Exception as error:
        errors.append(error)

threads = [threading.Thread(target=build) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, errors
assert "pandas" not in sys.modules
try:
    import pandas
except ModuleNotFoundError as error:
    print("refused:", error)
"""


def test_arrow_works_while_pandas_is_refused() -> None:
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "refused: pandas is kept out" in done.stdout


_BEFORE_THREADS = """
import sys
from ib_platform.streamer.lean_imports import import_for_threads, keep_pandas_out
keep_pandas_out()
assert "pyarrow" not in sys.modules
import_for_threads()
print(sorted({"clickhouse_connect", "numpy", "pandas", "pyarrow"} & set(sys.modules)))
"""


def test_what_threads_need_is_there_before_them() -> None:
    """Threads that import at a time hold the interpreter while the first frames come."""
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE_THREADS], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "['clickhouse_connect', 'numpy', 'pyarrow']\n", done.stderr
