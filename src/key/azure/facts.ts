import { createPublicKey } from "node:crypto";
import type { JsonWebKey, KeyReleasePolicy } from "@azure/keyvault-keys";
import { toBase64Url } from "../../base/bytes.ts";
import { isPpmlError, PpmlError } from "../../base/error.ts";
import type { KekKind } from "../../format/kek.ts";
import { parseJson } from "../../format/jcs.ts";
import { parseSkrPolicy } from "../../format/skr/skr-policy.ts";
import type { SkrPolicy } from "../../format/skr/skr-policy.ts";
import { kekVersionOf, MAX_KEK_BITS, MIN_KEK_BITS } from "../public-key.ts";

/** Operations of each kind of KEK: what a key may do is what it was made with, never what a tag says. */
export const KEY_OPERATIONS = {
  "unwrap-only": ["wrapKey", "unwrapKey"],
  exportable: ["wrapKey"],
} as const satisfies Readonly<Record<KekKind, readonly string[]>>;

/** What a key of Key Vault is, as far as a KEK goes. */
export type KekFacts = {
  readonly kind: KekKind;
  readonly spki: Uint8Array;
  readonly kekVersion: string;
  readonly bits: number;
  readonly releasePolicy: SkrPolicy | null;
  /** Of an exportable KEK: whether nobody can change the policy any more. True for the other kind. */
  readonly isFixed: boolean;
};

/** What never changes of a version. */
export type PublicHalf = Pick<KekFacts, "kekVersion" | "bits"> & {
  /** Null where only the version's tags tell of it. */
  readonly spki: Uint8Array | null;
};

type KeyLike = {
  readonly key?: JsonWebKey;
  readonly keyOperations?: readonly string[];
  readonly properties: {
    readonly exportable?: boolean;
    readonly releasePolicy?: KeyReleasePolicy;
  };
};

/**
 * What a key of Key Vault is; null where it is none of a KEK's form: another type or size, operations
 * of neither kind, an exportable key that the vault also unwraps or decrypts with.
 */
export function factsOf(found: KeyLike): KekFacts | null {
  const { key, properties } = found;
  const operations = new Set(found.keyOperations ?? key?.keyOps ?? []);
  const kind: KekKind = properties.exportable === true ? "exportable" : "unwrap-only";
  const allowed: readonly string[] = KEY_OPERATIONS[kind];
  if ([...operations].some((operation) => !allowed.includes(operation))) return null;
  if (kind === "unwrap-only" && !operations.has("unwrapKey")) return null;
  const spki = spkiOf(key);
  if (spki === null) return null;
  const releasePolicy = kind === "exportable" ? policyOf(properties.releasePolicy) : null;
  if (kind === "exportable" && releasePolicy === null) return null;
  return {
    kind,
    ...spki,
    kekVersion: kekVersionOf(spki.spki),
    releasePolicy,
    isFixed: kind === "unwrap-only" || properties.releasePolicy?.immutable === true,
  };
}

/** A KEK's release policy as Key Vault has it; null where it is not in the grammar. */
function policyOf(policy: KeyReleasePolicy | undefined): SkrPolicy | null {
  if (policy?.encodedPolicy === undefined) return null;
  try {
    return parseSkrPolicy(parseJson(Uint8Array.from(policy.encodedPolicy), "release policy"));
  } catch (error) {
    if (isPpmlError(error)) return null;
    throw error;
  }
}

/**
 * Refuses to seal for an exportable KEK whose policy can still be changed: whoever may change keys
 * could then give it to a TEE of their own.
 * @throws key.not_permitted
 */
export function requireFixed(facts: KekFacts, kekId: string): void {
  if (facts.isFixed) return;
  throw new PpmlError(
    "key.not_permitted",
    `the release policy of ${kekId} can still be changed, so nothing is sealed for it: look at it with \`ppml key show\`, then fix it for ever with \`ppml key fix-policy\``,
    { detail: { kekId } },
  );
}

function spkiOf(
  key: JsonWebKey | undefined,
): { readonly spki: Uint8Array; readonly bits: number } | null {
  if (key?.n === undefined || key.e === undefined) return null;
  const n = toBase64Url(withoutZeros(key.n));
  if (toBase64Url(withoutZeros(key.e)) !== "AQAB") return null;
  try {
    const publicKey = createPublicKey({ key: { kty: "RSA", n, e: "AQAB" }, format: "jwk" });
    const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
    if (bits < MIN_KEK_BITS || bits > MAX_KEK_BITS) return null;
    return { spki: new Uint8Array(publicKey.export({ type: "spki", format: "der" })), bits };
  } catch {
    return null;
  }
}

/** One modulus has one form: leading zeros are of a service's own making. */
function withoutZeros(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  return Uint8Array.from(first < 0 ? [] : bytes.subarray(first));
}
