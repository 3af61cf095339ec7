import { isRestError } from "@azure/core-rest-pipeline";
import type { DeletedKey, KeyClient, KeyProperties, KeyVaultKey } from "@azure/keyvault-keys";
import { PpmlError } from "../../base/error.ts";
import type { KekKind } from "../../format/kek.ts";
import type { SkrPolicy } from "../../format/skr/skr-policy.ts";
import { factsOf } from "./facts.ts";
import type { PublicHalf } from "./facts.ts";
import { innerCodeOf, statusOf, toVaultFailure } from "./failure.ts";
import { azureKekId } from "./kek-names.ts";
import { inBounds } from "./limited.ts";
import { readTags } from "./tags.ts";
import type { KekTags } from "./tags.ts";

/** One version of a KEK's key. */
export type LoadedVersion = {
  /** Key Vault's own id of it: 32 hex digits. */
  readonly id: string;
  readonly enabled: boolean;
  readonly created: Date;
  readonly tags: KekTags;
  /** Null where the key is disabled and its tags say nothing: Key Vault does not show it then. */
  readonly publicHalf: PublicHalf | null;
};

/** A KEK's key as Key Vault has it now. */
export type LoadedKey = {
  readonly keyName: string;
  readonly kind: KekKind;
  /** Null for an unwrap-only KEK, and for an exportable one whose current version is disabled. */
  readonly releasePolicy: SkrPolicy | null;
  /** Oldest first. */
  readonly versions: readonly LoadedVersion[];
  readonly current: LoadedVersion;
};

/** Reads keys; public halves, which never change, are kept. */
export class KeyReader {
  readonly #client: KeyClient;
  readonly #host: string;
  readonly #halves = new Map<string, PublicHalf>();

  constructor(client: KeyClient, host: string) {
    this.#client = client;
    this.#host = host;
  }

  /**
   * A key, deleted or not; null where it is none of a KEK's form.
   * @throws key.not_found key.destroyed azure.denied and others of `toVaultFailure`
   */
  async load(keyName: string): Promise<LoadedKey | null> {
    // Before the list: the SDK keeps nothing of a refused list's body, which names the missing role.
    const latest = await this.get(keyName);
    const listed = await this.#versions(keyName);
    const facts = latest === null ? null : factsOf(latest);
    // A key of another form: its current version says so, and tags do not count against that.
    if (latest !== null && facts === null) return null;
    const versions = (
      await inBounds(listed, (properties) => this.#version(keyName, properties))
    ).sort(byAge);
    const current = versions.find(({ id }) => id === latest?.properties.version) ?? versions.at(-1);
    if (current === undefined) throw this.notFound(keyName);
    const isExportable = listed.find(({ version }) => version === current.id)?.exportable === true;
    return {
      keyName,
      kind: facts?.kind ?? (isExportable ? "exportable" : "unwrap-only"),
      releasePolicy: facts?.releasePolicy ?? null,
      versions,
      current,
    };
  }

  /** A version (the current one where none is named) as it is now; null where it is disabled. */
  async get(keyName: string, version?: string): Promise<KeyVaultKey | null> {
    try {
      const key = await this.#client.getKey(keyName, version === undefined ? {} : { version });
      this.keep(key);
      return key;
    } catch (error) {
      if (isDisabled(error)) return null;
      if (statusOf(error) === 404) throw await this.missing(keyName, error);
      throw this.failure(error, `read the KEK ${azureKekId(this.#host, keyName)}`);
    }
  }

  /** A deleted key; null where it is not deleted, or the identity may not see that. */
  async deleted(keyName: string): Promise<DeletedKey | null> {
    try {
      return await this.#client.getDeletedKey(keyName);
    } catch (error) {
      const status = statusOf(error);
      if (status === 404 || status === 403) return null;
      throw this.failure(error, `look for the deleted KEK ${azureKekId(this.#host, keyName)}`);
    }
  }

  /** All deleted keys of these names, as far as the identity may see them. */
  async allDeleted(isWanted: (name: string) => boolean): Promise<readonly DeletedKey[]> {
    const names: string[] = [];
    try {
      for await (const { name } of this.#client.listDeletedKeys())
        if (isWanted(name)) names.push(name);
    } catch (error) {
      if (statusOf(error) === 403) return [];
      throw error;
    }
    return (await inBounds(names, (name) => this.deleted(name))).flatMap((key) => key ?? []);
  }

  /** Keeps what never changes of a version. */
  keep(key: KeyVaultKey): void {
    const facts = factsOf(key);
    const { version } = key.properties;
    if (facts === null || version === undefined) return;
    const { kekVersion, bits, spki } = facts;
    this.#halves.set(`${key.name}/${version}`, { kekVersion, bits, spki });
  }

  /** The error of a key that is not there: it may have been deleted. */
  async missing(keyName: string, cause: unknown): Promise<Error> {
    if (isRestError(cause) && cause.code === "ResourceNotFound")
      return this.failure(cause, "reach the vault");
    const deleted = await this.deleted(keyName);
    return deleted === null ? this.notFound(keyName) : this.destroyed(keyName, deleted);
  }

  /** The error of a deleted key. */
  destroyed(keyName: string, { properties }: DeletedKey): PpmlError {
    const kekId = azureKekId(this.#host, keyName);
    const until = properties.scheduledPurgeDate?.toISOString().slice(0, 10) ?? "its purge";
    return new PpmlError(
      "key.destroyed",
      `the KEK ${kekId} was deleted: until ${until} whoever may recover keys can bring it back (az keyvault key recover); after that nothing opens what was sealed for it alone`,
      { detail: { kekId } },
    );
  }

  notFound(keyName: string): PpmlError {
    const kekId = azureKekId(this.#host, keyName);
    return new PpmlError("key.not_found", `the vault has no KEK ${kekId}: see \`ppml key list\``, {
      detail: { kekId },
    });
  }

  failure(error: unknown, what: string): Error {
    return toVaultFailure(error, { what, host: this.#host });
  }

  async #versions(keyName: string): Promise<readonly KeyProperties[]> {
    const listed: KeyProperties[] = [];
    try {
      for await (const properties of this.#client.listPropertiesOfKeyVersions(keyName))
        listed.push(properties);
    } catch (error) {
      if (statusOf(error) === 404) throw await this.missing(keyName, error);
      throw this.failure(error, `list the versions of ${azureKekId(this.#host, keyName)}`);
    }
    if (listed.length === 0) throw await this.missing(keyName, null);
    return listed;
  }

  async #version(keyName: string, properties: KeyProperties): Promise<LoadedVersion> {
    const id = properties.version ?? "";
    const tags = readTags(properties.tags);
    const known = `${keyName}/${id}`;
    if (!this.#halves.has(known) && properties.enabled !== false) await this.get(keyName, id);
    return {
      id,
      enabled: properties.enabled !== false,
      created: properties.createdOn ?? new Date(0),
      tags,
      publicHalf: this.#halves.get(known) ?? tags.publicHalf,
    };
  }
}

function isDisabled(error: unknown): boolean {
  if (statusOf(error) !== 403) return false;
  const text = error instanceof Error ? error.message : "";
  return innerCodeOf(error) === "KeyDisabled" || /not allowed on a disabled key/i.test(text);
}

/** By creation, which Key Vault tells in seconds; within one second by our own count, then by id. */
function byAge(a: LoadedVersion, b: LoadedVersion): number {
  const byTime = a.created.getTime() - b.created.getTime();
  if (byTime !== 0) return byTime;
  if (a.tags.number !== b.tags.number) return a.tags.number - b.tags.number;
  return a.id < b.id ? -1 : 1;
}
