"""Every table, once. Questions about them stand in the other files of this room; how they came to be, in `migrations/`.

Times are milliseconds since 1970 UTC in 64-bit integers. Ids are made by `fediart.ids`: order by id is order by time.
JSON stands in text columns: SQLite and PostgreSQL then behave alike.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id") -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


settings = Table(
    "settings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# A local actor has host ''. `uri` is the actor's id on the wire.
actors = Table(
    "actors",
    metadata,
    _id(),
    Column("uri", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("summary", Text, nullable=False, server_default=""),
    Column("summary_source", Text, nullable=False, server_default=""),
    Column("fields", Text, nullable=False, server_default="[]"),
    Column("url", Text, nullable=False),
    Column("inbox", Text, nullable=False),
    Column("shared_inbox", Text),
    Column("outbox", Text),
    Column("followers_uri", Text),
    Column("following_uri", Text),
    Column("featured_uri", Text),
    Column("public_key_id", Text, nullable=False),
    Column("public_key_pem", Text, nullable=False),
    Column("private_key_pem", Text),
    Column("avatar_image_id", BigInteger),
    Column("header_image_id", BigInteger),
    Column("locked", Boolean, nullable=False, server_default=text("false")),
    Column("gone", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", BigInteger, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
    # What moderators let it be here (`domain/moderation.Standing`): the stricter of their word on it and of its host's rule.
    Column("standing", String(16), nullable=False, server_default=""),
    Column("own_standing", String(16), nullable=False, server_default=""),
    # Where its followers were sent, once both addresses had said so.
    Column("moved_to", Text),
    Column("moved_at", BigInteger),
    # Ed25519 keys for integrity proofs, as JSON: [id, Multikey, end or null] each. `ed25519_pem`: the private one, where local.
    Column("multikeys", Text, nullable=False, server_default="[]"),
    Column("ed25519_pem", Text),
    # A local artist's other addresses (ids of actors, JSON): from there her followers may be sent here.
    Column("also_known_as", Text, nullable=False, server_default="[]"),
    UniqueConstraint("host", "username"),
)
Index("ix_actors_public_key_id", actors.c.public_key_id)
# Few, and asked for with every list of works.
Index(
    "ix_actors_standing",
    actors.c.standing,
    actors.c.id,
    sqlite_where=text("standing <> ''"),
    postgresql_where=text("standing <> ''"),
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text, nullable=False),
    # Secret from which the pattern of each of this artist's cloaks is drawn; never leaves this machine.
    Column("cloak_secret", LargeBinary, nullable=False),
    Column("cloak_default", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", BigInteger, nullable=False),
    Column("cloak_strength", String(16), nullable=False, server_default=""),
    Column("ask_if_weak", Boolean, nullable=False, server_default=text("true")),
    # What this artist reserves (`domain/reservations` as JSON); NULL: nothing was said, the instance's default holds.
    Column("reservation", Text),
    Column("licence", String(24), nullable=False, server_default=""),
    Column("licence_text", Text, nullable=False, server_default=""),
    Column("tell_cloaked", Boolean, nullable=False, server_default=text("true")),
    # How AI-made posts of others are shown to this person, where stricter than the policy: '' or a RemoteAction.
    Column("ai_view", String(16), nullable=False, server_default=""),
    # Who may answer this artist's new works (`domain/works.ReplyPolicy`); '': everyone.
    Column("reply_policy", String(16), nullable=False, server_default=""),
    # Set while a moderator keeps the account out; the reason is for its artist to read.
    Column("suspended_at", BigInteger),
    Column("suspended_reason", Text, nullable=False, server_default=""),
    # Who may quote this artist's works (`domain/works.QuotePolicy`); '': nobody.
    Column("quote_policy", String(16), nullable=False, server_default=""),
    # The revision of the AI-art policy up to which changes were read: what came later is announced.
    Column("policy_read", Integer, nullable=False, server_default="0"),
    # Confirmed by a letter; '': none. In small letters.
    Column("email", Text, nullable=False, server_default=""),
    # Megabytes that this artist's pictures may take; NULL: as the settings say, 0: no bound.
    Column("quota_mb", Integer),
    # The revision of the AI-art policy that was agreed to at the sign-up.
    Column("agreed_policy", Integer),
)
Index(
    "ix_accounts_email",
    accounts.c.email,
    unique=True,
    sqlite_where=text("email <> ''"),
    postgresql_where=text("email <> ''"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("user_agent", Text, nullable=False, server_default=""),
)

grants = Table(
    "grants",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False, server_default=text("0")),
)

# `state`: draft (only its artist sees it), waiting (published as soon as its pictures are ready), published, deleted.
# A work's id is made from `min(published, arrival)`: order by id is the timeline's order.
works = Table(
    "works",
    metadata,
    _id(),
    Column("uri", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("warning", Text, nullable=False, server_default=""),
    Column("sensitive", Boolean, nullable=False, server_default=text("false")),
    Column("content", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("language", String(16)),
    Column("in_reply_to_uri", Text),
    Column("in_reply_to_id", BigInteger),
    Column("published_at", BigInteger, nullable=False),
    Column("edited_at", BigInteger),
    Column("arrived_at", BigInteger, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("likes", Integer, nullable=False, server_default="0"),
    Column("boosts", Integer, nullable=False, server_default="0"),
    Column("replies", Integer, nullable=False, server_default="0"),
    # How its artist says it was made (`domain/declarations`), and what she reserves for this one; NULL: as for all of hers.
    Column("declaration", String(16), nullable=False, server_default=""),
    Column("reservation", Text),
    Column("licence", String(24), nullable=False, server_default=""),
    Column("licence_text", Text, nullable=False, server_default=""),
    # What its author's server said of it: '' or one of `declarations.LABELS`.
    Column("self_label", String(24), nullable=False, server_default=""),
    # What the policy says of it (`policy.PostVerdict`), and a moderator's word, which beats it.
    Column("verdict_action", String(16), nullable=False, server_default=""),
    Column("verdict_rule", String(16), nullable=False, server_default=""),
    Column("verdict_label", Text, nullable=False, server_default=""),
    Column("moderated", String(16)),
    # Who may answer it (`domain/works.ReplyPolicy`); '': as its artist's account says when it is published, else everyone.
    Column("reply_policy", String(16), nullable=False, server_default=""),
    # Who may quote it (`domain/works.QuotePolicy`); '': as its artist's account says now.
    Column("quote_policy", String(16), nullable=False, server_default=""),
    # Of another server's work: who may like and boost it, in the words of ReplyPolicy; '': everyone.
    Column("like_policy", String(16), nullable=False, server_default=""),
    Column("boost_policy", String(16), nullable=False, server_default=""),
)
Index("ix_works_actor_id_id", works.c.actor_id, works.c.id)
Index("ix_works_in_reply_to_id", works.c.in_reply_to_id)
# Answers whose parent is not here (yet): each new work looks for its own.
Index(
    "ix_works_orphans",
    works.c.in_reply_to_uri,
    sqlite_where=text("in_reply_to_id IS NULL AND in_reply_to_uri IS NOT NULL"),
    postgresql_where=text("in_reply_to_id IS NULL AND in_reply_to_uri IS NOT NULL"),
)

# Who a work is addressed to, as it was said (`to`, `cc`): the ground for every decision on who may see it.
work_addresses = Table(
    "work_addresses",
    metadata,
    Column("work_id", BigInteger, ForeignKey("works.id", ondelete="CASCADE"), primary_key=True),
    Column("uri", Text, primary_key=True),
    Column("part", String(2), nullable=False),
)
Index("ix_work_addresses_uri", work_addresses.c.uri)

work_tags = Table(
    "work_tags",
    metadata,
    Column("tag", Text, primary_key=True),
    Column("work_id", BigInteger, ForeignKey("works.id", ondelete="CASCADE"), primary_key=True),
)
Index("ix_work_tags_work_id_tag", work_tags.c.work_id, work_tags.c.tag)

work_mentions = Table(
    "work_mentions",
    metadata,
    Column("work_id", BigInteger, ForeignKey("works.id", ondelete="CASCADE"), primary_key=True),
    Column("uri", Text, primary_key=True),
    Column("acct", Text, nullable=False),
    Column("url", Text, nullable=False),
)

# Uploads that are not whole yet (`media/parts`), for an artist's draft.
uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("work_id", BigInteger, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("touched_at", BigInteger, nullable=False, index=True),
)

# `state`: waiting, cloaking, paused, ready, failed, evicted. `purpose`: work, avatar, header, remote.
images = Table(
    "images",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("work_id", BigInteger, ForeignKey("works.id"), index=True),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("purpose", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("progress", Float, nullable=False, server_default="0"),
    Column("problem", Text, nullable=False, server_default=""),
    Column("alt", Text, nullable=False, server_default=""),
    Column("focal_x", Float),
    Column("focal_y", Float),
    Column("width", Integer),
    Column("height", Integer),
    Column("blurhash", Text),
    Column("cloak", Boolean, nullable=False, server_default=text("true")),
    Column("cloak_report", Text),
    Column("secret_names", Boolean, nullable=False, server_default=text("false")),
    Column("vault_key", Text),
    Column("original_name", Text, nullable=False, server_default=""),
    Column("original_type", Text),
    Column("original_bytes", BigInteger),
    Column("original_sha256", String(64)),
    Column("remote_url", Text),
    Column("used_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("cloak_strength", String(16), nullable=False, server_default=""),
    Column("weak_accepted", Boolean, nullable=False, server_default=text("false")),
    Column("cloak_method", Text),
    # What the file said of how it was made (`domain/origin` as JSON); NULL: it was not read.
    Column("origin", Text),
    # Of another server's picture: what its origin reserves, as it came with the file.
    Column("reservation", Text),
)

renditions = Table(
    "renditions",
    metadata,
    Column("image_id", BigInteger, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("name", Text, nullable=False, index=True),
    Column("media_type", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

# Pictures that servers write as `:name:`. One means something only in what comes from its own host.
emojis = Table(
    "emojis",
    metadata,
    Column("host", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("image_id", BigInteger, ForeignKey("images.id"), nullable=False, index=True),
    Column("changed_at", BigInteger, nullable=False),
)

# Cloaked copies in the size of another place, for their artist alone. `cloak_report`: the public copy's when it was asked for.
copies = Table(
    "copies",
    metadata,
    _id(),
    Column("image_id", BigInteger, ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Column("platform", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("progress", Float, nullable=False, server_default="0"),
    Column("problem", Text, nullable=False, server_default=""),
    Column("cloak_report", Text, nullable=False),
    Column("vault_key", Text),
    Column("media_type", Text, nullable=False, server_default=""),
    Column("width", Integer, nullable=False, server_default="0"),
    Column("height", Integer, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("until", BigInteger, nullable=False, index=True),
    UniqueConstraint("image_id", "platform"),
)

# Files that nothing shows any more. What had a public name answers 410 for good; `on_disk`: the file itself must still go.
retired_files = Table(
    "retired_files",
    metadata,
    Column("name", Text, primary_key=True),
    Column("retired_at", BigInteger, nullable=False),
    Column("on_disk", Boolean, nullable=False, server_default=text("true")),
)

# Works cloaked again: one row a run. `actor_id` NULL: of every artist here. `state`: running, stopped, done.
redos = Table(
    "redos",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id")),
    Column("every", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("pictures", Integer, nullable=False, server_default="0"),
    Column("redone", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("dropped", Integer, nullable=False, server_default="0"),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

# One row for each picture of a run. No foreign key to images: a withdrawn work's pictures are counted as dropped.
redo_turns = Table(
    "redo_turns",
    metadata,
    Column("redo_id", BigInteger, ForeignKey("redos.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("image_id", BigInteger, primary_key=True, autoincrement=False),
    Column("work_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("result", Text),
    Column("problem", Text, nullable=False, server_default=""),
)

# `state`: requested, accepted.
follows = Table(
    "follows",
    metadata,
    _id(),
    Column("follower_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("followee_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("uri", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("show_boosts", Boolean, nullable=False, server_default=text("true")),
    UniqueConstraint("follower_id", "followee_id"),
)
Index("ix_follows_uri", follows.c.uri)

likes = Table(
    "likes",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("work_id", BigInteger, ForeignKey("works.id"), nullable=False, index=True),
    Column("uri", Text, nullable=False, index=True),
    # What it was said with (an emoji, or the name of one), '' for a plain like.
    Column("face", Text, nullable=False, server_default=""),
    UniqueConstraint("actor_id", "work_id"),
)

# What an actor of another server shows first.
pins = Table(
    "pins",
    metadata,
    Column("actor_id", BigInteger, ForeignKey("actors.id"), primary_key=True, autoincrement=False),
    Column("work_id", BigInteger, ForeignKey("works.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True),
    Column("pinned_at", BigInteger, nullable=False),
)

boosts = Table(
    "boosts",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("work_id", BigInteger, ForeignKey("works.id"), nullable=False, index=True),
    Column("uri", Text, nullable=False, index=True),
    UniqueConstraint("actor_id", "work_id"),
)

# One row for each work in each local actor's home. `entry_id` is the work's id, or the boost's.
timeline = Table(
    "timeline",
    metadata,
    Column("actor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    Column("work_id", BigInteger, nullable=False),
    Column("booster_id", BigInteger),
    sqlite_with_rowid=False,
)
Index("ix_timeline_work_id", timeline.c.work_id)

# Posts of others (`uri`, by `actor_id`) that quote a work of ours, and were allowed to: each row is a stamp that others ask for.
quotes = Table(
    "quotes",
    metadata,
    _id(),
    Column("work_id", BigInteger, ForeignKey("works.id", ondelete="CASCADE"), nullable=False),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("uri", Text, nullable=False, index=True),
    UniqueConstraint("work_id", "uri"),
)

notifications = Table(
    "notifications",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("from_actor_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("work_id", BigInteger),
    Column("seen", Boolean, nullable=False, server_default=text("false")),
    # Of the AI-art policy, where that is what is told.
    Column("revision", Integer),
)
Index("ix_notifications_actor_id_id", notifications.c.actor_id, notifications.c.id)

# What arrived: the first insert of a uri wins, every other is a repeat. The body goes once it has been handled.
arrivals = Table(
    "arrivals",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("actor_uri", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False, index=True),
)

# Ids that were deleted or undone before (or after) they arrived, so that a late Create stays away.
tombstones = Table(
    "tombstones",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("actor_uri", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# What this server says: one document, told to many inboxes.
activities = Table(
    "activities",
    metadata,
    _id(),
    Column("uri", Text, nullable=False, unique=True),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("work_id", BigInteger, index=True),
    Column("body", LargeBinary, nullable=False),
    # Said to its actor's followers and not to everybody: its deliveries also say who they are (FEP-8fcf).
    Column("for_followers", Boolean, nullable=False, server_default=text("false")),
)


def _lease_columns() -> list[Column[object]]:
    """The columns of the one lease mechanism (`storage/leases`): jobs and deliveries both have them."""
    return [
        Column("run_at", BigInteger, nullable=False),
        Column("leased_until", BigInteger, nullable=False, server_default="0"),
        Column("lease", String(32), nullable=False, server_default=""),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("problem", Text, nullable=False, server_default=""),
    ]


# `lane`: at most one row of a lane is in hand at a time ('' = no lane).
# `owner`: for whom it is done (an actor; 0 = nobody); `turn`: where many wait, owners come in turn (`storage/jobs`).
jobs = Table(
    "jobs",
    metadata,
    _id(),
    Column("kind", String(32), nullable=False),
    Column("lane", Text, nullable=False, server_default=""),
    Column("payload", LargeBinary, nullable=False),
    *_lease_columns(),
    Column("owner", BigInteger, nullable=False, server_default="0"),
    Column("turn", BigInteger, nullable=False, server_default="0"),
)
Index("ix_jobs_kind_run_at", jobs.c.kind, jobs.c.run_at)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    Column("activity_id", BigInteger, ForeignKey("activities.id"), nullable=False, index=True),
    Column("inbox", Text, nullable=False),
    Column("lane", Text, nullable=False),
    *_lease_columns(),
)
Index("ix_deliveries_run_at", deliveries.c.run_at)
Index("ix_deliveries_leased_until", deliveries.c.leased_until)
Index("ix_jobs_leased_until", jobs.c.leased_until)
Index("ix_deliveries_lane_id", deliveries.c.lane, deliveries.c.id)
# The lanes that wait for a retry: few, however many rows wait behind them.
for _table in (jobs, deliveries):
    Index(
        f"ix_{_table.name}_tried",
        _table.c.run_at,
        _table.c.lane,
        sqlite_where=text("attempts > 0"),
        postgresql_where=text("attempts > 0"),
    )

# How each delivery ended, counted per work, so that its artist can be told.
delivery_counts = Table(
    "delivery_counts",
    metadata,
    Column("activity_id", BigInteger, ForeignKey("activities.id"), primary_key=True, autoincrement=False),
    Column("planned", Integer, nullable=False, server_default="0"),
    Column("delivered", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
)

# How deliveries ended, by activity and host: who got a work, when, and what failed. Kept for a while (`office/prune`).
delivery_ends = Table(
    "delivery_ends",
    metadata,
    Column("activity_id", BigInteger, primary_key=True, autoincrement=False),
    Column("host", Text, primary_key=True),
    Column("delivered", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("ended_at", BigInteger, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)

# What must be remembered of other servers (`domain/hosts`): a host without trouble or peculiarity has no row.
# `failures`, `failing_days`, `failing_since`, `failed_at`, `problem`: deliveries to it since the last that it answered.
# `retry_at`: before this it wants to hear nothing. `heard_at`: its last sign of life while it was dead.
# `signature`: the form in which it takes our signatures, where that is not the first we try.
hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", BigInteger),
    Column("retry_at", BigInteger, nullable=False, server_default="0"),
    Column("heard_at", BigInteger),
    Column("software", Text),
    Column("failing_days", Integer, nullable=False, server_default="0"),
    Column("failed_at", BigInteger),
    Column("problem", Text, nullable=False, server_default=""),
    Column("signature", String(16), nullable=False, server_default=""),
)

# Other servers that were met: when first, when they last signed something (`heard_at`) and last took a delivery (`reached_at`).
# `seen_at`: the later of the two.
peers = Table(
    "peers",
    metadata,
    Column("host", Text, primary_key=True),
    Column("met_at", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False, server_default="0"),
    Column("reached_at", BigInteger, nullable=False, server_default="0"),
    Column("seen_at", BigInteger, nullable=False),
)
Index("ix_peers_seen_at_host", peers.c.seen_at, peers.c.host)

# When an actor's older works, or a work's talk, were last asked of their server.
looks = Table(
    "looks",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("subject_id", BigInteger, primary_key=True, autoincrement=False),
    Column("looked_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# The AI-art policy. A revision is never edited: the one with the largest number holds.
policies = Table(
    "policies",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("adopted_at", BigInteger, nullable=False),
    Column("adopted_by", BigInteger),
)

# Files that a moderator looked at and let pass: no rule fires for them again.
cleared_files = Table(
    "cleared_files",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("cleared_at", BigInteger, nullable=False),
    Column("cleared_by", BigInteger),
)

# What somebody complains of. `uri`: the Flag's, of another server's report. `state`: open, closed.
reports = Table(
    "reports",
    metadata,
    _id(),
    Column("reporter_id", BigInteger, ForeignKey("actors.id"), nullable=False),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("category", String(16), nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    Column("uri", Text, unique=True),
    Column("forwarded", Boolean, nullable=False, server_default=text("false")),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("closed_by", BigInteger),
)
Index("ix_reports_state_id", reports.c.state, reports.c.id)

report_works = Table(
    "report_works",
    metadata,
    Column("report_id", BigInteger, ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("work_id", BigInteger, primary_key=True, autoincrement=False),
)

# What a moderator decides. `kind`: held, appeal, report. `state`: open, asked (for proof), decided.
# `decision`: cleared, labelled, removed, upheld. `earlier_id`: the decision that this one looks at again.
reviews = Table(
    "reviews",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("work_id", BigInteger, index=True),
    Column("report_id", BigInteger),
    Column("rule", String(16), nullable=False, server_default=""),
    Column("evidence", Text, nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("decision", String(16), nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("opened_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", BigInteger),
    Column("earlier_id", BigInteger),
)
Index("ix_reviews_state_id", reviews.c.state, reviews.c.id)

# What an artist shows to moderators only: layers, process pictures. Deleted once it is decided.
review_files = Table(
    "review_files",
    metadata,
    _id(),
    Column("review_id", BigInteger, ForeignKey("reviews.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("vault_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("added_at", BigInteger, nullable=False),
)

# What a host's reports named beyond what may wait for moderators at a time (`domain/moderation`): works, or reports without.
report_overflows = Table(
    "report_overflows",
    metadata,
    Column("host", Text, primary_key=True),
    Column("left_out", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

# Who did what that concerns others, in words. `account_id` NULL: from the shell, or the server itself.
audit = Table(
    "audit",
    metadata,
    _id(),
    Column("account_id", BigInteger),
    Column("verb", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("at", BigInteger, nullable=False),
)

# Who blocks whom, here or elsewhere. Neither sees the other.
blocks = Table(
    "blocks",
    metadata,
    Column("actor_id", BigInteger, ForeignKey("actors.id"), primary_key=True, autoincrement=False),
    Column("target_id", BigInteger, ForeignKey("actors.id"), primary_key=True, autoincrement=False),
    Column("uri", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("ix_blocks_target_id", blocks.c.target_id)
Index("ix_blocks_uri", blocks.c.uri)

# Whom a local actor does not want to meet in lists. `until` NULL: until it is taken back.
mutes = Table(
    "mutes",
    metadata,
    Column("actor_id", BigInteger, ForeignKey("actors.id"), primary_key=True, autoincrement=False),
    Column("target_id", BigInteger, ForeignKey("actors.id"), primary_key=True, autoincrement=False),
    Column("notifications", Boolean, nullable=False, server_default=text("true")),
    Column("until", BigInteger, index=True),
    Column("at", BigInteger, nullable=False),
)

# The same of everybody on a host, for one local actor.
host_mutes = Table(
    "host_mutes",
    metadata,
    Column("actor_id", BigInteger, ForeignKey("actors.id"), primary_key=True, autoincrement=False),
    Column("host", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
)

# The admin's word on a host and every name under it (`domain/moderation.HostRule`).
host_rules = Table(
    "host_rules",
    metadata,
    Column("host", Text, primary_key=True),
    Column("action", String(16), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("private_note", Text, nullable=False, server_default=""),
    Column("is_public", Boolean, nullable=False, server_default=text("false")),
    Column("at", BigInteger, nullable=False),
    Column("by", BigInteger),
)

# Words that somebody does not want to read (`domain/moderation.Filter`). `places`: names with spaces between.
filters = Table(
    "filters",
    metadata,
    _id(),
    Column("actor_id", BigInteger, ForeignKey("actors.id"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("places", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("until", BigInteger, index=True),
)

filter_words = Table(
    "filter_words",
    metadata,
    _id(),
    Column("filter_id", BigInteger, ForeignKey("filters.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("word", Text, nullable=False),
    Column("whole", Boolean, nullable=False, server_default=text("true")),
)

# Links by which somebody may make an account. `made_by`: an account; NULL: from the shell.
invites = Table(
    "invites",
    metadata,
    _id(),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("made_by", BigInteger),
    Column("note", Text, nullable=False, server_default=""),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False, server_default="0"),
    Column("until", BigInteger),
)

# Who asked for an account and has none yet (`domain/sign_ups.Applicant`). The token confirms the e-mail address.
applicants = Table(
    "applicants",
    metadata,
    _id(),
    Column("username", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("email", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("is_to_be_asked", Boolean, nullable=False),
    Column("invite_id", BigInteger),
    Column("agreed_policy", Integer),
    Column("token_hash", String(64), unique=True),
    Column("at", BigInteger, nullable=False),
)

# Links that do one thing for one account, once: a new password, a new e-mail address. A later one ends an earlier one.
one_time_links = Table(
    "one_time_links",
    metadata,
    Column("account_id", BigInteger, ForeignKey("accounts.id"), primary_key=True, autoincrement=False),
    Column("purpose", String(16), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("email", Text, nullable=False, server_default=""),
    Column("until", BigInteger, nullable=False),
)
