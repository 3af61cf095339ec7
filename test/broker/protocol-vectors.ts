import type { KeyObject } from "node:crypto";
import { fromUtf8 } from "../../src/base/index.ts";
import type { ReleaseRequest } from "../../src/format/protocol.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import {
  applyPolicy,
  call,
  hexOf,
  manifestOf,
  policyOf,
  postManifest,
  requestOf,
  wrapUnder,
} from "./fixture.ts";
import type { Fixture } from "./fixture.ts";
import {
  attestBody,
  auth,
  newGuestKey,
  openAnswer,
  resource,
  runtimeDigest,
} from "./rcar/guest.ts";
import type { Channel, Guest } from "./rcar/guest.ts";
import { guestOf, makeResourceFixture, PATH } from "./rcar/resource-fixture.ts";

/** One request with its answer, as both went over the wire. */
type Exchange = {
  readonly request: {
    readonly method: "GET" | "POST";
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body: unknown;
  };
  readonly response: { readonly status: number; readonly body: unknown };
};

/** Makes every vector by a broker of today: file name without its ending, and content. */
export async function protocolVectors(): Promise<Readonly<Record<string, unknown>>> {
  const fixture = await makeResourceFixture();
  try {
    await applyPolicy(fixture, policyOf(fixture));
    await postManifest(fixture, manifestOf(fixture));
    return {
      "v1-release": await releaseVector(fixture),
      "v1-refusals": await refusalVector(fixture),
      "rcar-p256": await guestVector(fixture, "P-256"),
      "rcar-p521": await guestVector(fixture, "P-521"),
      "rcar-rsa": await guestVector(fixture, "RSA"),
      "rcar-refusals": await guestRefusalVector(fixture),
    };
  } finally {
    await fixture.dispose();
  }
}

/**
 * What stays the same from run to run: members, types and every text but random ones, of which only
 * the alphabet counts.
 */
export function skeletonOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(skeletonOf);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, skeletonOf(member)]),
    );
  if (typeof value !== "string" || value.length < 16) return value;
  if (/^[0-9a-f]+$/.test(value)) return `hex of ${value.length}`;
  // Numbers in DER and JSON in JWE differ in length.
  return /^[A-Za-z0-9_+/=.-]+$/.test(value)
    ? "base64"
    : value.replaceAll(/[\w-]{43,}|[0-9a-f]{16,}/g, "*");
}

async function post(fixture: Fixture, path: string, body: unknown): Promise<Exchange> {
  const answer = await call(fixture.app, path, body);
  return {
    request: { method: "POST", path, body },
    response: { status: answer.status, body: answer.body },
  };
}

/** A job asks for three keys under two KEKs in one call. */
async function releaseVector(fixture: Fixture): Promise<unknown> {
  const { open, result } = fixture.keks;
  const wrapped = [
    await wrapUnder(fixture, open),
    await wrapUnder(fixture, open),
    await wrapUnder(fixture, result),
  ];
  const challenge = await post(fixture, "/v1/challenge", { v: 1 });
  const { nonce } = challenge.response.body as { readonly nonce: string };
  const keys = wrapped.map(({ key }) => key);
  const { request, tee, jobDigest } = await requestOf(fixture, { nonce, keys });
  const release = await post(fixture, "/v1/release", request);
  const { releaseRoot } = fixture.state.db.identity;
  const expected = {
    nonce,
    requestKind: "job",
    requestDigest: jobDigest,
    mode: "simulation",
  } as const;
  const { jwe } = release.response.body as { readonly jwe: string };
  const recipientKey = tee.encryption;
  const { nowMs } = fixture.time;
  const opened = await openGrant({ jwe, recipientKey, releaseRoot, expected, nowMs });
  return {
    what: "A job's release: challenge, batched request, answer; and what its client finds in the answer",
    nowMs,
    pinned: { releaseRoot },
    tee: {
      encryption: privateJwk(tee.encryption),
      signing: privateJwk(tee.signing.privateKey),
    },
    runtimeData: request.runtimeData,
    exchanges: [challenge, release],
    expected,
    grant: opened.grant,
    keys: wrapped.map(({ key, hex }) => ({ id: key.id, hex })),
    opens: keys.every(({ id }, index) => hexOf(opened.keys.get(id)) === wrapped[index]?.hex),
  };
}

async function refusalVector(fixture: Fixture): Promise<unknown> {
  const { request } = await requestOf(fixture);
  const other = await requestOf(fixture);
  const tries: readonly (readonly [string, unknown])[] = [
    ["another version", { ...request, v: 2 }],
    ["an unknown member", { ...request, more: 1 }],
    ["Evidence of another request", { ...request, evidence: other.request.evidence }],
    ["the nonce, spent by the try before", request],
    ["a KEK that is not granted", await ungranted(fixture)],
  ];
  const exchanges: unknown[] = [];
  for (const [what, body] of tries)
    exchanges.push({ what, ...(await post(fixture, "/v1/release", body)) });
  return { what: "Refusals of /v1/release", nowMs: fixture.time.nowMs, exchanges };
}

async function ungranted(fixture: Fixture): Promise<ReleaseRequest> {
  const { key } = await wrapUnder(fixture, fixture.keks.secret);
  return (await requestOf(fixture, { keys: [key] })).request;
}

/** A channel that keeps what went through it. */
function recorded(channel: Channel): { readonly channel: Channel; readonly exchanges: Exchange[] } {
  const exchanges: Exchange[] = [];
  return {
    exchanges,
    channel: async (sent) => {
      const reply = await channel(sent);
      const { method, path, headers, body } = sent;
      exchanges.push({
        request: { method, path, headers, body: body === null ? null : JSON.parse(body) },
        response: { status: reply.status, body: reply.json },
      });
      return reply;
    },
  };
}

function recordedGuest(fixture: Fixture, kind: "P-256" | "P-521" | "RSA" = "P-256") {
  const plain = guestOf(fixture, { key: newGuestKey(kind) });
  const { channel, exchanges } = recorded(plain.channel);
  const guest: Guest = { ...plain, channel };
  return { guest, exchanges };
}

async function guestVector(fixture: Fixture, kind: "P-256" | "P-521" | "RSA"): Promise<unknown> {
  const { guest, exchanges } = recordedGuest(fixture, kind);
  const challenge = await auth(guest);
  const cookie = (challenge.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const nonce = String(challenge.json["nonce"]);
  const body = JSON.stringify(attestBody(guest, { cookie, nonce }));
  const headers = { "content-type": "application/json", cookie };
  await guest.channel({ method: "POST", path: "/kbs/v0/attest", headers, body });
  const reply = await resource(guest, PATH, { cookie });
  return {
    what: `A guest's handshake and one resource, with a key of ${kind}`,
    nowMs: fixture.time.nowMs,
    setCookie: challenge.headers.get("set-cookie"),
    teeKey: privateJwk(guest.key.privateKey),
    runtimeDataSha384: runtimeDigest(nonce, guest.key),
    exchanges,
    content: fromUtf8(openAnswer(guest.key, reply)),
  };
}

async function guestRefusalVector(fixture: Fixture): Promise<unknown> {
  const { guest, exchanges } = recordedGuest(fixture);
  await auth(guest, { version: "0.3.0" });
  await auth({ ...guest, tee: "sample" });
  await resource(guest, PATH, {});
  await resource(guest, "only/two", {});
  return { what: "Refusals of /kbs/v0", nowMs: fixture.time.nowMs, exchanges };
}

function privateJwk(key: KeyObject): unknown {
  return key.export({ format: "jwk" });
}
