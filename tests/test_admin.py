"""The pages where the server is looked after: who may come in."""

from __future__ import annotations

import pytest

from fediart.domain.actors import Role


@pytest.mark.parametrize(
    ("role", "may_moderate", "may_administer"),
    [(Role.OWNER, True, True), (Role.ADMIN, True, True), (Role.MODERATOR, True, False), (Role.ARTIST, False, False)],
)
def test_who_may_do_what(role: Role, may_moderate: bool, may_administer: bool) -> None:
    assert (role.may_moderate, role.may_administer) == (may_moderate, may_administer)
