"""The page on attacks names the tests that there are, and none is missing."""

from __future__ import annotations

from tests.security_rows import PAGE, REQUIRED, ROWS, marked, page


def test_the_page_on_attacks_is_what_the_marks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.security_rows"


def test_every_row_has_a_test() -> None:
    held = marked()
    assert [row for row in (*REQUIRED, *ROWS) if not held.get(row)] == []
