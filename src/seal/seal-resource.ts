import { randomBytes } from "node:crypto";
import type { Secret } from "../base/index.ts";
import type { KekPublicKey } from "../format/kek.ts";
import { encryptResource } from "../format/resource-cipher.ts";
import type { Resource } from "../format/resource.ts";
import { makeLocalKey, wrapLocalKey } from "../key/wrap.ts";

/**
 * Seals a resource's content, 1 byte to 64 KiB, for a KEK's public key, under a local key that is made
 * for it alone. `content` stays the caller's.
 * @throws format.too_large key.public_key
 * @see docs/format.md section "Resources"
 */
export function sealResource(options: {
  readonly path: string;
  readonly version: number;
  readonly content: Secret;
  readonly kek: KekPublicKey;
}): Resource {
  const { kek, ...rest } = options;
  const { localKey, localKeyId } = makeLocalKey();
  using secret = localKey;
  const key = wrapLocalKey({ localKey: secret, localKeyId, kek });
  const iv = Uint8Array.from(randomBytes(12));
  return encryptResource({ ...rest, localKey: secret, key, iv });
}
