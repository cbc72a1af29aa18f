"""Create: somebody published something."""

from __future__ import annotations

from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.vocabulary import ParsedActivity, ParsedNote
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.handlers.keep_note import concerns_us, keep_note
from fediart.instance import Instance
from fediart.remote.fetch import fetch_document


async def noted(instance: Instance, sender: Actor, activity: ParsedActivity) -> ParsedNote:
    """The note of a Create or Update: embedded, or asked of its own server. Raises ParseError, RemoteError."""
    document = activity.object
    if document is None or "attributedTo" not in document:
        if activity.object_uri is None or instance.identifiers.pretends_local(activity.object_uri):
            raise ParseError("This activity has no object.")
        document = await fetch_document(instance.client, activity.object_uri, instance.sign_as_instance)
    note = parse_note(document)
    if note.attributed_to != sender.uri:
        raise ParseError("This post is by somebody else.")
    return note


async def handle_create(instance: Instance, sender: Actor, activity: ParsedActivity) -> None:
    note = await noted(instance, sender, activity)
    if note.name and not note.content and note.in_reply_to:
        return  # a vote in a poll of ours, of which there are none
    if await instance.storage.read(concerns_us, sender, note):
        await instance.storage.write(keep_note, instance.identifiers, sender, note, instance.clock())
        if note.attachments:
            instance.wake("bring_image")
