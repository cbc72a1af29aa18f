"""What a benchmark prints: one table for people, then one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`most` or `least`: the target, where there is one."""

    key: str
    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def is_met(self) -> bool | None:
        value = round(self.value, 4)  # 0.01 / 1 * 100 is a little more than 1
        if self.most is not None:
            return value <= self.most
        return value >= self.least if self.least is not None else None

    @property
    def target(self) -> str:
        if self.most is not None:
            return f"at most {self.most:g}"
        return f"at least {self.least:g}" if self.least is not None else ""


def arguments(doc: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description=(doc or "").split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )


def tell(name: str, figures: Sequence[Figure], **how: object) -> None:
    """`how`: what the run was made with, so that its line can be understood later."""
    lines = [
        (f.what, f"{_short(f.value)} {f.unit}".strip(), f.target, {True: "met", False: "MISSED", None: ""}[f.is_met])
        for f in figures
    ]
    widths = [max(len(line[n]) for line in lines) for n in range(3)]
    print(f"\n{name}")
    for what, value, target, met in lines:
        print(f"  {what:<{widths[0]}}  {value:>{widths[1]}}  {target:<{widths[2]}}  {met}".rstrip())
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 2)}
    said = {
        "benchmark": name,
        "figures": {f.key: round(f.value, 4) for f in figures},
        "targets": {f.key: f.target for f in figures if f.target},
        "missed": [f.key for f in figures if f.is_met is False],
        "how": how,
        "machine": machine,
    }
    print(json.dumps(said), flush=True)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
