"""CPU seconds and memory of process trees: `procstat.py PID [PID...]` prints JSON. Linux: it reads /proc.

CPU counts user and system time of each process and of those of its children that have ended and were waited for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    """The fields after the program's name, which may hold spaces: [0] is the state, [1] the parent."""
    return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()


def tree(roots: Iterable[int]) -> set[int]:
    """These processes and all that descend from them, as of now."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found and (PROC / str(pid)).exists():
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def _kilobytes(pid: int, file: str, name: str) -> int:
    try:
        lines = (PROC / str(pid) / file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def measure(roots: Iterable[int]) -> dict[str, float]:
    cpu, rss, pss, count = 0, 0, 0, 0
    for pid in tree(roots):
        try:
            cpu += sum(int(ticks) for ticks in _stat(pid)[11:15])
        except OSError:
            continue
        rss += _kilobytes(pid, "status", "VmRSS:")
        pss += _kilobytes(pid, "smaps_rollup", "Pss:")
        count += 1
    return {
        "cpu_s": cpu / os.sysconf("SC_CLK_TCK"),
        "rss_mib": round(rss / 1024, 1),
        "pss_mib": round(pss / 1024, 1),
        "procs": count,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(pid) for pid in sys.argv[1:])))
