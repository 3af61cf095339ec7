import { createPublicKey, generateKeyPair } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { jwkThumbprint, signingKeyOf } from "../../format/jwk.ts";
import type { SigningKey } from "../../format/jwk.ts";
import { parseWith } from "../../format/schema.ts";
import { rsaPublicJwkSchema } from "../../format/skr/release-key.ts";
import type { KekRuntimeData } from "../../format/skr/release-key.ts";

const makePair = promisify(generateKeyPair);
const RSA_BITS = 3072;

/** The keys that a TEE makes to be given a KEK; the private halves never leave it. */
export type KekTeeKeys = {
  /** RSA-3072: Key Vault releases to nothing else. */
  readonly encryption: KeyObject;
  readonly signing: SigningKey;
};

/** Makes fresh keys off this thread: RSA-3072 to receive a KEK, P-256 to sign the result. */
export async function makeKekTeeKeys(): Promise<KekTeeKeys> {
  const [rsa, ec] = await Promise.all([
    makePair("rsa", { modulusLength: RSA_BITS }),
    makePair("ec", { namedCurve: "P-256" }),
  ]);
  return { encryption: rsa.privateKey, signing: signingKeyOf(ec.privateKey) };
}

/** The runtime data that the Evidence binds. @see docs/protocol.md section "Release of a KEK" */
export function kekRuntimeDataOf(options: {
  readonly keys: KekTeeKeys;
  /** 32 bytes, base64url. */
  readonly nonce: string;
  readonly jobDigest: string;
}): KekRuntimeData {
  const { keys, nonce, jobDigest } = options;
  const { kty, n, e } = createPublicKey(keys.encryption).export({ format: "jwk" });
  const encryption = parseWith(rsaPublicJwkSchema, { kty, n, e }, { what: "the TEE's RSA key" });
  const { publicJwk, keyId } = keys.signing;
  return {
    nonce,
    "tee-pubkey": encryption,
    keys: [
      { ...encryption, kid: jwkThumbprint(encryption), key_ops: ["encrypt"] },
      { ...publicJwk, kid: keyId, use: "sig" },
    ],
    "job-digest": jobDigest,
  };
}
