import { CompactEncrypt } from "jose/jwe/compact/encrypt";
import { CompactSign } from "jose/jws/compact/sign";
import { PpmlError, Secret, sha256, toHex, toTimestamp } from "../base/index.ts";
import { encodeGrantBundle, grantSchema, GRANT_JWE_TYPE, GRANT_JWS_TYPE } from "../format/grant.ts";
import type { Grant, ManifestFloor } from "../format/grant.ts";
import { encodeJcs } from "../format/jcs.ts";
import { ecPublicKeyOf, jwkThumbprint } from "../format/jwk.ts";
import type { SigningKey } from "../format/jwk.ts";
import { parseWith } from "../format/schema.ts";
import type { Envelope } from "../format/signed-object.ts";
import type { ReleaseDecision } from "./decide.ts";

const GRANT_LIFETIME_MS = 300_000;

/** A release key with its certificate: a signed object of kind release-key by the release root. */
export type CertifiedReleaseKey = { readonly key: SigningKey; readonly certificate: Envelope };

/**
 * Makes the answer of a release: a JWE in compact form to the recipient's P-256 key, holding a JWS
 * by the release key over the grant, and the local keys as bytes.
 * `keys` are the unwrapped keys in the order of `decision.keys`, 32 bytes each; they stay the caller's.
 * @throws base.internal where a key has another length or one is missing
 * @see docs/protocol.md "Grant"; RFC 7516, RFC 7515, RFC 7518 section 4.6
 */
export async function sealGrant(options: {
  readonly decision: ReleaseDecision;
  readonly keys: readonly Secret[];
  readonly floors: readonly ManifestFloor[];
  readonly logIndex: number;
  readonly releaseKey: CertifiedReleaseKey;
  readonly nowMs: number;
}): Promise<string> {
  const { decision, releaseKey } = options;
  using joined = joinKeys(options.keys, decision.keys.length);
  const grant = grantOf(options, toHex(joined.expose((bytes) => sha256(bytes))));
  const jws = await new CompactSign(encodeJcs(grant))
    .setProtectedHeader({ alg: "ES256", kid: releaseKey.key.keyId, typ: GRANT_JWS_TYPE })
    .sign(releaseKey.key.privateKey);
  using bundle = Secret.take(
    joined.expose((bytes) =>
      encodeGrantBundle({ certificate: releaseKey.certificate, jws }, bytes),
    ),
  );
  // jose makes the ephemeral key, the CEK and the IV itself, from the CSPRNG (RFC 7516 section 5.1).
  // The await keeps the bytes until jose has read them; a bare return would zero them before.
  return await bundle.expose((bytes) =>
    new CompactEncrypt(bytes)
      .setProtectedHeader({
        alg: "ECDH-ES+A256KW",
        enc: "A256GCM",
        kid: grant.recipient,
        typ: GRANT_JWE_TYPE,
      })
      .encrypt(ecPublicKeyOf(decision.recipient)),
  );
}

function grantOf(
  options: Omit<Parameters<typeof sealGrant>[0], "keys">,
  keysDigest: string,
): Grant {
  const { decision, floors, logIndex, nowMs } = options;
  return parseWith(
    grantSchema,
    {
      v: 1,
      mode: decision.mode,
      nonce: decision.nonce,
      request: decision.request,
      policy: decision.policy,
      recipient: jwkThumbprint(decision.recipient),
      keys: decision.keys.map(({ id, kekId, kekVersion }) => ({ id, kekId, kekVersion })),
      keysDigest,
      floors,
      logIndex,
      issuedAt: toTimestamp(nowMs),
      expiresAt: toTimestamp(nowMs + GRANT_LIFETIME_MS),
    },
    { what: "grant", code: "base.internal" },
  );
}

function joinKeys(keys: readonly Secret[], count: number): Secret {
  if (keys.length !== count)
    throw new PpmlError("base.internal", `expected ${count} keys, came ${keys.length}`);
  const joined = new Uint8Array(32 * count);
  for (const [index, key] of keys.entries()) {
    if (key.byteLength !== 32)
      throw new PpmlError("base.internal", `expected a key of 32 bytes, came ${key.byteLength}`);
    key.expose((bytes) => joined.set(bytes, 32 * index));
  }
  return Secret.take(joined);
}
