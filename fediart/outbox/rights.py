"""What is said of the rights in a work, once for all who are told: files (XMP), documents for other servers, pages."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from fediart.activitypub.builders.note import RightsToBuild
from fediart.activitypub.identifiers import Identifiers
from fediart.domain import signals
from fediart.domain.actors import Actor
from fediart.domain.choices import Choices
from fediart.domain.images import Image
from fediart.domain.licences import Licence
from fediart.domain.policy import AiPolicy
from fediart.domain.reservations import Answer
from fediart.domain.rights import Assertions, Rights
from fediart.domain.terms import Terms, terms_of_artist, terms_of_work
from fediart.media.c2pa import is_installed
from fediart.storage import actors, policies, works


def policy_now(db: Connection) -> AiPolicy:
    """The revision that holds in this transaction: also what another process has adopted."""
    return policies.current_policy(db) or AiPolicy()


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


def said_of_image(db: Connection, ids: Identifiers, image: Image) -> tuple[Rights | None, Assertions | None]:
    """(XMP, Content Credentials) of a picture of an artist here, as its work or, of a portrait, its artist says.

    None: nothing of the kind is to be written.
    """
    author = actors.actor_by_id(db, image.actor_id)
    if author is None or not author.is_local:
        return None, None
    policy = policy_now(db)
    choices = actors.choices_of(db, [author.id]).get(author.id, Choices())
    work = works.work_by_id(db, image.work_id) if image.work_id is not None else None
    terms = terms_of_work(work, choices, policy) if work is not None else terms_of_artist(choices, policy)
    rights = rights_in_files(ids, policy, terms, author, work.published_at if work is not None else image.created_at)
    if not (policy.reserve.c2pa and is_installed()):
        return rights, None
    return rights, Assertions(f"A picture of {author.shown_name}", terms.reservation, terms.declaration.source_type)


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
