"""What a client asks about this server before it does anything."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart import __version__
from fediart.domain.sign_ups import SignUps
from fediart.domain.works import MAX_IMAGES, MAX_TEXT
from fediart.media.intake import formats_here
from fediart.storage import actors
from fediart.studio.sign_up import sign_ups_of
from fediart.web.api.answers import answer
from fediart.web.api.auth import instance_of

SPEAKS = "4.3.0"
"""The version of Mastodon's client API whose shapes these are: clients read it from the front of `version`."""


def _limits(request: Request) -> dict[str, object]:
    media = instance_of(request).config.media
    return {
        "statuses": {"max_characters": MAX_TEXT, "max_media_attachments": MAX_IMAGES, "characters_reserved_per_url": 23},
        "media_attachments": {
            "supported_mime_types": list(formats_here().values()),
            "image_size_limit": media.upload_bytes,
            "image_matrix_limit": media.upload_pixels,
            "video_size_limit": 0,
            "video_frame_rate_limit": 0,
            "video_matrix_limit": 0,
        },
        "polls": {"max_options": 0, "max_characters_per_option": 0, "min_expiration": 0, "max_expiration": 0},
    }


async def instance_v2(request: Request) -> Response:
    instance = instance_of(request)
    settings = instance.config.instance
    mode = await sign_ups_of(instance)
    return answer(
        {
            "domain": instance.identifiers.account_domain,
            "title": settings.name,
            "version": f"{SPEAKS} (compatible; fediart {__version__})",
            "source_url": "",
            "description": settings.description,
            "usage": {"users": {"active_month": (await instance.storage.read(actors.local_counts))[0]}},
            "thumbnail": {"url": f"{instance.identifiers.base_url}/static/header.svg"},
            "languages": ["en"],
            "configuration": {"urls": {}, **_limits(request)},
            "registrations": {
                "enabled": mode.asks_strangers_in,
                "approval_required": mode == SignUps.APPROVAL,
                "message": None,
                "url": f"{instance.identifiers.base_url}/sign-up" if mode.asks_strangers_in else None,
            },
            "contact": {"email": "", "account": None},
            "rules": [],
        }
    )


async def instance_v1(request: Request) -> Response:
    instance = instance_of(request)
    settings = instance.config.instance
    users, posts = await instance.storage.read(actors.local_counts)
    mode = await sign_ups_of(instance)
    return answer(
        {
            "uri": instance.identifiers.account_domain,
            "title": settings.name,
            "short_description": settings.description,
            "description": settings.description,
            "email": "",
            "version": f"{SPEAKS} (compatible; fediart {__version__})",
            "urls": {},
            "stats": {"user_count": users, "status_count": posts, "domain_count": 0},
            "thumbnail": None,
            "languages": ["en"],
            "registrations": mode.asks_strangers_in,
            "approval_required": mode == SignUps.APPROVAL,
            "invites_enabled": False,
            "configuration": _limits(request),
            "contact_account": None,
            "rules": [],
        }
    )
