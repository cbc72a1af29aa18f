"""What servers of the fediverse call themselves when they fetch: the form is that of the file named beside it, the host is ours.

Hosts are chosen badly on purpose where a name of an AI agent could stand in them.
"""

from __future__ import annotations

FEDIVERSE: tuple[tuple[str, str], ...] = (
    ("http.rb/4.4.1 (Mastodon/3.1.1; +https://opencode.example/)", "mastodon/mastodon lib/mastodon/version.rb (3.x)"),
    ("Mastodon/4.3.8 (http.rb/5.2.0; +https://art.example/)", "mastodon/mastodon lib/mastodon/version.rb (4.x)"),
    ("Mastodon/4.3.8 (http.rb/5.2.0; +https://art.example/) Bot", "mastodon/mastodon app/services/fetch_link_card_service.rb"),
    ("PixelFedBot/1.0.0 (Pixelfed/0.12.5; +https://Code.example)", "pixelfed/pixelfed app/Services/ActivityPubFetchService.php"),
    ("Misskey/2026.8.0 (https://cohere-ai.example)", "misskey-dev/misskey packages/backend/src/config.ts"),
    ("gotosocial/0.22.1 (+https://newsai.example)", "superseriousbusiness/gotosocial internal/transport/controller.go"),
    ("Pleroma 2.9.1; https://wpbot.example <admin@quillbot.com>", "pleroma/pleroma lib/pleroma/application.ex"),
    ("Akkoma 3.15.2; https://art.example <admin@omgili.example>", "akkoma/akkoma lib/pleroma/application.ex"),
    ("Lemmy/0.19.8; +https://bigsur.ai", "LemmyNet/lemmy crates/utils/src/request.rs"),
    ("PeerTube/7.3.0 (+https://Devin.example)", "Chocobozzz/PeerTube server/core/helpers/requests.ts"),
    ("Friendica 'Interrupted Fern' 2024.12-1576; https://Trae.example", "friendica/friendica src/Factory/HttpClientFactory.php"),
    ("BookWyrm (BookWyrm/0.8.1; +https://Cursor.example)", "bookwyrm-social/bookwyrm bookwyrm/settings.py"),
    ("Fedify/2.3.6 (Node.js/24.1.0; +https://OpenAI.example/)", "fedify-dev/fedify packages/vocab-runtime/src/request.ts"),
    ("python-requests (funkwhale/1.4.0; +https://img2dataset.example)", "funkwhale api/funkwhale_api/common/session.py"),
    ("Go (WriteFreely/0.16.0; +https://anthropic-ai.example)", "writefreely/writefreely app.go"),
    (
        "Iceshrimp.NET/2025.1 (+https://meta-externalagent.example/)",
        "iceshrimp/Iceshrimp.NET Iceshrimp.Backend/Core/Configuration",
    ),
    ("honksnonk/5.0; YaK.example", "honk activity.go"),
    ("ktistec/3.2.4 (+https://github.com/toddsundsted/ktistec)", "toddsundsted/ktistec src/framework/open.cr"),
    ("Takahe/0.11.0 (NeoDB/0.12; +https://art.example/)", "jointakahe/takahe takahe/settings.py"),
    ("microblogpub/2.0.0+1a2b3c4d", "microblog.pub app/config.py"),
    ("kbinBot v0.1 - https://kbin.pub", "kbin src/Service/ActivityPub/ApHttpClient.php"),
    ("NodeBB/4.x (https://forum.example)", "NodeBB/NodeBB src/request.js"),
    ("WordPress/6.8.1; https://GPTBot.example; ActivityPub", "Automattic/wordpress-activitypub includes/class-http.php"),
    ("fediart/0.4.0 (+https://ClaudeBot.example)", "fediart fediart/instance.py"),
)
"""(User-Agent, where its form was read)."""
