"""What becomes of the documents of others' receive corpora.

    python -m benchmarks.receive            writes docs/receive.md anew
    python -m benchmarks.receive FOLDER     prints the same table for a folder of JSON documents
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.corpora import Sent, folder_of_documents, parsing_test_cases, pasture_inputs
from tests.receiving import Outcome, Trial, a_trial, written

TABLE = Path(__file__).parents[1] / "docs" / "receive.md"


def packages(trial: Trial) -> Iterator[Sent]:
    yield from pasture_inputs(trial.far.url, trial.reader)
    yield from parsing_test_cases(trial.sender.document(), trial.reader)


async def judged(folder: Path | None = None) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as place:
        async with a_trial(Path(place) / "data") as trial:
            if folder is not None:
                return await trial.judge(folder_of_documents(folder, trial.far.url, trial.reader, trial.work))
            return await trial.judge(packages(trial))


def page(outcomes: list[Outcome]) -> str:
    return written(outcomes)


def main() -> None:
    if len(sys.argv) > 1:
        print(page(asyncio.run(judged(Path(sys.argv[1])))))
        return
    TABLE.write_text(page(asyncio.run(judged())))


if __name__ == "__main__":
    main()
