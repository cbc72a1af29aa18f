"""Others' receive corpora: every document ends in a noun, a named refusal or "ignored", as docs/receive.md says."""

from __future__ import annotations

import difflib

import pytest

from benchmarks.receive import TABLE, judged, page
from tests.corpora import PACKAGES
from tests.receiving import is_whole

pytestmark = pytest.mark.anyio


async def test_every_document_of_others_corpora_ends_as_the_table_says() -> None:
    outcomes = await judged()
    assert [one for one in outcomes if one.verdict not in ("accepted", "ignored", "refused")] == []
    assert {one.sent.corpus for one in outcomes} == set(PACKAGES)
    assert len(outcomes) == 603
    assert all(one.reason for one in outcomes if one.verdict == "refused"), "every refusal has its name"
    whole = [one for one in outcomes if is_whole(one.sent)]
    accepted = [one for one in whole if one.verdict == "accepted"]
    assert len(whole) > 550
    assert len(accepted) >= 0.95 * len(whole)
    written = page(outcomes)
    if written != TABLE.read_text():
        changed = difflib.unified_diff(
            TABLE.read_text().splitlines(), written.splitlines(), "docs/receive.md", "now", lineterm="", n=0
        )
        pytest.fail("python -m benchmarks.receive writes it anew:\n" + "\n".join(changed))
