import { setImmediate } from "node:timers/promises";
import { createPublicKey } from "node:crypto";
import { PpmlError } from "../../base/error.ts";
import { Secret } from "../../base/secret.ts";
import { type Clock, toTimestamp } from "../../base/time.ts";
import type { KekPublicKey, Mode } from "../../format/kek.ts";
import { dataVersionOf } from "../checked-schema.ts";
import { kekPublicKeyOf } from "../public-key.ts";
import type { RootKey, VaultRoot } from "../root-key.ts";
import { checkNewKek, refuseExportable } from "../new-kek.ts";
import type { KekInfo, KekRelease, NewKek, UnwrapRequest, Vault } from "../vault.ts";
import { wrapKeyHsm } from "../wrap-key-hsm.ts";
import { type BackupChanges, changesBetween, decodeBackup, encodeBackup } from "./backup.ts";
import {
  addKek,
  addVersion,
  destroy,
  findKek,
  findUsable,
  refuseTaken,
  setState,
  type Target,
} from "./changes.ts";
import { inTransaction } from "./database.ts";
import { createVaultFile, type UnlockedFile, unlockVaultFile } from "./file.ts";
import { embeddedKekId, nameOfKekId } from "./kek-id.ts";
import {
  decryptPrivateKey,
  encryptPrivateKey,
  type KeyPair,
  makeKeyPair,
  type PrivateKeyPlace,
  unwrapWith,
} from "./private-key.ts";
import {
  type KekRow,
  loadState,
  policyOf,
  replaceState,
  saveState,
  type VaultState,
  type VersionRow,
} from "./records.ts";
import { checkedPolicyOf, checkKekRelease } from "./release-kek.ts";

/**
 * Makes an embedded vault in a new file of mode 0600 and opens it; its mode never changes.
 * A root-key file is made before, with `createRootKeyFile`; a passphrase has 8 bytes or more.
 * @throws key.vault_exists key.vault_missing key.vault_io key.vault_locked key.not_permitted
 */
export async function createEmbeddedVault(options: {
  readonly path: string;
  readonly mode: Mode;
  readonly root: VaultRoot;
  readonly clock?: Clock;
}): Promise<EmbeddedVault> {
  const created = toTimestamp((options.clock ?? Date.now)());
  await createVaultFile({ ...options, created });
  return openEmbeddedVault(options);
}

/**
 * Opens an embedded vault and verifies all that its file says.
 * @throws key.vault_missing key.vault_invalid key.vault_locked key.vault_io
 */
export async function openEmbeddedVault(options: {
  readonly path: string;
  readonly root: VaultRoot;
  readonly clock?: Clock;
}): Promise<EmbeddedVault> {
  return new EmbeddedVault(await unlockVaultFile(options), options.clock ?? Date.now);
}

/**
 * The vault in one SQLite file. Each method works on the file's present state, so that several
 * processes may use one vault at once. @see docs/vault.md
 */
export class EmbeddedVault implements Vault {
  readonly mode: Mode;
  readonly vaultId: string;
  readonly #file: UnlockedFile;
  readonly #clock: Clock;
  #closed = false;
  #verified: { readonly dataVersion: number; readonly state: VaultState } | null = null;

  constructor(file: UnlockedFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.mode = file.header.mode;
    this.vaultId = file.header.vault_id;
  }

  /** The vault's root key, for the signing keys that lie beside the vault; valid until it is closed. */
  get root(): RootKey {
    return this.#open().root;
  }

  async createKek(options: NewKek): Promise<KekInfo> {
    const { name, kind, purpose = null, bits = 3072 } = checkNewKek(options);
    const release_policy = checkedPolicyOf(options);
    refuseTaken(this.#load(), name); // before the work of making a key
    using pair = await makeKeyPair(bits);
    return this.#change(name, (state) => {
      const created = toTimestamp(this.#clock());
      const { kekVersion: current_version } = pair;
      const rest = { release_policy, purpose, state: "enabled" as const, created, current_version };
      const kek: KekRow = { name, kind, ...rest };
      return addKek(state, { kek, version: this.#versionRow(kek, { pair, number: 1 }) });
    });
  }

  async listKeks(): Promise<readonly KekInfo[]> {
    const state = this.#load();
    return state.keks.map((kek) => infoOf(state, kek.name));
  }

  async showKek(kekId: string): Promise<KekInfo> {
    return infoOf(this.#load(), this.#nameOf(kekId));
  }

  async publicKey(kekId: string, kekVersion?: string): Promise<KekPublicKey> {
    const target = { name: this.#nameOf(kekId), version: kekVersion };
    const { kek, version } = findUsable(this.#load(), target);
    const spki = version.public_key;
    return kekPublicKeyOf({ kekId, kind: kek.kind, mode: this.mode, spki });
  }

  async unwrap(request: UnwrapRequest): Promise<Secret> {
    const [secret] = await this.unwrapAll([request]);
    if (secret === undefined) throw new PpmlError("base.internal", "one request, no answer");
    return secret;
  }

  async unwrapAll(requests: readonly UnwrapRequest[]): Promise<readonly Secret[]> {
    const state = this.#load();
    const byVersion = new Map<VersionRow, { kek: KekRow; indexes: number[] }>();
    for (const [index, request] of requests.entries()) {
      const target = { name: this.#nameOf(request.kekId), version: request.kekVersion };
      const { kek, version } = findUsable(state, target);
      refuseExportable(kek.kind, request.kekId);
      const group = byVersion.get(version) ?? { kek, indexes: [] };
      group.indexes.push(index);
      byVersion.set(version, group);
    }
    const secrets = new Map<number, Secret>();
    try {
      for (const [version, { kek, indexes }] of byVersion) {
        const privateKey = this.#privateKey(kek, version);
        for (const index of indexes) {
          const request = requests[index];
          if (request !== undefined) secrets.set(index, unwrapWith(privateKey, request));
          await setImmediate(); // RSA takes milliseconds on this thread: let others in between
        }
      }
    } catch (error) {
      for (const secret of secrets.values()) secret[Symbol.dispose]();
      throw error;
    }
    return requests.flatMap((_, index) => secrets.get(index) ?? []);
  }

  async disableKek(kekId: string, kekVersion?: string): Promise<KekInfo> {
    const target: Target = { name: this.#nameOf(kekId), version: kekVersion };
    return this.#change(target.name, (state) => setState(state, target, "disabled"));
  }

  async enableKek(kekId: string, kekVersion?: string): Promise<KekInfo> {
    const target: Target = { name: this.#nameOf(kekId), version: kekVersion };
    return this.#change(target.name, (state) => setState(state, target, "enabled"));
  }

  async rotateKek(kekId: string): Promise<KekInfo> {
    const name = this.#nameOf(kekId);
    const { version } = findUsable(this.#load(), { name });
    using pair = await makeKeyPair(bitsOf(version.public_key));
    return this.#change(name, (state) => {
      const { kek, versions } = findKek(state, name);
      const number = (versions.at(-1)?.number ?? 0) + 1;
      return addVersion(state, this.#versionRow(kek, { pair, number }));
    });
  }

  /** This vault's policies are fixed from the making: there is nothing to do. @throws key.not_permitted */
  async fixReleasePolicy(kekId: string): Promise<KekInfo> {
    const info = await this.showKek(kekId);
    if (info.kind === "exportable") return info;
    throw new PpmlError("key.not_permitted", `the KEK ${kekId} is unwrap-only: it has no policy`);
  }

  async destroyKek(kekId: string, kekVersion?: string): Promise<KekInfo> {
    const target: Target = { name: this.#nameOf(kekId), version: kekVersion };
    return this.#change(target.name, (state) => destroy(state, target));
  }

  /**
   * Gives the private half of a version of an exportable KEK, wrapped for the TEE's key that the
   * decision names: `key_hsm` in Key Vault's form, which `unwrapKeyHsm` reads.
   * @throws key.not_found key.disabled key.destroyed key.not_permitted key.vault_mode
   */
  async releaseKek(decision: KekRelease): Promise<string> {
    const target = { name: this.#nameOf(decision.kekId), version: decision.kekVersion };
    const { kek, version } = findUsable(this.#load(), target);
    checkKekRelease(decision, { mode: this.mode, policy: policyOf(kek) });
    const privateKey = this.#privateKey(kek, version);
    using pkcs8 = Secret.take(privateKey.export({ type: "pkcs8", format: "der" }));
    return wrapKeyHsm(pkcs8, { target: decision.target, wrap: decision.wrap });
  }

  /** An encrypted copy of the vault as it is now: the bytes of a backup file. @see docs/vault.md */
  backup(): Uint8Array {
    return encodeBackup(this.#load(), this.root);
  }

  /** What `restore` with this backup would change here. @throws as `restore` */
  compareBackup(bytes: Uint8Array): BackupChanges {
    const now = this.#load();
    return changesBetween(now, decodeBackup(bytes, { root: this.root, identity: now.header }));
  }

  /**
   * Puts the vault back to a backup of it, in one transaction; the revision rises all the same. What
   * was destroyed or disabled since works again, and versions made since are gone: ask first.
   * @throws key.backup key.vault_io
   */
  restore(bytes: Uint8Array): void {
    const file = this.#open();
    const { db, path } = file;
    const { dataVersion, state } = inTransaction({ db, path, write: true }, () => {
      const before = this.#state();
      const backup = decodeBackup(bytes, { root: this.root, identity: before.header });
      replaceState(file, { backup, revision: before.header.revision });
      return { dataVersion: dataVersionOf(db), state: loadState(file) };
    });
    this.#verified = { dataVersion, state };
  }

  /** Closes the file and zeroes the keys; the vault cannot be used after. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    const { db, macKey, encryptionKey, root } = this.#file;
    for (const secret of [macKey, encryptionKey, root]) secret[Symbol.dispose]();
    db.close();
  }

  #open(): UnlockedFile {
    if (!this.#closed) return this.#file;
    throw new PpmlError("key.vault_locked", `the vault ${this.vaultId} was closed: open it again`);
  }

  #nameOf(kekId: string): string {
    return nameOfKekId(this.vaultId, kekId);
  }

  #load(): VaultState {
    const { db, path } = this.#open();
    return inTransaction({ db, path, write: false }, () => this.#state());
  }

  /** The present state, inside a transaction; verified anew only where another process changed it. */
  #state(): VaultState {
    const file = this.#open();
    const dataVersion = dataVersionOf(file.db);
    if (this.#verified?.dataVersion !== dataVersion)
      this.#verified = { dataVersion, state: loadState(file) };
    return this.#verified.state;
  }

  #change(name: string, change: (state: VaultState) => VaultState): KekInfo {
    const file = this.#open();
    const { db, path } = file;
    const { dataVersion, state } = inTransaction({ db, path, write: true }, () => {
      const before = this.#state();
      const after = change(before);
      const stored = after === before ? before : saveState(file, after);
      return { dataVersion: dataVersionOf(db), state: stored };
    });
    // Only now: a transaction that was rolled back must leave no trace here.
    this.#verified = { dataVersion, state };
    return infoOf(state, name);
  }

  #versionRow(kek: KekRow, made: { readonly pair: KeyPair; readonly number: number }): VersionRow {
    const { spki, kekVersion, pkcs8 } = made.pair;
    const place = this.#place(kek, kekVersion);
    const { nonce, ciphertext } = encryptPrivateKey(this.#open().encryptionKey, { place, pkcs8 });
    return {
      name: kek.name,
      number: made.number,
      version: kekVersion,
      state: "enabled",
      created: toTimestamp(this.#clock()),
      public_key: spki,
      nonce,
      private_key: ciphertext,
    };
  }

  #privateKey(kek: KekRow, version: VersionRow) {
    const { nonce, private_key: ciphertext } = version;
    if (nonce === null || ciphertext === null)
      throw new PpmlError(
        "key.destroyed",
        `version ${version.version} has no private key any more`,
      );
    const place = this.#place(kek, version.version);
    return decryptPrivateKey(this.#open().encryptionKey, { place, nonce, ciphertext });
  }

  #place(kek: KekRow, kekVersion: string): PrivateKeyPlace {
    const { vaultId, mode } = this;
    const { kind, release_policy: releasePolicy } = kek;
    const kekId = embeddedKekId(vaultId, kek.name);
    return { vaultId, mode, kekId, kekVersion, kind, releasePolicy };
  }
}

function infoOf(state: VaultState, name: string): KekInfo {
  const { kek, versions } = findKek(state, name);
  const { vault_id: vaultId, mode } = state.header;
  return {
    kekId: embeddedKekId(vaultId, name),
    name,
    kind: kek.kind,
    releasePolicy: policyOf(kek),
    mode,
    purpose: kek.purpose,
    state: kek.state,
    recoverableUntil: null,
    created: kek.created,
    currentVersion: kek.current_version,
    versions: versions.map((row) => ({
      kekVersion: row.version,
      number: row.number,
      bits: bitsOf(row.public_key),
      state: row.state,
      created: row.created,
    })),
  };
}

function bitsOf(spki: Uint8Array): number {
  const key = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  const details = createPublicKey({ key, format: "der", type: "spki" }).asymmetricKeyDetails;
  return details?.modulusLength ?? 0;
}
