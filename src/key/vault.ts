import type { Secret } from "../base/secret.ts";
import type { AttestationResultData } from "../format/attestation-result.ts";
import type { KekKind, KekPublicKey, Mode } from "../format/kek.ts";
import type { KeyHsmWrap } from "../format/skr/key-hsm.ts";
import type { RsaPublicJwk } from "../format/skr/release-key.ts";
import type { SkrPolicy } from "../format/skr/skr-policy.ts";

/**
 * What a KEK or one of its versions may do. A deleted one does nothing, and whoever may recover keys in
 * its vault can bring it back until it is purged; a destroyed one never comes back.
 */
export type KekState = "enabled" | "disabled" | "deleted" | "destroyed";

/** One version of a KEK: its id, its place in the order of rotation (from 1) and its state. */
export type KekVersionInfo = {
  readonly kekVersion: string;
  readonly number: number;
  /** Modulus length in bits. */
  readonly bits: number;
  readonly state: KekState;
  /** RFC 3339, UTC. */
  readonly created: string;
};

/** What a vault tells of a KEK: never key bytes. */
export type KekInfo = {
  readonly kekId: string;
  readonly name: string;
  readonly kind: KekKind;
  /** Under which the KEK may be released: fixed when it is made. Null for an unwrap-only KEK. */
  readonly releasePolicy: SkrPolicy | null;
  readonly mode: Mode;
  /** What the KEK is for, in its owner's words; null where nothing was said. */
  readonly purpose: string | null;
  readonly state: KekState;
  /** RFC 3339, UTC: when a deleted KEK is purged. Null for others. */
  readonly recoverableUntil: string | null;
  /** RFC 3339, UTC. */
  readonly created: string;
  /** The version that sealing uses. */
  readonly currentVersion: string;
  /** Oldest first. */
  readonly versions: readonly KekVersionInfo[];
};

/**
 * What a new KEK is to be: its name is kebab-case, `[a-z0-9-]{1,63}`. An exportable one has a release
 * policy, which nothing changes later.
 */
export type NewKek = {
  readonly name: string;
  /** At most 200 characters, no control characters. */
  readonly purpose?: string;
  /** Modulus length; 3072 where it is not given. */
  readonly bits?: 3072 | 4096;
} & (
  | { readonly kind: "unwrap-only"; readonly releasePolicy?: never }
  | { readonly kind: "exportable"; readonly releasePolicy: SkrPolicy }
);

declare const kekReleaseBrand: unique symbol;

/**
 * The decision that one version of an exportable KEK may leave the vault, for one key of one TEE.
 * Only `releaseKek` of stage `release` makes one: a vault decides nothing by itself.
 */
export type KekRelease = {
  readonly mode: Mode;
  readonly kekId: string;
  readonly kekVersion: string;
  /** SHA-256 (hex) of the JCS form of the policy that was evaluated: it must be the KEK's own. */
  readonly policyDigest: string;
  /** The TEE's own RSA key, which the Evidence binds, and its id there. */
  readonly target: { readonly keyId: string; readonly jwk: RsaPublicJwk };
  readonly wrap: KeyHsmWrap;
  readonly nonce: string;
  readonly attestation: AttestationResultData;
  readonly [kekReleaseBrand]: true;
};

/** One wrapped local key and the KEK version that it names. */
export type UnwrapRequest = {
  readonly kekId: string;
  readonly kekVersion: string;
  /** RSA-OAEP-256 ciphertext; its length is the KEK's modulus. */
  readonly wrapped: Uint8Array;
};

/**
 * The one port of all vaults: it keeps KEKs and unwraps local keys with them.
 * An adapter acknowledges a change (its promise resolves) only when it is durable.
 * A method rejects with `key.not_found` for ids and versions that the vault does not have.
 */
export type Vault = Disposable & {
  /** Fixed when the vault is made. */
  readonly mode: Mode;
  /** The vault's own id: the part of its KEK ids that names it. */
  readonly vaultId: string;

  /**
   * Makes a KEK with a first version; a destroyed KEK's name is not free again.
   * @throws key.exists key.not_permitted
   */
  readonly createKek: (options: NewKek) => Promise<KekInfo>;

  /** All KEKs in the order of their names, destroyed ones included. */
  readonly listKeks: () => Promise<readonly KekInfo[]>;

  /** One KEK. @throws key.not_found */
  readonly showKek: (kekId: string) => Promise<KekInfo>;

  /**
   * The public half of a version (the current one where none is named), for sealing.
   * @throws key.not_found key.disabled key.destroyed
   */
  readonly publicKey: (kekId: string, kekVersion?: string) => Promise<KekPublicKey>;

  /**
   * Unwraps one local key of exactly 32 bytes. An exportable KEK is never unwrapped with: it is
   * released, or of no use.
   * @throws key.not_found key.disabled key.destroyed key.not_permitted key.unwrap_failed
   */
  readonly unwrap: (request: UnwrapRequest) => Promise<Secret>;

  /**
   * Unwraps many local keys, in the order given: all or none.
   * @throws key.not_found key.disabled key.destroyed key.not_permitted key.unwrap_failed
   */
  readonly unwrapAll: (requests: readonly UnwrapRequest[]) => Promise<readonly Secret[]>;

  /**
   * Stops the use of a KEK, or of one version; repeating it changes nothing.
   * @throws key.not_found key.destroyed
   */
  readonly disableKek: (kekId: string, kekVersion?: string) => Promise<KekInfo>;

  /** Allows the use again; repeating it changes nothing. @throws key.not_found key.destroyed */
  readonly enableKek: (kekId: string, kekVersion?: string) => Promise<KekInfo>;

  /**
   * Makes a new current version of the same size; older ones unwrap until they are destroyed.
   * @throws key.not_found key.disabled key.destroyed
   */
  readonly rotateKek: (kekId: string) => Promise<KekInfo>;

  /**
   * Fixes the release policy of an exportable KEK for ever, as it is, where the vault has one that can
   * still be changed; repeating it changes nothing.
   * @throws key.not_found key.not_permitted for an unwrap-only KEK
   */
  readonly fixReleasePolicy: (kekId: string) => Promise<KekInfo>;

  /**
   * Destroys a KEK, or one version that is not the current one; repeating it changes nothing. A vault
   * that only deletes at first says `deleted`, and until when that can be undone; one that knows no
   * destroying of versions refuses that. Copies and backups of the vault are not reached.
   * @throws key.not_found key.not_permitted
   */
  readonly destroyKek: (kekId: string, kekVersion?: string) => Promise<KekInfo>;
};
