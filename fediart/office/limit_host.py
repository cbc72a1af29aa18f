"""The admin's word on other servers: rules for hosts, at once for what comes in and goes out, by a job for what is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.domain.moderation import MAX_COMMENT, HostAction, HostRule, HostRules, ReadHosts, meant_host, names_above, read_hosts
from fediart.errors import BadInput, NotFound
from fediart.instance import Instance
from fediart.storage import audit, follows, host_rules, jobs

log = structlog.get_logger("fediart.office")

HOST_RULES = "host_rules"
"""Kind of the job that looks at every actor of elsewhere when a rule has changed."""

BATCH = 200


async def put_host_rule(
    instance: Instance,
    typed: str,
    action: HostAction,
    *,
    account_id: int | None,
    reason: str = "",
    private_note: str = "",
    is_public: bool = False,
) -> HostRule:
    """BLOCK: nothing in, nothing out, what is here is hidden and follows end. LIMIT: for followers only.

    Raises BadInput in words for who typed it.
    """
    host = meant_host(typed)
    if host is None:
        raise BadInput(f"{typed.strip()[:100] or 'This'} is no name of a server. Type it like art.example.")
    if _is_ours(instance, host):
        raise BadInput("This would be a rule for this server itself.")
    now = instance.clock()
    rule = HostRule(host, action, reason.strip()[:MAX_COMMENT], private_note.strip()[:MAX_COMMENT], is_public, now, account_id)
    await _put(instance, [rule], account_id, [(f"{action} host", host, rule.reason)])
    return rule


def _is_ours(instance: Instance, host: str) -> bool:
    return any(host in names_above(own) for own in instance.identifiers.hosts)


async def lift_host_rule(instance: Instance, typed: str, *, account_id: int | None) -> str:
    """Their works are shown again; follows that ended do not come back. Returns the host. Raises NotFound."""
    host = meant_host(typed) or typed

    def act(db: Connection, now: int) -> HostRules:
        if not host_rules.drop_rule(db, host):
            raise NotFound(f"There is no rule for {host[:100]}.")
        audit.write_down(db, account_id, "unblock host", host, "", now)
        jobs.add_job(db, HOST_RULES, {}, now=now, lane=HOST_RULES)
        return host_rules.all_rules(db)

    instance.host_rules = await instance.storage.write(act, instance.clock())
    instance.wake(HOST_RULES)
    return host


async def import_hosts(instance: Instance, text: str, *, account_id: int | None, is_public: bool = False) -> ReadHosts:
    """A list as Mastodon exports it, or one host a line. What was said of a host here before stays, but for what is done."""
    read = read_hosts(text, now=instance.clock(), is_public=is_public, by=account_id)
    kept: list[HostRule] = []
    skipped = list(read.skipped)
    before = {rule.host: rule for rule in await instance.storage.read(host_rules.listed_rules)}
    for rule in read.rules:
        if _is_ours(instance, rule.host):
            skipped.append((0, rule.host, "this server itself"))
        elif (held := before.get(rule.host)) is not None:
            kept.append(replace(held, action=rule.action, reason=rule.reason or held.reason))
        else:
            kept.append(rule)
    if kept:
        await _put(instance, kept, account_id, [("import hosts", f"{len(kept)} hosts", "")])
    return ReadHosts(tuple(kept), tuple(skipped))


async def _put(
    instance: Instance, rules: Sequence[HostRule], account_id: int | None, told: Sequence[tuple[str, str, str]]
) -> None:
    def act(db: Connection, now: int) -> HostRules:
        host_rules.put_rules(db, rules)
        for verb, subject, detail in told:
            audit.write_down(db, account_id, verb, subject, detail, now)
        jobs.add_job(db, HOST_RULES, {}, now=now, lane=HOST_RULES)
        return host_rules.all_rules(db)

    instance.host_rules = await instance.storage.write(act, instance.clock())
    instance.wake(HOST_RULES)


async def apply_host_rules(instance: Instance, _payload: dict[str, Any]) -> None:
    """Every actor of elsewhere gets the standing that the rules give it; follows of those who are out end.

    Doing it twice is harmless. Also how a server learns of a rule that was made from the shell.
    """
    instance.host_rules = rules = await instance.storage.read(host_rules.all_rules)
    after: int | None = 0
    suspended = 0
    while after is not None:
        after, out = await instance.storage.write(_some, rules, after)
        suspended += out
    log.info("hosts.applied", rules=len(rules.by_host), suspended=suspended)


def _some(db: Connection, rules: HostRules, after: int) -> tuple[int | None, int]:
    following, suspended = host_rules.restand(db, rules, after=after, limit=BATCH)
    for actor_id in suspended:
        follows.drop_follows_of(db, actor_id)
    return following, len(suspended)
