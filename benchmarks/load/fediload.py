"""fediload: a small load generator + fake remote server for ActivityPub servers (own code, see README.md).

Needs only: aiohttp, cryptography, pillow (for `upload`).  Every sub-command prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import random
import resource
import signal
import ssl
import statistics
import tempfile
import time
from collections import Counter
from email.utils import formatdate
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from benchmarks.load import loopback

AS = "https://www.w3.org/ns/activitystreams"
PUBLIC = AS + "#Public"
AP_TYPE = "application/activity+json"
KEYFILE = os.environ.get("FEDILOAD_KEY", os.path.join(tempfile.gettempdir(), f"fediload-{os.getuid()}.pem"))


# ---------------------------------------------------------------- keys and signatures
def load_key():
    """One RSA-2048 key for every fake actor (distinct keyIds); made on first use."""
    if not os.path.exists(KEYFILE):
        k = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        tmp = f"{KEYFILE}.{os.getpid()}"
        with open(tmp, "wb") as f:
            f.write(k.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        os.replace(tmp, KEYFILE)
    with open(KEYFILE, "rb") as f:
        return serialization.load_pem_private_key(f.read(), None)


KEY = load_key()
PUB = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def signed_headers(method: str, url: str, key_id: str, body: bytes | None = None) -> dict[str, str]:
    """draft-cavage-http-signatures, rsa-sha256, over (request-target) host date [digest content-type]."""
    u = urlsplit(url)
    target = u.path + (f"?{u.query}" if u.query else "")
    h = {"host": u.netloc, "date": formatdate(usegmt=True)}
    names = ["(request-target)", "host", "date"]
    if body is not None:
        h["digest"] = "SHA-256=" + base64.b64encode(hashlib.sha256(body).digest()).decode()
        h["content-type"] = AP_TYPE
        names += ["digest", "content-type"]
    text = "\n".join(f"{n}: {method.lower()} {target}" if n == "(request-target)" else f"{n}: {h[n]}" for n in names)
    sig = base64.b64encode(KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    h["signature"] = f'keyId="{key_id}",algorithm="rsa-sha256",headers="{" ".join(names)}",signature="{sig}"'
    h["accept"] = AP_TYPE
    h["user-agent"] = "fediload/1.0"
    return h


def actor_url(handle: str) -> str:
    user, host = handle.lstrip("@").split("@")
    return f"https://{host}/users/{user}"


def session(limit: int = 64) -> aiohttp.ClientSession:
    ctx = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, ssl=ctx, ttl_dns_cache=3600), timeout=aiohttp.ClientTimeout(total=120)
    )


async def ap_get(s: aiohttp.ClientSession, url: str, as_actor: str) -> dict:
    async with s.get(url, headers=signed_headers("GET", url, as_actor + "#main-key")) as r:
        if r.status != 200:
            raise SystemExit(f"GET {url}: {r.status} {(await r.text())[:200]}")
        return json.loads(await r.text())


async def ap_post(s: aiohttp.ClientSession, url: str, as_actor: str, doc: dict) -> tuple[int, str]:
    body = json.dumps(doc).encode()
    async with s.post(url, data=body, headers=signed_headers("POST", url, as_actor + "#main-key", body)) as r:
        return r.status, (await r.text())[:200]


def share(xs: list[float], q: float) -> float:
    """The value that a share `q` of the sorted list lies below."""
    return xs[min(len(xs) - 1, int(q * len(xs)))]


def stats_of(xs: list[float], unit=1000.0) -> dict:
    xs = sorted(xs)
    return {
        "n": len(xs),
        "median": round(statistics.median(xs) * unit, 2),
        "p95": round(share(xs, 0.95) * unit, 2),
        "p99": round(share(xs, 0.99) * unit, 2),
        "min": round(xs[0] * unit, 2),
        "max": round(xs[-1] * unit, 2),
    }


# ---------------------------------------------------------------- the fake remote server / sink
class Remote:
    def __init__(self, shared: bool, debug: bool):
        self.shared, self.debug = shared, debug
        self.open = Counter()
        self.reset()

    def reset(self):
        self.count, self.inboxes, self.types, self.times, self.ids = 0, set(), {}, [], set()
        self.gets, self.first, self.last = 0, None, None
        self.arrived, self.most_open = {}, dict(self.open)

    def base(self, req):
        return f"https://{req.host}"

    def actor(self, base, name):
        me = f"{base}/users/{name}"
        d = {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": me,
            "type": "Person",
            "preferredUsername": name,
            "name": name,
            "summary": "",
            "url": me,
            "inbox": me + "/inbox",
            "outbox": me + "/outbox",
            "followers": me + "/followers",
            "following": me + "/following",
            "manuallyApprovesFollowers": False,
            "discoverable": True,
            "published": "2024-01-01T00:00:00Z",
            "publicKey": {"id": me + "#main-key", "owner": me, "publicKeyPem": PUB},
        }
        if self.shared:
            d["endpoints"] = {"sharedInbox": base + "/inbox"}
        return d

    async def h_actor(self, req):
        self.gets += 1
        return web.json_response(self.actor(self.base(req), req.match_info["name"]), content_type=AP_TYPE)

    async def h_coll(self, req):
        self.gets += 1
        return web.json_response(
            {"@context": AS, "id": self.base(req) + req.path, "type": "OrderedCollection", "totalItems": 0, "orderedItems": []},
            content_type=AP_TYPE,
        )

    async def h_note(self, req):
        self.gets += 1
        base = self.base(req)
        doc = note(f"{base}/users/{req.match_info['name']}", req.match_info["nid"])
        return web.json_response(dict(doc, **{"@context": AS}), content_type=AP_TYPE)

    async def h_finger(self, req):
        self.gets += 1
        res = req.query.get("resource", "")
        name = res.removeprefix("acct:").split("@")[0] if res.startswith("acct:") else res.rstrip("/").split("/")[-1]
        return web.json_response(
            {
                "subject": f"acct:{name}@{req.host}",
                "links": [{"rel": "self", "type": AP_TYPE, "href": f"{self.base(req)}/users/{name}"}],
            },
            content_type="application/jrd+json",
        )

    async def h_ni(self, req):
        return web.json_response(
            {"links": [{"rel": "http://nodeinfo.diaspora.software/ns/schema/2.0", "href": self.base(req) + "/nodeinfo/2.0"}]}
        )

    async def h_ni2(self, req):
        return web.json_response(
            {
                "version": "2.0",
                "software": {"name": "fediload", "version": "1.0"},
                "protocols": ["activitypub"],
                "services": {"inbound": [], "outbound": []},
                "openRegistrations": False,
                "usage": {"users": {"total": 1}},
                "metadata": {},
            }
        )

    async def h_inbox(self, req):
        now = time.time()
        body = await req.read()
        try:
            doc = json.loads(body)
        except ValueError:
            return web.Response(status=400)
        self.count += 1
        self.inboxes.add(req.host + req.path)
        self.arrived.setdefault(req.host + req.path, now)
        t = doc.get("type")
        self.types[t] = self.types.get(t, 0) + 1
        obj = doc.get("object")
        if t == "Create":
            self.ids.add(obj.get("id") if isinstance(obj, dict) else obj)
            self.first = self.first or now
            self.last = now
            self.times.append(now)
        if self.debug:
            print(t, req.host + req.path, json.dumps(doc)[:1500], "SIG" if req.headers.get("signature") else "NOSIG", flush=True)
        if t == "Follow":
            asyncio.get_running_loop().create_task(self.accept(doc))
        return web.Response(status=202)

    @contextlib.contextmanager
    def hanging_at(self, host):
        self.open[host] += 1
        self.most_open[host] = max(self.most_open.get(host, 0), self.open[host])
        try:
            yield
        finally:
            self.open[host] -= 1

    async def h_hang(self, req):
        with self.hanging_at(req.host):
            await asyncio.Event().wait()

    async def h_silence(self, reader, writer):
        """A connection to which nothing is ever said."""
        host, port = writer.get_extra_info("sockname")[:2]
        with self.hanging_at(f"{host}:{port}"), contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()

    async def h_arrivals(self, req):
        return web.json_response({"at": self.arrived, "most_open": self.most_open})

    async def accept(self, follow):
        me = follow["object"] if isinstance(follow["object"], str) else follow["object"]["id"]
        await asyncio.sleep(0.3)
        async with session(4) as s:
            who = follow["actor"] if isinstance(follow["actor"], str) else follow["actor"]["id"]
            peer = await ap_get(s, who, me)
            st = await ap_post(
                s,
                peer["inbox"],
                me,
                {"@context": AS, "id": f"{me}#accept-{time.time_ns()}", "type": "Accept", "actor": me, "object": follow},
            )
            print("Accept sent to", peer["inbox"], st, flush=True)

    async def h_stats(self, req):
        return web.json_response(
            {
                "count": self.count,
                "creates": self.types.get("Create", 0),
                "types": self.types,
                "inboxes": len(self.inboxes),
                "objects": len(self.ids),
                "gets": self.gets,
                "first": self.first,
                "last": self.last,
                "times": self.times,
            }
        )

    async def h_reset(self, req):
        self.reset()
        return web.Response(text="ok")


def note(me: str, nid: str, extra_cc: list[str] | None = None) -> dict:
    return {
        "id": f"{me}/notes/{nid}",
        "type": "Note",
        "attributedTo": me,
        "published": iso(),
        "to": [PUBLIC],
        "cc": [me + "/followers"] + (extra_cc or []),
        "content": f"<p>fediload {nid} " + "lorem ipsum " * 12 + "</p>",
        "sensitive": False,
        "tag": [],
        "attachment": [],
        "url": f"{me}/notes/{nid}",
    }


def iso():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def tls_of(file):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    return tls


def cmd_serve(a):
    r = Remote(a.shared_inbox, a.debug)
    numbers = range(a.hosts)
    stuck = {f"{loopback.address(n)}:{a.port}" for n in numbers if loopback.hangs(n, a.hanging)}

    @web.middleware
    async def hang(req, handler):
        return await (r.h_hang(req) if req.host in stuck else handler(req))

    async def listen_in_silence(app):
        for n in numbers:
            if loopback.is_silent(n, a.hanging):
                await asyncio.start_server(r.h_silence, loopback.address(n), a.port)

    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    app = web.Application(client_max_size=2**24, middlewares=[hang] if stuck else [])
    app.on_startup.append(listen_in_silence)
    app.add_routes(
        [
            web.get("/.well-known/webfinger", r.h_finger),
            web.get("/.well-known/nodeinfo", r.h_ni),
            web.get("/nodeinfo/2.0", r.h_ni2),
            web.get("/users/{name}", r.h_actor),
            web.get("/users/{name}/notes/{nid}", r.h_note),
            web.post("/users/{name}/inbox", r.h_inbox),
            web.post("/inbox", r.h_inbox),
            web.get("/_stats", r.h_stats),
            web.get("/_arrivals", r.h_arrivals),
            web.post("/_reset", r.h_reset),
            *[web.get("/users/{name}/" + c, r.h_coll) for c in ("outbox", "followers", "following", "featured")],
        ]
    )
    tls = tls_of(a.cert) if a.cert else None
    hosts = [loopback.address(n) for n in numbers if not loopback.is_silent(n, a.hanging)] or [a.host]
    asyncio.run(serve_at(app, hosts, a.port, lambda host: tls_of(os.path.join(a.certs, f"{host}.pem")) if a.certs else tls))


async def serve_at(app, hosts, port, tls):
    """Until SIGTERM. Whoever hangs up is noticed at once."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    for host in hosts:
        await web.TCPSite(runner, host, port, ssl_context=tls(host)).start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    await over.wait()
    await runner.cleanup()


# ---------------------------------------------------------------- client API helpers
def auth(a):
    return {"authorization": f"Bearer {a.token}"}


async def api(s, a, method, path, **kw):
    async with s.request(method, a.api.rstrip("/") + path, headers=auth(a), **kw) as r:
        t = await r.text()
        if r.status >= 400:
            raise SystemExit(f"{method} {path}: {r.status} {t[:300]}")
        return json.loads(t), r


async def cmd_follow(a):
    async with session() as s:
        d, _ = await api(s, a, "GET", "/api/v2/search", params={"q": a.who, "resolve": "true", "type": "accounts", "limit": "5"})
        want = a.who.lstrip("@").lower()
        acc = [x for x in d["accounts"] if x["acct"].lower() == want or x["url"] == a.who] or d["accounts"]
        if not acc:
            raise SystemExit(f"search found nobody for {a.who}: {d}")
        await api(s, a, "POST", f"/api/v1/accounts/{acc[0]['id']}/follow")
        rel = {}
        for _ in range(60):
            rel, _r = await api(s, a, "GET", "/api/v1/accounts/relationships", params={"id[]": acc[0]["id"]})
            rel = rel[0]
            if rel.get("following"):
                break
            await asyncio.sleep(0.5)
        return {"account": acc[0]["acct"], "following": rel.get("following"), "requested": rel.get("requested")}


async def home_all(s, a, want_tag: str, n: int) -> tuple[int, int]:
    """Page through home; number of distinct posts whose content holds want_tag, and requests made."""
    seen, max_id, reqs, dry = set(), None, 0, 0
    while len(seen) < n:
        p = {"limit": "40"}
        if max_id:
            p["max_id"] = max_id
        page, _ = await api(s, a, "GET", "/api/v1/timelines/home", params=p)
        reqs += 1
        if not page:
            break
        before = len(seen)
        seen.update(x["uri"] for x in page if want_tag in (x.get("content") or ""))
        dry = 0 if len(seen) > before else dry + 1
        if dry >= 3 or page[-1]["id"] == max_id:
            break
        max_id = page[-1]["id"]
    return len(seen), reqs


async def cmd_inbox(a):
    """N signed Create{Note} to one inbox; then count how many the follower really sees in the home timeline."""
    me, run = actor_url(a.sender), f"r{int(time.time())}x{random.randrange(10**6)}"
    async with session(a.concurrency) as s:
        target = await ap_get(s, a.target, me) if a.target else None
        inbox = a.inbox or ((target.get("endpoints") or {}).get("sharedInbox") if a.shared else None) or target["inbox"]
        cc = [a.target] if a.cc_target else []
        reqs = []
        for i in range(a.n):
            nt = note(me, f"{run}-{i}", cc)
            body = json.dumps(
                {
                    "@context": AS,
                    "id": nt["id"] + "/activity",
                    "type": "Create",
                    "actor": me,
                    "published": nt["published"],
                    "to": nt["to"],
                    "cc": nt["cc"],
                    "object": nt,
                }
            ).encode()
            reqs.append((body, signed_headers("POST", inbox, me + "#main-key", body)))
        lat, codes, errs = [], {}, {}
        it = iter(reqs)

        async def worker():
            for body, h in it:
                t = time.perf_counter()
                try:
                    async with s.post(inbox, data=body, headers=h) as r:
                        txt = await r.text()
                        codes[r.status] = codes.get(r.status, 0) + 1
                        if r.status >= 300:
                            errs[txt[:120]] = errs.get(txt[:120], 0) + 1
                except Exception as e:  # counted, not hidden
                    codes[type(e).__name__] = codes.get(type(e).__name__, 0) + 1
                lat.append(time.perf_counter() - t)

        t0 = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(a.concurrency)])
        t_ack = time.perf_counter() - t0
        out = {
            "inbox": inbox,
            "n": a.n,
            "concurrency": a.concurrency,
            "codes": codes,
            "errors": dict(list(errs.items())[:3]),
            "ack_seconds": round(t_ack, 3),
            "acks_per_s": round(a.n / t_ack, 1),
            "ack_ms": stats_of(lat),
        }
        if a.token:
            got, last_change, passes = 0, time.perf_counter(), 0
            while True:
                k, _ = await home_all(s, a, run, a.n)
                passes += 1
                now = time.perf_counter()
                if k > got:
                    got, last_change = k, now
                if got >= a.n or now - last_change > a.settle:
                    break
                await asyncio.sleep(a.poll)
            out.update(
                visible=got,
                visible_seconds=round(last_change - t0, 3),
                visible_per_s=round(got / (last_change - t0), 1),
                passes=passes,
            )
        return out


async def cmd_timeline(a):
    async with session(a.concurrency) as s:
        url = a.api.rstrip("/") + a.path

        async def one():
            t = time.perf_counter()
            async with s.get(url, headers=auth(a)) as r:
                b = await r.read()
            return time.perf_counter() - t, r.status, b

        _, st, b = await one()
        try:
            items = len(json.loads(b))
        except ValueError:
            items = None
        lat = [(await one())[0] for _ in range(a.n)]
        left, lat2, bad = [a.n * 2], [], 0

        async def worker():
            nonlocal bad
            while left[0] > 0:
                left[0] -= 1
                d, st_, _b = await one()
                lat2.append(d)
                bad += st_ != 200

        t0 = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(a.concurrency)])
        el = time.perf_counter() - t0
        return {
            "status": st,
            "items": items,
            "bytes": len(b),
            "sequential_ms": stats_of(lat),
            "concurrent": {
                "concurrency": a.concurrency,
                "req_per_s": round(len(lat2) / el, 1),
                "ms": stats_of(lat2),
                "not_200": bad,
            },
        }


def jpeg12(seed: int, width: int = 4000) -> bytes:
    """A JPEG of 12 MP and about 4 MB, or as much smaller as its width says: grain over a gradient, each seed another."""
    from PIL import Image, ImageFilter

    rnd = random.Random(seed)
    im = (
        Image.effect_noise((width // 2, width * 3 // 8), 60)
        .convert("RGB")
        .resize((width, width * 3 // 4), Image.BICUBIC)
        .filter(ImageFilter.GaussianBlur(1))
    )
    g = Image.linear_gradient("L").resize((width, width * 3 // 4))
    im = Image.merge("RGB", (im.getchannel(0), g, Image.eval(g, lambda v: (v * 7 + rnd.randrange(256)) % 256)))
    b = io.BytesIO()
    im.save(b, "JPEG", quality=90)
    return b.getvalue()


async def cmd_upload(a):
    imgs = [jpeg12(i) for i in range(a.n)]
    up, post, tot = [], [], []
    async with session() as s:
        for im in imgs:
            t0 = time.perf_counter()
            f = aiohttp.FormData()
            f.add_field("file", im, filename="art.jpg", content_type="image/jpeg")
            f.add_field("description", "a test picture")
            m, r = await api(s, a, "POST", a.media_path, data=f)
            if r.status == 202 or not m.get("url"):
                for _ in range(600):
                    m2, r2 = await api(s, a, "GET", f"/api/v1/media/{m['id']}")
                    if r2.status == 200 and m2.get("url"):
                        break
                    await asyncio.sleep(0.05)
            t1 = time.perf_counter()
            await api(
                s,
                a,
                "POST",
                "/api/v1/statuses",
                data={"status": f"picture {time.time()}", "media_ids[]": m["id"], "visibility": "public"},
            )
            t2 = time.perf_counter()
            up.append(t1 - t0), post.append(t2 - t1), tot.append(t2 - t0)
    return {"jpeg_bytes": len(imgs[0]), "upload_ms": stats_of(up), "post_ms": stats_of(post), "total_ms": stats_of(tot)}


async def cmd_followers(a):
    """N fake followers (f0..fN-1) spread over `hosts` sink host names follow the target."""
    async with session(a.concurrency) as s:
        first = f"https://s000.{a.domain}/users/f0"
        target = await ap_get(s, a.target, first)
        codes, it = {}, iter(range(a.n))

        async def worker():
            for i in it:
                me = f"https://s{i % a.hosts:03d}.{a.domain}/users/f{i}"
                st, _ = await ap_post(
                    s,
                    target["inbox"],
                    me,
                    {"@context": AS, "id": f"{me}/follow-{time.time_ns()}", "type": "Follow", "actor": me, "object": a.target},
                )
                codes[st] = codes.get(st, 0) + 1

        t0 = time.perf_counter()
        await asyncio.gather(*[worker() for _ in range(a.concurrency)])
        el = time.perf_counter() - t0
        stx = {}
        for _ in range(int(a.wait)):
            async with s.get(a.sink + "/_stats") as r:
                stx = await r.json()
            if stx["types"].get("Accept", 0) >= a.n:
                break
            await asyncio.sleep(1)
        return {"codes": codes, "seconds": round(el, 2), "accepts_seen": stx["types"].get("Accept", 0), "types": stx["types"]}


async def cmd_fanout(a):
    res = []
    async with session() as s:
        for _ in range(a.n):
            async with s.post(a.sink + "/_reset"):
                pass
            t0 = time.time()
            await api(s, a, "POST", "/api/v1/statuses", data={"status": f"fan-out {t0}", "visibility": "public"})
            t_api = time.time() - t0
            st, quiet = {}, time.time()
            while True:
                async with s.get(a.sink + "/_stats") as r:
                    new = await r.json()
                if new["creates"] != st.get("creates"):
                    quiet = time.time()
                st = new
                if st["creates"] >= a.expect or time.time() - quiet > a.settle:
                    break
                await asyncio.sleep(0.1)
            ts = sorted(st["times"])
            at = [round(share(ts, q) - t0, 3) if ts else None for q in (0, 0.5, 0.95, 1)]
            res.append(
                {
                    "api_ms": round(t_api * 1000, 1),
                    "deliveries": st["creates"],
                    "inboxes": st["inboxes"],
                    "first_s": at[0],
                    "half_s": at[1],
                    "p95_s": at[2],
                    "last_s": at[3],
                }
            )
            await asyncio.sleep(a.pause)
    last = [r["last_s"] for r in res if r["last_s"] is not None]
    return {"runs": res, "median_last_s": statistics.median(last) if last else None}


def main():
    p = argparse.ArgumentParser(prog="fediload")
    sub = p.add_subparsers(dest="cmd", required=True)
    q = sub.add_parser("serve")
    q.add_argument("--host", default="127.0.0.1")
    q.add_argument("--hosts", type=int, default=0, help="listen on 127.0.1.1, 127.0.1.2 ... instead: so many hosts")
    q.add_argument("--hanging", type=float, default=0, help="share of those hosts that never answer")
    q.add_argument("--port", type=int, default=18086)
    q.add_argument("--shared-inbox", action="store_true")
    q.add_argument("--debug", action="store_true")
    q.add_argument("--cert", help="certificate and key in one PEM file: speak https")
    q.add_argument("--certs", help="folder with such a file for each host, ADDRESS.pem")

    def cli(name):
        q = sub.add_parser(name)
        q.add_argument("--api", required=name != "inbox")
        q.add_argument("--token", required=name != "inbox")
        return q

    q = cli("follow")
    q.add_argument("--who", required=True)
    q = cli("inbox")
    q.add_argument("--sender", default="artist@load.test")
    q.add_argument("--target")
    q.add_argument("--inbox")
    q.add_argument("--shared", action="store_true")
    q.add_argument("--cc-target", action="store_true")
    q.add_argument("-n", type=int, default=500)
    q.add_argument("-c", "--concurrency", type=int, default=8)
    q.add_argument("--settle", type=float, default=20)
    q.add_argument("--poll", type=float, default=1.5, help="seconds between passes over the home timeline")
    q = cli("timeline")
    q.add_argument("--path", default="/api/v1/timelines/home?limit=20")
    q.add_argument("-n", type=int, default=100)
    q.add_argument("-c", "--concurrency", type=int, default=8)
    q = cli("upload")
    q.add_argument("-n", type=int, default=5)
    q.add_argument("--media-path", default="/api/v2/media")
    q = sub.add_parser("followers")
    q.add_argument("--target", required=True)
    q.add_argument("-n", type=int, default=500)
    q.add_argument("--hosts", type=int, default=120)
    q.add_argument("--domain", default="sink.test")
    q.add_argument("-c", "--concurrency", type=int, default=8)
    q.add_argument("--sink", default="http://127.0.0.1:18086")
    q.add_argument("--wait", type=float, default=60)
    q = cli("fanout")
    q.add_argument("-n", type=int, default=3)
    q.add_argument("--expect", type=int, default=500)
    q.add_argument("--sink", default="http://127.0.0.1:18086")
    q.add_argument("--settle", type=float, default=30)
    q.add_argument("--pause", type=float, default=2)
    a = p.parse_args()
    if a.cmd == "serve":
        cmd_serve(a)
        return
    print(json.dumps(asyncio.run(globals()["cmd_" + a.cmd](a))))


if __name__ == "__main__":
    main()
