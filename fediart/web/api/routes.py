"""The client API's addresses."""

from __future__ import annotations

from starlette.routing import Route

from fediart.web.api import accounts as a
from fediart.web.api import announcements, people, safety, server
from fediart.web.api import statuses as s


def api_routes() -> list[Route]:
    return [
        Route("/api/v1/instance", server.instance_v1),
        Route("/api/v2/instance", server.instance_v2),
        Route("/api/v1/announcements", announcements.announcements),
        Route("/api/v1/announcements/{id}/dismiss", announcements.dismiss, methods=["POST"]),
        Route("/api/v1/accounts/verify_credentials", a.verify_credentials),
        Route("/api/v1/accounts/update_credentials", a.update_credentials, methods=["PATCH"]),
        Route("/api/v1/accounts/lookup", a.lookup),
        Route("/api/v1/accounts/relationships", a.relationships),
        Route("/api/v1/accounts/{id}", a.show),
        Route("/api/v1/accounts/{id}/statuses", a.statuses),
        Route("/api/v1/accounts/{id}/followers", people.followers),
        Route("/api/v1/accounts/{id}/following", people.following),
        Route("/api/v1/accounts/{id}/follow", a.follow, methods=["POST"]),
        Route("/api/v1/accounts/{id}/unfollow", a.unfollow, methods=["POST"]),
        Route("/api/v1/accounts/{id}/block", safety.block, methods=["POST"]),
        Route("/api/v1/accounts/{id}/unblock", safety.unblock, methods=["POST"]),
        Route("/api/v1/accounts/{id}/mute", safety.mute, methods=["POST"]),
        Route("/api/v1/accounts/{id}/unmute", safety.unmute, methods=["POST"]),
        Route("/api/v1/accounts/{id}/remove_from_followers", safety.remove_from_followers, methods=["POST"]),
        Route("/api/v1/blocks", safety.blocked),
        Route("/api/v1/mutes", safety.muted),
        Route("/api/v1/domain_blocks", safety.muted_hosts, methods=["GET"]),
        Route("/api/v1/domain_blocks", safety.mute_host, methods=["POST"]),
        Route("/api/v1/domain_blocks", safety.unmute_host, methods=["DELETE"]),
        Route("/api/v1/reports", safety.report, methods=["POST"]),
        Route("/api/v2/filters", safety.list_filters, methods=["GET"]),
        Route("/api/v2/filters", safety.add_filter, methods=["POST"]),
        Route("/api/v2/filters/{id}", safety.show_filter, methods=["GET"]),
        Route("/api/v2/filters/{id}", safety.change_filter, methods=["PUT"]),
        Route("/api/v2/filters/{id}", safety.remove_filter, methods=["DELETE"]),
        Route("/api/v1/follow_requests", a.requests),
        Route("/api/v1/follow_requests/{id}/authorize", a.authorize, methods=["POST"]),
        Route("/api/v1/follow_requests/{id}/reject", a.reject, methods=["POST"]),
        Route("/api/v2/search", a.search),
        Route("/api/v1/media", s.upload, methods=["POST"]),
        Route("/api/v2/media", s.upload, methods=["POST"]),
        Route("/api/v1/media/{id}", s.media, methods=["GET"]),
        Route("/api/v1/media/{id}", s.describe, methods=["PUT"]),
        Route("/api/v1/statuses", s.post, methods=["POST"]),
        Route("/api/v1/statuses/{id}", s.show, methods=["GET"]),
        Route("/api/v1/statuses/{id}", s.remove, methods=["DELETE"]),
        Route("/api/v1/statuses/{id}", s.edit, methods=["PUT"]),
        Route("/api/v1/statuses/{id}/interaction_policy", s.interaction_policy, methods=["PUT"]),
        Route("/api/v1/statuses/{id}/quotes", s.quotes),
        Route("/api/v1/statuses/{id}/quotes/{quoting_id}/revoke", s.revoke_quote, methods=["POST"]),
        Route("/api/v1/statuses/{id}/context", s.context),
        Route("/api/v1/statuses/{id}/favourited_by", people.favourited_by),
        Route("/api/v1/statuses/{id}/reblogged_by", people.reblogged_by),
        Route("/api/v1/statuses/{id}/favourite", s.favourite, methods=["POST"]),
        Route("/api/v1/statuses/{id}/unfavourite", s.unfavourite, methods=["POST"]),
        Route("/api/v1/statuses/{id}/reblog", s.reblog, methods=["POST"]),
        Route("/api/v1/statuses/{id}/unreblog", s.unreblog, methods=["POST"]),
        Route("/api/v1/timelines/home", s.home),
        Route("/api/v1/timelines/public", s.public),
        Route("/api/v1/timelines/tag/{tag}", s.tagged),
        Route("/api/v1/notifications", s.notices),
    ]
