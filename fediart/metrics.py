"""Figures for whoever watches this server: counted here, written out in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/. What is counted is named here and nowhere else; each has a
bounded number of label sets, so that nothing that a stranger chooses makes the page, or memory, grow.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_SETS = 2_000
"""Label sets of one figure. What comes after them is counted as OTHER."""

OTHER = "other"

REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CLOAK_S = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1_280.0, 3_600.0)

Values = tuple[str, ...]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    said = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{said}}} {_number(value)}" if said else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class _Labelled(ABC):
    kind = ""

    def __init__(self, name: str, words: str, *labels: str) -> None:
        self.name, self.words, self.labels = name, words, labels
        self._lock = threading.Lock()

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {self.words}"
        yield f"# TYPE {self.name} {self.kind}"
        yield from self._samples()

    @abstractmethod
    def _samples(self) -> Iterator[str]:
        """One line for each set of labels."""

    def _bounded(self, values: Values, held: Mapping[Values, object]) -> Values:
        return values if values in held or len(held) < MOST_SETS else (OTHER,) * len(self.labels)


class Counter(_Labelled):
    """It only grows, and starts at 0 with the process. May be counted from any thread."""

    kind = "counter"

    def __init__(self, name: str, words: str, *labels: str) -> None:
        super().__init__(name, words, *labels)
        self._held: dict[Values, float] = {} if labels else {(): 0}

    def count(self, *values: str, by: float = 1) -> None:
        """`values`: one for each label, in their order."""
        with self._lock:
            held = self._bounded(values, self._held)
            self._held[held] = self._held.get(held, 0) + by

    def held(self, *values: str) -> float:
        return self._held.get(values, 0)

    def _samples(self) -> Iterator[str]:
        for values, value in list(self._held.items()):
            yield _sample(self.name, zip(self.labels, values, strict=True), value)


class Gauge(_Labelled):
    """What is so at the moment, looked up when it is asked for."""

    kind = "gauge"

    def __init__(self, name: str, words: str, *labels: str) -> None:
        super().__init__(name, words, *labels)
        self._held: dict[Values, float] = {}

    def put(self, held: Mapping[Values, float] | float) -> None:
        """All of it: what is not named any more is not said any more. Of a figure without labels, its value."""
        self._held = dict(held) if isinstance(held, Mapping) else {(): held}

    def _samples(self) -> Iterator[str]:
        for values, value in list(self._held.items())[:MOST_SETS]:
            yield _sample(self.name, zip(self.labels, values, strict=True), value)


@dataclass(slots=True)
class _Spread:
    counts: list[int]
    total: float = 0.0


class Histogram(_Labelled):
    """How often it took at most so long, in seconds."""

    kind = "histogram"

    def __init__(self, name: str, words: str, *labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, words, *labels)
        self._bounds = bounds
        self._held: dict[Values, _Spread] = {}

    def observe(self, seconds: float, *values: str) -> None:
        with self._lock:
            bounded = self._bounded(values, self._held)
            held = self._held.get(bounded)
            if held is None:
                held = self._held[bounded] = _Spread([0] * (len(self._bounds) + 1))
            held.counts[bisect_left(self._bounds, seconds)] += 1
            held.total += seconds

    def _samples(self) -> Iterator[str]:
        for values, held in list(self._held.items()):
            labels = tuple(zip(self.labels, values, strict=True))
            count = 0
            for bound, times in zip((*map(_number, self._bounds), "+Inf"), held.counts, strict=True):
                count += times
                yield _sample(f"{self.name}_bucket", (*labels, ("le", bound)), count)
            yield _sample(f"{self.name}_sum", labels, held.total)
            yield _sample(f"{self.name}_count", labels, count)


class Metrics:
    """All that is counted of one running server. docs/metrics.md says what each is good for."""

    def __init__(self) -> None:
        self.requests = Counter("fediart_requests_total", "Requests answered.", "method", "route", "status")
        self.request_seconds = Histogram(
            "fediart_request_seconds", "Until the last byte of an answer was handed over.", "route", bounds=REQUEST_S
        )
        self.refusals = Counter("fediart_refusals_total", "Requests that were refused, by the name of the reason.", "reason")
        self.inbox = Counter("fediart_inbox_total", "What other servers sent here, and what became of it.", "outcome", "reason")
        self.arrivals = Counter("fediart_arrivals_total", "Taken activities that were worked off.", "type", "outcome")
        self.arrivals_left = Counter(
            "fediart_arrivals_left_total", "Taken activities that changed nothing, by the reason.", "reason"
        )
        self.jobs_done = Counter("fediart_jobs_total", "Jobs that ended or must be tried again.", "kind", "outcome")
        self.deliveries_done = Counter("fediart_deliveries_total", "Attempts to deliver.", "outcome")
        self.remote = Counter("fediart_remote_requests_total", "Requests to other servers.", "outcome")
        self.cloak_seconds = Histogram("fediart_cloak_seconds", "A picture cloaked in all its sizes.", "strength", bounds=CLOAK_S)
        self.jobs = Gauge("fediart_jobs_waiting", "Jobs that are to be done.", "kind", "state")
        self.oldest_job = Gauge("fediart_oldest_job_seconds", "For so long the oldest job has been due.", "kind")
        self.deliveries = Gauge("fediart_deliveries_waiting", "Deliveries that wait or are in hand.", "state")
        self.oldest_delivery = Gauge("fediart_oldest_delivery_seconds", "For so long the oldest delivery has been due.")
        self.write_queue = Gauge("fediart_database_write_queue", "Changes that wait to be written.")
        self.database_bytes = Gauge("fediart_database_bytes", "Size of the database.")
        self.media_bytes = Gauge("fediart_media_bytes", "Pictures kept, by kind; remote is the cache of other servers'.", "kind")
        self.disk_free = Gauge("fediart_disk_free_bytes", "Free on the disk of the data folder.")
        self.disk_size = Gauge("fediart_disk_size_bytes", "Size of the disk of the data folder.")
        self.peers = Gauge("fediart_peers", "Other servers, by how they fare.", "state")
        self.info = Gauge("fediart_info", "Which version runs here.", "version")
        self.memory = Gauge("process_resident_memory_bytes", "Memory of the server's process.")
        self.cpu = Counter("process_cpu_seconds_total", "Processor time of the server's process.")
        self.open_files = Gauge("process_open_fds", "Open file handles.")
        self.most_files = Gauge("process_max_fds", "File handles that the system allows.")
        self.started = Gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")

    def all(self) -> tuple[Counter | Gauge | Histogram, ...]:
        return tuple(vars(self).values())

    def text(self) -> str:
        return "\n".join(line for figure in self.all() for line in figure.lines()) + "\n"
