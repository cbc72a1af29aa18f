"""schema.org's ImageObject for the pictures of a work, in its page: what image search reads of licence, credit and origin."""

from __future__ import annotations

from typing import Any

from fediart.domain.terms import terms_of_work
from fediart.domain.works import ShownWork, WorkState
from fediart.instance import Instance
from fediart.outbox.documents import media_url
from fediart.outbox.rights import rights_to_say


def image_objects(instance: Instance, shown: ShownWork) -> list[dict[str, Any]]:
    """Only of an open, published work of an artist here: of others nothing is told to search engines."""
    work, author = shown.work, shown.author.actor
    if not (author.is_local and work.state == WorkState.PUBLISHED and work.visibility.is_open):
        return []
    ids = instance.identifiers
    terms = terms_of_work(work, shown.author.choices, instance.policy)
    rights = rights_to_say(ids, instance.policy, terms, author, work.published_at)
    said = {
        "license": rights.license,
        "acquireLicensePage": rights.acquire_license_page,
        "creditText": rights.credit_text,
        "copyrightNotice": rights.copyright_notice,
        "usageInfo": rights.usage_info,
        "digitalSourceType": rights.digital_source_type,
    }
    return [
        {
            "@context": "https://schema.org",
            "@type": "ImageObject",
            "contentUrl": media_url(ids, item.public.name),
            "width": item.public.width,
            "height": item.public.height,
            "creator": {"@type": "Person", "name": author.shown_name, "url": author.url},
            **{name: value for name, value in said.items() if value},
            **({"caption": item.image.alt} if item.image.alt else {}),
        }
        for item in shown.images
        if item.public is not None
    ]
