import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { ecPublicJwkOf, jwkThumbprint, signingKeyOf } from "../format/jwk.ts";
import type { SigningKey } from "../format/jwk.ts";
import type { RuntimeData } from "../format/runtime-data.ts";

/** The keys that a TEE makes for one job; the private halves never leave it. */
export type TeeKeys = {
  readonly encryption: KeyObject;
  readonly signing: SigningKey;
};

/** Makes fresh P-256 keys: one to receive keys, one to sign the result. */
export function makeTeeKeys(): TeeKeys {
  const encryption = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const signing = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  return { encryption, signing: signingKeyOf(signing) };
}

/** The runtime data that the Evidence binds. @see docs/protocol.md section "Runtime data" */
export function runtimeDataOf(options: {
  readonly keys: TeeKeys;
  readonly nonce: string;
  readonly jobDigest: string;
}): RuntimeData {
  const encryption = ecPublicJwkOf(options.keys.encryption);
  const { publicJwk, keyId } = options.keys.signing;
  return {
    nonce: options.nonce,
    "tee-pubkey": encryption,
    keys: [
      { ...encryption, kid: jwkThumbprint(encryption), use: "enc" },
      { ...publicJwk, kid: keyId, use: "sig" },
    ],
    "job-digest": options.jobDigest,
  };
}
