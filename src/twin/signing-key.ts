import { createHash, createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { SIGNING_KEYS } from "./state-kinds.ts";
import type { TwinState } from "./state.ts";

/** An RSA-2048 key that a service signs tokens with (RS256). */
export type SigningKey = { readonly kid: string; readonly privateKey: KeyObject };

const makePair = promisify(generateKeyPair);

/** A new key in the form that the state keeps. */
export async function createSigningKey(): Promise<{
  readonly kid: string;
  readonly privateKeyPem: string;
}> {
  const { privateKey, publicKey } = await makePair("rsa", { modulusLength: 2048 });
  const kid = createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("base64url");
  return { kid, privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** The key of a service, made at its first use. */
export async function openSigningKey(state: TwinState, name: string): Promise<SigningKey> {
  let stored = state.get(SIGNING_KEYS, name);
  if (stored === null) {
    const made = await createSigningKey();
    stored = state.transaction(() => {
      // Another call may have made one meanwhile, and its tokens are out.
      const first = state.get(SIGNING_KEYS, name) ?? made;
      state.put(SIGNING_KEYS, name, first);
      return first;
    });
  }
  return { kid: stored.kid, privateKey: createPrivateKey(stored.privateKeyPem) };
}

/** A key's public half in a JWK Set. @see RFC 7517 section 5 */
export function publicJwk(key: SigningKey): Readonly<Record<string, unknown>> {
  const { n, e } = createPublicKey(key.privateKey).export({ format: "jwk" });
  return { kty: "RSA", use: "sig", alg: "RS256", kid: key.kid, n, e };
}
