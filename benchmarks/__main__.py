"""`make bench`: run the named benchmarks, or all but the long ones.

python -m benchmarks                  # one after the other
python -m benchmarks rebuild storage
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import date

import psutil

from benchmarks import (
    backlog,
    calibration,
    contract_year,
    decode_spool,
    demo_figures,
    latency,
    memory,
    metrics,
    rebuild,
    simulator,
    soak,
    socket_rates,
    storage,
    verify,
)

BENCHMARKS = {
    "decode_spool": decode_spool.run,
    "rebuild": rebuild.run,
    "contract_year": contract_year.run,
    "storage": storage.run,
    "demo": demo_figures.run,
    "calibration": calibration.run,
    "metrics": metrics.run,
    "simulator": simulator.run,
    "verify": verify.run,
    "socket": socket_rates.run,
    "latency": latency.run,
    "backlog": backlog.run,
    "memory": memory.run,
    "soak": soak.run,
}
LONG = ("contract_year", "memory", "soak")
"""They take minutes: only when named."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or [name for name in BENCHMARKS if name not in LONG]
    load = os.getloadavg()[0]
    print(
        f"{date.today()}  Python {platform.python_version()}  {psutil.cpu_count()} cores  "
        f"load {load:.1f}"
    )
    for name in names:
        print(f"\n== {name}: {(BENCHMARKS[name].__doc__ or '').strip().splitlines()[0]}")
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
