"""Addresses that other servers ask."""

from __future__ import annotations

from starlette.routing import Route

from fediart.web.activitypub import documents as d


def activitypub_routes() -> list[Route]:
    return [
        Route("/.well-known/webfinger", d.webfinger),
        Route("/.well-known/host-meta", d.host_meta),
        Route("/.well-known/host-meta.json", d.host_meta),
        Route("/.well-known/nodeinfo", d.nodeinfo_links),
        Route("/nodeinfo/{version}", d.nodeinfo),
        Route("/actor", d.instance_actor),
        Route("/actor/inbox", d.instance_inbox),
        Route("/actor/outbox", d.instance_outbox),
        Route("/users/{username}", d.actor),
        Route("/users/{username}/inbox", d.inbox),
        Route("/users/{username}/outbox", d.outbox),
        Route("/users/{username}/followers", d.followers),
        Route("/users/{username}/followers_synchronization", d.followers_part),
        Route("/users/{username}/following", d.following),
        Route("/users/{username}/collections/featured", d.featured),
        Route("/users/{username}/statuses/{work_id}", d.work),
        Route("/users/{username}/statuses/{work_id}/activity", d.work_activity),
        Route("/users/{username}/statuses/{work_id}/likes", d.likes),
        Route("/users/{username}/statuses/{work_id}/shares", d.shares),
        Route("/users/{username}/statuses/{work_id}/replies", d.replies),
        Route("/users/{username}/statuses/{work_id}/context", d.context),
        Route("/users/{username}/statuses/{work_id}/quotes/{quote_id}", d.stamp),
    ]
