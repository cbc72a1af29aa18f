"""What is said of the rights in a work, once for all who are told: files (XMP), documents for other servers, pages."""

from __future__ import annotations

from datetime import UTC, datetime

from fediart.activitypub.builders.note import RightsToBuild
from fediart.activitypub.identifiers import Identifiers
from fediart.domain import signals
from fediart.domain.actors import Actor
from fediart.domain.licences import Licence
from fediart.domain.policy import AiPolicy
from fediart.domain.reservations import Answer
from fediart.domain.rights import Rights
from fediart.domain.terms import Terms


def credit_of(ids: Identifiers, author: Actor) -> str:
    """`Mira (@mira@art.example)`."""
    return f"{author.shown_name} (@{author.username}@{author.host or ids.account_domain})"


def copyright_notice(author: Actor, terms: Terms, made_at: int) -> str:
    """Nothing where all rights were given up."""
    if terms.licensing.licence == Licence.CC0:
        return ""
    return f"© {datetime.fromtimestamp(made_at / 1000, UTC).year} {author.shown_name}"


def rights_in_files(ids: Identifiers, policy: AiPolicy, terms: Terms, author: Actor, made_at: int) -> Rights | None:
    """As every file of a local artist's picture says it; None: the policy has nothing written into files."""
    if not policy.reserve.embed_xmp:
        return None
    reservation, licensing = terms.reservation, terms.licensing
    mining = signals.data_mining(reservation)
    is_constrained = mining.endswith("SEECONSTRAINT")
    return Rights(
        creator=author.shown_name,
        credit=credit_of(ids, author),
        copyright_notice=copyright_notice(author, terms, made_at),
        licence_url=licensing.licence.url,
        usage_terms=f"{reservation.words} {licensing.words}",
        web_statement=ids.rights_url(author.username),
        data_mining=mining,
        digital_source_type=terms.declaration.source_type,
        tdm_reservation=signals.tdm_reservation(reservation),
        tdm_policy=ids.base_url + signals.TDM_POLICY if Answer.DENY in (reservation.training, reservation.ai_input) else "",
        constraint=reservation.words if is_constrained else "",
    )


def rights_to_say(ids: Identifiers, policy: AiPolicy, terms: Terms, author: Actor, made_at: int) -> RightsToBuild:
    """As documents for other servers say it."""
    reservation, reserve = terms.reservation, policy.reserve
    page = ids.rights_url(author.username)
    return RightsToBuild(
        license=terms.licensing.licence.url or page,
        usage_info=ids.absolute(policy.statement_url),
        acquire_license_page=page,
        copyright_notice=copyright_notice(author, terms, made_at),
        credit_text=credit_of(ids, author),
        digital_source_type=terms.declaration.source_type,
        tdm_reservation=signals.tdm_reservation(reservation) if reserve.tdmrep else None,
        tdm_policy=ids.base_url + signals.TDM_POLICY if reserve.tdmrep and reservation.is_reserved else None,
        content_usage=signals.content_usage(reservation),
        x_robots_tag=signals.robots_words(reservation),
    )
