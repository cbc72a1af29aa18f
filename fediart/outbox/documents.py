"""The documents this server serves and sends, filled from its nouns: the bridge from rows to `activitypub/builders`."""

from __future__ import annotations

import html
from typing import Any

from fediart.activitypub.builders.actor import ActorToBuild, build_actor
from fediart.activitypub.builders.note import ImageToBuild, MentionToBuild, NoteToBuild, build_note
from fediart.activitypub.identifiers import Identifiers
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.domain.declarations import LABELS
from fediart.domain.images import ShownImage
from fediart.domain.policy import AiPolicy
from fediart.domain.terms import terms_of_artist, terms_of_work
from fediart.domain.works import QuotePolicy, ReplyPolicy, ShownActor, ShownWork, Talk, quote_policy_of
from fediart.outbox.rights import rights_to_say

FEDERATED_IMAGES = 4
"""Mastodon keeps the first four pictures of a post and drops the others silently."""


def media_url(ids: Identifiers, name: str) -> str:
    """The public address of a file in the public store."""
    return f"{ids.base_url}/media/{name}"


def actor_document(ids: Identifiers, shown: ShownActor, policy: AiPolicy) -> dict[str, Any]:
    actor = shown.actor
    terms = terms_of_artist(shown.choices, policy)
    return build_actor(
        ids,
        ActorToBuild(
            username=actor.username,
            name=actor.name,
            summary=actor.summary,
            fields=actor.fields,
            public_key_pem=actor.public_key_pem,
            locked=actor.locked,
            published_ms=actor.created_at,
            icon=_picture(ids, shown.avatar),
            image=_picture(ids, shown.header),
            rights=rights_to_say(ids, policy, terms, actor, actor.created_at),
            also_known_as=actor.also_known_as,
            moved_to=actor.moved_to,
            multikeys=actor.multikeys,
        ),
    )


def _picture(ids: Identifiers, shown: ShownImage | None) -> tuple[str, str, str] | None:
    """(address, media type, description) of an avatar or header, once it is ready."""
    if shown is None or shown.public is None:
        return None
    return media_url(ids, shown.public.name), shown.public.media_type, shown.image.alt


def note_document(
    ids: Identifiers, shown: ShownWork, policy: AiPolicy, *, to: list[str], cc: list[str], talk: Talk
) -> dict[str, Any]:
    work = shown.work
    terms = terms_of_work(work, shown.author.choices, policy)
    label = work.goes_out_as
    pictures = _attachments(ids, shown, tells_cloaks=terms.tell_cloaked)
    return build_note(
        ids,
        NoteToBuild(
            uri=work.uri,
            url=work.url,
            username=shown.author.actor.username,
            content=work.content + _all_pictures(len(pictures), work.url),
            warning=work.warning,
            sensitive=work.sensitive,
            language=work.language,
            published_ms=work.published_at,
            updated_ms=work.edited_at,
            in_reply_to=work.in_reply_to_uri,
            to=tuple(to),
            cc=tuple(cc),
            images=tuple(pictures),
            mentions=tuple(MentionToBuild(m.uri, m.acct) for m in shown.mentions),
            hashtags=shown.tags,
            likes=work.likes,
            boosts=work.boosts,
            answers=talk.answers,
            context=ids.context_uri(talk.root_uri) if talk.root_uri is not None else None,
            rights=rights_to_say(ids, policy, terms, shown.author.actor, work.published_at),
            label=(label, LABELS[label]) if label in LABELS else None,
            may_reply=_may_reply(ids, shown),
            may_quote=_may_quote(ids, shown),
        ),
    )


def _may_quote(ids: Identifiers, shown: ShownWork) -> tuple[str, ...]:
    match quote_policy_of(shown.work, shown.author.choices):
        case QuotePolicy.EVERYONE:
            return (AS_PUBLIC,)
        case QuotePolicy.FOLLOWERS:
            return (ids.followers(shown.author.actor.username),)
    return ()


def _all_pictures(count: int, url: str) -> str:
    """For whoever sees only the first of them. All are attached, in their artist's order."""
    if count <= FEDERATED_IMAGES:
        return ""
    address = html.escape(url)
    return f'<p>All {count} pictures: <a href="{address}">{address.split("://", 1)[-1]}</a></p>'


def _may_reply(ids: Identifiers, shown: ShownWork) -> tuple[str, ...]:
    username = shown.author.actor.username
    named = tuple(mention.uri for mention in shown.mentions)
    match shown.work.reply_policy:
        case ReplyPolicy.FOLLOWERS:
            return (ids.actor_uri(username), ids.followers(username), *named)
        case ReplyPolicy.NOBODY:
            return (ids.actor_uri(username), *named)
    return ()


def _attachments(ids: Identifiers, shown: ShownWork, *, tells_cloaks: bool) -> list[ImageToBuild]:
    out = []
    for item in shown.images:
        if item.public is None:
            continue
        image = item.image
        focal = (image.focal_x, image.focal_y) if image.focal_x is not None and image.focal_y is not None else None
        out.append(
            ImageToBuild(
                url=media_url(ids, item.public.name),
                media_type=item.public.media_type,
                alt=image.alt,
                width=item.public.width,
                height=item.public.height,
                blurhash=image.blurhash,
                focal=focal,
                cloaked=tells_cloaks and image.cloak and image.cloak_report is not None,
            )
        )
    return out
