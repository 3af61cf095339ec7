import {
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  privateDecrypt,
} from "node:crypto";
import type { JsonWebKey, KeyObject } from "node:crypto";
import { request as httpsRequest } from "node:https";
import type { Hono } from "hono";
import { concatBytes, sha384, toHex, utf8 } from "../../../src/base/index.ts";
import type { WireEvidence } from "../../../src/format/protocol.ts";

// A guest in Node, written from docs/protocol.md "RCAR" and RFC 7516: of the product's code it uses
// bytes and hashes alone.

/** How a guest reaches its broker. */
export type Channel = (options: {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}) => Promise<Reply>;

export type Reply = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Members of the JSON answer. */
  readonly json: Readonly<Record<string, unknown>>;
};

/** Calls the application without a socket. */
export function directChannel(app: Hono): Channel {
  return async ({ method, path, headers, body }) => {
    const response = await app.request(path, { method, headers: { ...headers }, body });
    return replyOf(response.status, response.headers, await response.text());
  };
}

/** Calls over TLS 1.3, with the broker's certificate as the only root. */
export function tlsChannel(options: { readonly port: number; readonly ca: string }): Channel {
  const { port, ca } = options;
  return ({ method, path, headers, body }) =>
    new Promise((resolve, reject) => {
      const outgoing = httpsRequest(
        { host: "127.0.0.1", port, path, method, ca, headers, minVersion: "TLSv1.3", agent: false },
        (response) => {
          const chunks: Uint8Array[] = [];
          response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const received = new Headers();
            for (const [name, value] of Object.entries(response.headers))
              for (const one of [value ?? []].flat()) received.append(name, one);
            const text = Buffer.concat(chunks).toString("utf8");
            resolve(replyOf(response.statusCode ?? 0, received, text));
          });
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body ?? undefined);
    });
}

function replyOf(status: number, headers: Headers, text: string): Reply {
  return { status, headers, text, json: JSON.parse(text) as Record<string, unknown> };
}

export type GuestKey = { readonly privateKey: KeyObject; readonly jwk: JsonWebKey };

/** A guest's fresh key in the form in which CoCo's guests send it. */
export function newGuestKey(kind: "P-256" | "P-521" | "RSA" = "P-256"): GuestKey {
  if (kind === "RSA") {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const { n = "", e = "" } = createPublicKey(privateKey).export({ format: "jwk" });
    return { privateKey, jwk: { kty: "RSA", alg: "RSA-OAEP-256", n, e } };
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: kind });
  const { x = "", y = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  return { privateKey, jwk: { kty: "EC", crv: kind, alg: "ECDH-ES+A256KW", x, y } };
}

/** JCS of the runtime data: members in the order of their names, and no white space. */
export function runtimeBytes(nonce: string, key: GuestKey): Uint8Array {
  const sorted = Object.fromEntries(
    Object.entries(key.jwk).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  return utf8(JSON.stringify({ "additional-evidence": "", nonce, "tee-pubkey": sorted }));
}

/** The 64 bytes of report data. */
export function reportDataOf(nonce: string, key: GuestKey): Uint8Array {
  return concatBytes(sha384(runtimeBytes(nonce, key)), new Uint8Array(16));
}

export type Guest = {
  readonly key: GuestKey;
  readonly tee: string;
  readonly channel: Channel;
  readonly evidence: (reportData: Uint8Array) => unknown;
};

/** A guest of the simulated machine. */
export function simulatedGuest(options: {
  readonly channel: Channel;
  readonly report: (reportData: Uint8Array) => WireEvidence;
  readonly key?: GuestKey;
}): Guest {
  const { channel, report, key = newGuestKey() } = options;
  return {
    key,
    tee: "sim-snp",
    channel,
    evidence: (reportData) => {
      const { evidence, collateral } = report(reportData);
      return { evidence, collateral };
    },
  };
}

/** POST /kbs/v0/auth. */
export function auth(guest: Guest, changes: Record<string, unknown> = {}): Promise<Reply> {
  const body = {
    version: "0.4.0",
    tee: guest.tee,
    "extra-params": { "supported-hash-algorithms": ["sha256", "sha384", "sha512", "sm3"] },
    ...changes,
  };
  return post(guest, "/kbs/v0/auth", { body: JSON.stringify(body), headers: {} });
}

export type Session = { readonly cookie: string; readonly nonce: string };

/** A challenged session; fails where the broker refuses. */
export async function begin(guest: Guest): Promise<Session> {
  const reply = await auth(guest);
  if (reply.status !== 200) throw new Error(reply.text);
  const cookie = (reply.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  return { cookie, nonce: String(reply.json["nonce"]) };
}

/** The body of POST /kbs/v0/attest. */
export function attestBody(guest: Guest, session: Session): Record<string, unknown> {
  return {
    "init-data": null,
    "runtime-data": { nonce: session.nonce, "tee-pubkey": guest.key.jwk },
    "tee-evidence": {
      primary_evidence: guest.evidence(reportDataOf(session.nonce, guest.key)),
      additional_evidence: "",
    },
  };
}

/** POST /kbs/v0/attest. */
export function attest(
  guest: Guest,
  session: Session,
  changes: Record<string, unknown> = {},
): Promise<Reply> {
  const body = JSON.stringify({ ...attestBody(guest, session), ...changes });
  return post(guest, "/kbs/v0/attest", { body, headers: { cookie: session.cookie } });
}

/** The whole handshake; fails where the broker refuses. */
export async function handshake(guest: Guest): Promise<Session & { readonly token: string }> {
  const session = await begin(guest);
  const reply = await attest(guest, session);
  if (reply.status !== 200) throw new Error(reply.text);
  return { ...session, token: String(reply.json["token"]) };
}

/** GET /kbs/v0/resource/PATH. */
export function resource(
  guest: Pick<Guest, "channel">,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Reply> {
  return guest.channel({ method: "GET", path: `/kbs/v0/resource/${path}`, headers, body: null });
}

function post(
  guest: Pick<Guest, "channel">,
  path: string,
  options: { readonly body: string; readonly headers: Readonly<Record<string, string>> },
): Promise<Reply> {
  const headers = { "content-type": "application/json", ...options.headers };
  return guest.channel({ method: "POST", path, headers, body: options.body });
}

/**
 * Opens the answer as CoCo's guests do: the protected header is parsed, and what stands in its
 * members is written anew in their order to get the AAD.
 */
export function openAnswer(key: GuestKey, reply: Reply): Uint8Array {
  const answer = reply.json as Readonly<Record<string, string>>;
  const bytes = (name: string): Buffer => Buffer.from(answer[name] ?? "", "base64url");
  const header = JSON.parse(bytes("protected").toString("utf8")) as {
    readonly alg: string;
    readonly enc: string;
    readonly epk?: {
      readonly crv: string;
      readonly kty: string;
      readonly x: string;
      readonly y: string;
    };
  };
  const { alg, enc, epk } = header;
  const again =
    epk === undefined
      ? { alg, enc }
      : { alg, enc, epk: { crv: epk.crv, kty: epk.kty, x: epk.x, y: epk.y } };
  const aad = Buffer.from(JSON.stringify(again)).toString("base64url");
  const cek = unwrapCek(key, { epk, wrapped: bytes("encrypted_key") });
  const decipher = createDecipheriv("aes-256-gcm", cek, bytes("iv"));
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(bytes("tag"));
  return concatBytes(decipher.update(bytes("ciphertext")), decipher.final());
}

function unwrapCek(
  key: GuestKey,
  options: { readonly epk: JsonWebKey | undefined; readonly wrapped: Uint8Array },
): Uint8Array {
  const { epk, wrapped } = options;
  if (epk === undefined)
    return privateDecrypt({ key: key.privateKey, oaepHash: "sha256" }, wrapped);
  const publicKey = createPublicKey({ key: epk, format: "jwk" });
  const z = diffieHellman({ privateKey: key.privateKey, publicKey });
  const algorithm = Buffer.from("ECDH-ES+A256KW");
  const kek = createHash("sha256")
    .update(Buffer.concat([u32(1), z, u32(algorithm.length), algorithm, u32(0), u32(0), u32(256)]))
    .digest();
  const decipher = createDecipheriv("id-aes256-wrap", kek, Buffer.alloc(8, 0xa6));
  return concatBytes(decipher.update(wrapped), decipher.final());
}

/** SHA-384 of the runtime data, hex: for the vectors. */
export function runtimeDigest(nonce: string, key: GuestKey): string {
  return toHex(sha384(runtimeBytes(nonce, key)));
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}
