"""NodeInfo 2.0 and 2.1, and host-meta: what crawlers and clients ask first (FEP-f1d5).

https://nodeinfo.diaspora.software
"""

from __future__ import annotations

from typing import Any

from fediart.activitypub.identifiers import Identifiers

SCHEMA = "http://nodeinfo.diaspora.software/ns/schema/"
VERSIONS = ("2.0", "2.1")


def build_nodeinfo_links(ids: Identifiers) -> dict[str, Any]:
    links = [{"rel": SCHEMA + version, "href": f"{ids.base_url}/nodeinfo/{version}"} for version in VERSIONS]
    # Whose signature it is that this server asks with (FEP-2677).
    links.append({"rel": "https://www.w3.org/ns/activitystreams#Application", "href": ids.instance_actor_uri})
    return {"links": links}


def build_nodeinfo(
    version: str,
    *,
    software: str,
    name: str,
    description: str,
    users: int,
    posts: int,
    is_open: bool,
    preset: str,
    statement: str,
) -> dict[str, Any]:
    """`is_open`: may anybody make an account? `preset`: the AI-art policy's; `statement`: the address of its page."""
    return {
        "version": version,
        "software": {"name": "fediart", "version": software},
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": []},
        "openRegistrations": is_open,
        "usage": {"users": {"total": users}, "localPosts": posts},
        "metadata": {
            "nodeName": name,
            "nodeDescription": description,
            "aiPolicy": {"preset": preset, "statement": statement},
        },
    }


def build_host_meta_xml(ids: Identifiers) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n'
        f'  <Link rel="lrdd" template="{ids.base_url}/.well-known/webfinger?resource={{uri}}"/>\n</XRD>\n'
    )


def build_host_meta_json(ids: Identifiers) -> dict[str, Any]:
    return {"links": [{"rel": "lrdd", "template": f"{ids.base_url}/.well-known/webfinger?resource={{uri}}"}]}
