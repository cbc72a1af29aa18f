// Another server, written with Fedify: petra, and paula who is her new address. All state is memory. What it receives and believes
// it prints, one JSON line each; what it shall say is POSTed to /control. Run: node peer.mjs PORT PICTURE CERTIFICATE KEY
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createFederation, generateCryptoKeyPair, MemoryKvStore } from "@fedify/fedify";
import {
  Accept, Activity, Announce, Create, Delete, Document, Endpoints, Follow, isActor, Like, Move, Note, Person, PUBLIC_COLLECTION,
  Tombstone, Undo, Update,
} from "@fedify/vocab";

const [, , port, picturePath, certificatePath, keyPath] = process.argv;
const origin = `https://localhost:${port}`;
const names = ["petra", "paula"];
const keys = [await generateCryptoKeyPair("RSASSA-PKCS1-v1_5"), await generateCryptoKeyPair("Ed25519")];
const said = new Map(); // activities by id, for Undo
const notes = new Map(); // by id
const followers = { petra: [], paula: [] };
let hasMoved = false;
let former = null; // of paula's, elsewhere
let sent = []; // how each request of ours was signed, and what the answer was
let lastSent = null; // our request that went last, as it went
let last = null; // the request that came last, as it came

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const plainFetch = globalThis.fetch;
globalThis.fetch = async (request, options) => {
  const body = request.method === "POST" ? Buffer.from(await request.clone().arrayBuffer()) : null;
  const answer = await plainFetch(request, options);
  if (request.method === "POST") {
    lastSent = { url: request.url, headers: Object.fromEntries(request.headers), body: body.toString("base64") };
    const form = request.headers.has("signature-input") ? "rfc9421" : "cavage";
    sent.push({ form, status: answer.status, body: answer.ok ? "" : await answer.clone().text() });
  }
  return answer;
};

const federation = createFederation({ kv: new MemoryKvStore(), allowPrivateAddress: true, origin });

federation
  .setActorDispatcher("/users/{identifier}", async (ctx, identifier) => {
    if (!names.includes(identifier)) return null;
    const pairs = await ctx.getActorKeyPairs(identifier);
    return new Person({
      id: ctx.getActorUri(identifier),
      preferredUsername: identifier,
      name: `${identifier} of Fedify`,
      aliases: identifier === "paula" ? [ctx.getActorUri("petra"), ...(former ? [new URL(former)] : [])] : [],
      successor: identifier === "petra" && hasMoved ? ctx.getActorUri("paula") : null,
      url: new URL(`/@${identifier}`, origin),
      inbox: ctx.getInboxUri(identifier),
      endpoints: new Endpoints({ sharedInbox: ctx.getInboxUri() }),
      followers: ctx.getFollowersUri(identifier),
      publicKey: pairs[0].cryptographicKey,
      assertionMethods: pairs.map((pair) => pair.multikey),
    });
  })
  .setKeyPairsDispatcher(() => keys);

federation.setFollowersDispatcher("/users/{identifier}/followers", (ctx, identifier) => ({ items: followers[identifier] }));

federation
  .setInboxListeners("/users/{identifier}/inbox", "/inbox")
  .on(Follow, async (ctx, follow) => {
    print({ believed: await follow.toJsonLd() });
    const follower = await follow.getActor(ctx);
    if (!isActor(follower)) throw new Error("the follower is no actor");
    const identifier = ctx.parseUri(follow.objectId).identifier;
    followers[identifier].push(follower);
    const actor = ctx.getActorUri(identifier);
    const id = new URL(`#accepts/${followers[identifier].length}`, actor);
    await ctx.sendActivity({ identifier }, follower, new Accept({ id, actor, object: follow }));
  })
  .on(Create, async (ctx, create) => {
    const note = await create.getObject(ctx);
    const pictures = [];
    for await (const picture of note.getAttachments(ctx)) {
      const bytes = Buffer.from(await (await plainFetch(picture.url.href)).arrayBuffer());
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      pictures.push({ type: picture.mediaType, alt: picture.name.toString(), width: picture.width, sha256 });
    }
    print({ believed: await create.toJsonLd(), pictures });
  })
  .on(Activity, async (ctx, activity) => print({ believed: await activity.toJsonLd() }))
  .onError((ctx, problem) => process.stderr.write(`${problem?.stack ?? problem}\n`));

const build = {
  Follow: (base, order) => new Follow({ ...base, object: new URL(order.object) }),
  Like: (base, order) => new Like({ ...base, object: new URL(order.object) }),
  Announce: (base, order) => new Announce({ ...base, to: PUBLIC_COLLECTION, object: new URL(order.object) }),
  Undo: (base, order) => new Undo({ ...base, object: said.get(order.object) }),
  Create: (base, order, ctx) => {
    const audience = { to: PUBLIC_COLLECTION, cc: ctx.getFollowersUri("petra") };
    const note = new Note({
      ...audience,
      id: new URL(order.note),
      attribution: base.actor,
      content: order.content,
      replyTarget: order.object ? new URL(order.object) : null,
      attachments: (order.alt ?? []).map(
        (alt) => new Document({ mediaType: "image/jpeg", name: alt, url: new URL("/picture.jpg", origin) }),
      ),
    });
    notes.set(order.note, note);
    return new Create({ ...base, ...audience, object: note });
  },
  Update: async (base, order, ctx) => {
    const changed = { ...(await notes.get(order.note).toJsonLd(ctx)), content: order.content, updated: new Date().toISOString() };
    return new Update({ ...base, to: PUBLIC_COLLECTION, object: await Note.fromJsonLd(changed, ctx) });
  },
  Delete: (base, order) => new Delete({ ...base, to: PUBLIC_COLLECTION, object: new Tombstone({ id: new URL(order.note) }) }),
  Move: (base, order, ctx) => {
    hasMoved = true;
    return new Move({ ...base, to: ctx.getFollowersUri("petra"), object: base.actor, target: ctx.getActorUri("paula") });
  },
};

// {type, id, object?, note?, content?, alt?, recipient} -> how each request that this took was signed and answered
async function obey(order) {
  const ctx = federation.createContext(new URL(origin), undefined);
  const documentLoader = await ctx.getDocumentLoader({ identifier: "petra" });
  const recipient = await ctx.lookupObject(order.recipient, { documentLoader });
  if (!isActor(recipient)) throw new Error(`${order.recipient} is no actor`);
  const activity = await build[order.type]({ id: new URL(order.id), actor: ctx.getActorUri("petra") }, order, ctx);
  said.set(order.id, activity);
  sent = [];
  await ctx.sendActivity({ identifier: "petra" }, recipient, activity);
  return sent;
}

async function bodyOf(incoming) {
  const parts = [];
  for await (const part of incoming) parts.push(part);
  return Buffer.concat(parts);
}

async function answer(incoming) {
  const body = await bodyOf(incoming);
  if (incoming.url === "/control") return Response.json(await obey(JSON.parse(body)));
  if (incoming.url === "/paula-was") return new Response((former = body.toString()));
  if (incoming.url === "/last") return Response.json(last);
  if (incoming.url === "/last-sent") return Response.json(lastSent);
  if (incoming.url === "/picture.jpg") return new Response(readFileSync(picturePath), { headers: { "content-type": "image/jpeg" } });
  const headers = Object.entries(incoming.headers);
  if (incoming.method === "POST") last = { path: incoming.url, headers: incoming.headers, body: body.toString("base64") };
  const request = new Request(new URL(incoming.url, origin), {
    method: incoming.method,
    headers,
    body: incoming.method === "POST" ? body : undefined,
  });
  return await federation.fetch(request, { contextData: undefined });
}

const tls = { cert: readFileSync(certificatePath), key: readFileSync(keyPath) };
createServer(tls, async (incoming, outgoing) => {
  const response = await answer(incoming).catch((problem) => new Response(String(problem?.stack ?? problem), { status: 500 }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}).listen(Number(port), "127.0.0.1", () => print({ ready: origin }));
