import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { decodeProtectedHeader } from "jose/decode/protected_header";
import { compactDecrypt } from "jose/jwe/compact/decrypt";
import { compactVerify } from "jose/jws/compact/verify";
import { fromTimestamp, PpmlError, Secret, sha256, toHex } from "../base/index.ts";
import {
  GRANT_JWE_TYPE,
  GRANT_JWS_TYPE,
  grantSchema,
  parseGrantBundle,
  releaseKeySchema,
} from "../format/grant.ts";
import type { Grant, ReleaseKey } from "../format/grant.ts";
import { parseCanonicalJson } from "../format/jcs.ts";
import { ecPublicJwkOf, ecPublicKeyOf, jwkThumbprint } from "../format/jwk.ts";
import type { Mode } from "../format/kek.ts";
import { parseWith } from "../format/schema.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { verifyObject } from "../format/signed-object.ts";

/** How far the clocks of broker and TEE may lie apart. */
const CLOCK_SKEW_MS = 60_000;
const MAX_JWE_LENGTH = 16 * 1024 * 1024;

/** An answer that was opened and checked: dispose it to zero its keys. */
export type OpenedGrant = Disposable & {
  readonly grant: Grant;
  /** The released local keys, 32 bytes each, by their id. */
  readonly keys: ReadonlyMap<string, Secret>;
};

/** What the asking side knows of its own request. */
export type ExpectedGrant = {
  readonly nonce: string;
  readonly requestKind: "job" | "owner";
  /** Digest of the signed job or owner's request, hex. */
  readonly requestDigest: string;
  readonly mode: Mode;
};

/**
 * Opens a release's answer with the private key that it is encrypted to, and checks who made it
 * (a release key certified by `releaseRoot`) and for what (nonce, request, recipient, mode, time).
 * @throws release.response for anything that is not the answer to this request
 * @see docs/protocol.md "Grant"
 */
export async function openGrant(options: {
  readonly jwe: string;
  readonly recipientKey: KeyObject;
  readonly releaseRoot: EcPublicJwk;
  readonly expected: ExpectedGrant;
  readonly nowMs: number;
}): Promise<OpenedGrant> {
  try {
    using plaintext = await decrypt(options.jwe, options.recipientKey);
    // A view that lives as long as `plaintext`: the checks in between are asynchronous.
    const { certificate, jws, keys } = parseGrantBundle(plaintext.expose((bytes) => bytes));
    const { payload: releaseKey } = verifyObject({
      kind: "release-key",
      schema: releaseKeySchema,
      envelope: certificate,
      signers: [options.releaseRoot],
    });
    checkCertificate(releaseKey, options);
    const grant = await verifyGrant(jws, releaseKey.jwk);
    checkGrant(grant, { ...options, releasedBytes: keys });
    return opened(grant, keys);
  } catch (cause) {
    if (cause instanceof PpmlError && cause.code === "release.response") throw cause;
    throw refused(
      "it is not in the form, or not signed by a key, that the protocol demands",
      cause,
    );
  }
}

async function decrypt(jwe: string, recipientKey: KeyObject): Promise<Secret> {
  if (jwe.length > MAX_JWE_LENGTH) throw refused(`it is longer than ${MAX_JWE_LENGTH} characters`);
  // Only these members: no compression, no critical extension, no PartyInfo, no key by reference.
  requireHeader(jwe, ["alg", "enc", "epk", "kid", "typ"]);
  const { plaintext, protectedHeader } = await compactDecrypt(jwe, recipientKey, {
    keyManagementAlgorithms: ["ECDH-ES+A256KW"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  if (protectedHeader.typ !== GRANT_JWE_TYPE) throw refused("its JWE is of another type");
  return Secret.take(plaintext);
}

async function verifyGrant(jws: string, releaseKey: EcPublicJwk): Promise<Grant> {
  requireHeader(jws, ["alg", "kid", "typ"]);
  const { payload, protectedHeader } = await compactVerify(jws, ecPublicKeyOf(releaseKey), {
    algorithms: ["ES256"],
  });
  if (protectedHeader.typ !== GRANT_JWS_TYPE || protectedHeader.kid !== jwkThumbprint(releaseKey))
    throw refused("its JWS is of another type, or names another key");
  return parseWith(grantSchema, parseCanonicalJson(payload, "grant"), { what: "grant" });
}

function requireHeader(token: string, members: readonly string[]): void {
  const names = Object.keys(decodeProtectedHeader(token)).sort();
  if (names.join(" ") !== members.join(" "))
    throw refused(`expected the header members ${members.join(", ")}; came ${names.join(", ")}`);
}

function checkCertificate(
  releaseKey: ReleaseKey,
  context: { readonly expected: ExpectedGrant; readonly nowMs: number },
): void {
  const { expected, nowMs } = context;
  if (releaseKey.mode !== expected.mode)
    throw refused(`its release key is for ${releaseKey.mode}, this TEE is for ${expected.mode}`);
  const { notBefore, notAfter } = releaseKey;
  if (!isWithin(nowMs, { from: notBefore, to: notAfter }))
    throw refused(
      `its release key is valid from ${notBefore} to ${notAfter}: compare the clocks, or restart the broker to renew it`,
    );
}

function checkGrant(
  grant: Grant,
  context: {
    readonly recipientKey: KeyObject;
    readonly expected: ExpectedGrant;
    readonly nowMs: number;
    readonly releasedBytes: Uint8Array;
  },
): void {
  const { expected, releasedBytes } = context;
  const recipient = jwkThumbprint(ecPublicJwkOf(createPublicKey(context.recipientKey)));
  if (grant.mode !== expected.mode) throw refused(`it is for ${grant.mode}`);
  if (grant.nonce !== expected.nonce) throw refused("it answers another nonce");
  if (grant.request.kind !== expected.requestKind)
    throw refused(`it answers a request of kind ${grant.request.kind}`);
  if (grant.request.digest !== expected.requestDigest) throw refused("it answers another request");
  if (grant.recipient !== recipient) throw refused("it names another recipient");
  if (!isWithin(context.nowMs, { from: grant.issuedAt, to: grant.expiresAt }))
    throw refused(`it is valid from ${grant.issuedAt} to ${grant.expiresAt}: compare the clocks`);
  if (releasedBytes.byteLength !== 32 * grant.keys.length)
    throw refused(`it lists ${grant.keys.length} keys and holds ${releasedBytes.byteLength} bytes`);
  if (new Set(grant.keys.map((key) => key.id)).size !== grant.keys.length)
    throw refused("it lists a key twice");
  if (toHex(sha256(releasedBytes)) !== grant.keysDigest)
    throw refused("its key bytes are not those that were signed for");
}

function isWithin(nowMs: number, time: { readonly from: string; readonly to: string }): boolean {
  return (
    nowMs + CLOCK_SKEW_MS >= fromTimestamp(time.from) &&
    nowMs - CLOCK_SKEW_MS <= fromTimestamp(time.to)
  );
}

function opened(grant: Grant, bytes: Uint8Array): OpenedGrant {
  const keys = new Map(
    grant.keys.map((key, index) => [
      key.id,
      Secret.copy(bytes.subarray(32 * index, 32 * (index + 1))),
    ]),
  );
  return {
    grant,
    keys,
    [Symbol.dispose]: () => {
      for (const key of keys.values()) key[Symbol.dispose]();
    },
  };
}

function refused(why: string, cause?: unknown): PpmlError {
  return new PpmlError("release.response", `the broker's answer is refused: ${why}`, { cause });
}
