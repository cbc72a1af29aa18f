"""What others' suites say of us is read whole, and nothing that they refuse goes unexplained."""

from __future__ import annotations

from benchmarks.suites import PAGE, WHY, Result, read_tap, summed, table

TAP = """TAP version 14
# roles: none
ok 1 - webfinger.server.4_2__2_perform_query::normal_query
not ok 2 - system2.reply_single_hop::ReplyTest
  ---
  problem: AssertionFailure (IMPLIED, DEGRADED)
  message:
    AssertionFailure (Implied, Degraded): Expected: 'a'
         but: was '<p>a</p>'
  ...
not ok 3 - system2.follow_receive::FollowReceiveTest
  ---
  message:
    HTTP status 404: {"error":"There is nothing here."}
  ...
1..3
"""


def test_a_run_of_feditest_becomes_rows_and_a_known_reason_counts_only_for_what_it_was_written_for() -> None:
    one, two, three = read_tap(TAP)
    assert one == Result("4_2__2_perform_query::normal_query", "passed")
    assert (two.test, two.outcome) == ("system2.reply_single_hop", "failed")
    assert two.why.startswith("All that it asks of the words is met")
    assert three.why == 'Not explained: HTTP status 404: {"error":"There is nothing here."}'
    assert summed([one, two, three]) == "2 failed, 1 passed"
    assert table("x", [one]).strip().splitlines()[-1] == "| 4_2__2_perform_query::normal_query | passed |  |"


def test_the_page_explains_whatever_did_not_pass() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ") and " | " in line]
    judged = [row for row in rows if row[1] in ("passed", "failed", "refused", "inapplicable")]
    assert len(judged) == 18 + 7 + 3 + 15 + 13
    assert [row for row in judged if row[1] != "passed" and (len(row) < 3 or row[2].startswith("Not explained"))] == []
    assert sum(row[1] == "failed" for row in judged) == 3
    assert all(begin and " ".join(why.split()) for (begin, _), why in WHY.items())
