import { KeyClient } from "@azure/keyvault-keys";
import type { DeletedKey, KeyVaultKey } from "@azure/keyvault-keys";
import type { AzureConnection } from "../../azure/index.ts";
import { isPpmlError, PpmlError } from "../../base/error.ts";
import type { Secret } from "../../base/secret.ts";
import { encodeJcs } from "../../format/jcs.ts";
import type { KekPublicKey, Mode } from "../../format/kek.ts";
import { parseSkrPolicy } from "../../format/skr/skr-policy.ts";
import { checkNewKek } from "../new-kek.ts";
import { kekPublicKeyOf } from "../public-key.ts";
import type { KekInfo, NewKek, UnwrapRequest, Vault } from "../vault.ts";
import { factsOf, KEY_OPERATIONS, requireFixed } from "./facts.ts";
import type { KekFacts } from "./facts.ts";
import { statusOf } from "./failure.ts";
import { infoOfDeleted, infoOfKey } from "./kek-info.ts";
import { azureKekId, kekNameOf, keyNameOf, keyNameOfKekId, vaultHostOf } from "./kek-names.ts";
import { KeyReader } from "./key-reader.ts";
import type { LoadedKey, LoadedVersion } from "./key-reader.ts";
import { inBounds, jitterPolicy } from "./limited.ts";
import { changedTags, newTags, readTags } from "./tags.ts";
import type { Off } from "./tags.ts";
import { Unwrapper } from "./unwrapper.ts";
import { disabledError, findVersion, offOf, requireEnabled, sameOff } from "./version-rules.ts";

const POLL_MS = 500;

/** How a vault in Azure is opened. */
export type AzureVaultOptions = {
  /** `https://NAME.vault.azure.net` or `https://NAME.managedhsm.azure.net`. */
  readonly url: string;
  readonly mode: Mode;
  readonly connection: AzureConnection;
  /** From 0 to 1, for jitter. */
  readonly random?: () => number;
};

/**
 * Key Vault or Managed HSM as a vault. Nothing of a private key is ever here but what is unwrapped.
 * Every call asks the vault anew, but for the public halves, which never change. @see docs/vault.md
 */
export class AzureVault implements Vault {
  readonly mode: Mode;
  readonly vaultId: string;
  readonly #client: KeyClient;
  readonly #reader: KeyReader;
  readonly #unwrapper: Unwrapper;

  /** @throws key.vault_missing where the URL is none of a vault's */
  constructor(options: AzureVaultOptions) {
    const { url, mode, random = Math.random } = options;
    this.mode = mode;
    this.vaultId = vaultHostOf(url);
    const { credential, clientOptions: common } = options.connection;
    const policy = jitterPolicy(random);
    // After the retries' policy: each answer passes here before it decides how long to wait.
    const additionalPolicies = [{ policy, position: "perRetry" as const }];
    const clientOptions = { ...common, additionalPolicies };
    this.#client = new KeyClient(`https://${this.vaultId}`, credential, clientOptions);
    this.#reader = new KeyReader(this.#client, this.vaultId);
    this.#unwrapper = new Unwrapper(this.#reader, { credential, clientOptions });
  }

  async createKek(options: NewKek): Promise<KekInfo> {
    const { name, kind, purpose = null, bits = 3072 } = checkNewKek(options);
    const keyName = keyNameOf(this.mode, name);
    const release = releaseOf(options);
    await this.#requireFree(keyName);
    const made = await this.#call(`create the KEK ${this.#idOf(keyName)}`, () =>
      this.#client.createRsaKey(keyName, {
        hsm: true,
        keySize: bits,
        keyOps: [...KEY_OPERATIONS[kind]],
        tags: newTags(purpose),
        ...release,
      }),
    );
    const facts = await this.#asAsked(made, { kind, bits });
    await this.#tag(made, changedTags(readTags(made.properties.tags), { publicHalf: facts }));
    return this.#info(keyName);
  }

  async listKeks(): Promise<readonly KekInfo[]> {
    const names: string[] = [];
    const deleted: DeletedKey[] = [];
    const isOurs = (name: string): boolean => kekNameOf(this.mode, name) !== null;
    await this.#call("list the KEKs", async () => {
      try {
        for await (const { name } of this.#client.listPropertiesOfKeys())
          if (isOurs(name)) names.push(name);
      } catch (error) {
        // The SDK keeps nothing of a refused list's body, which names the missing role: a GET does.
        throw statusOf(error) === 403 ? await this.#refusalOfGet(error) : error;
      }
      deleted.push(...(await this.#reader.allDeleted(isOurs)));
    });
    const present = await inBounds(names, async (name) => {
      const key = await this.#reader.load(name).catch((error: unknown) => {
        // Deleted meanwhile: the next list tells of it.
        if (isPpmlError(error, "key.not_found") || isPpmlError(error, "key.destroyed")) return null;
        throw error;
      });
      return key === null ? [] : [infoOfKey(this.#place, key)];
    });
    const gone = deleted.flatMap((key) => infoOfDeleted(this.#place, key, "deleted") ?? []);
    return [...present.flat(), ...gone].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async showKek(kekId: string): Promise<KekInfo> {
    return this.#info(this.#nameOf(kekId));
  }

  async publicKey(kekId: string, kekVersion?: string): Promise<KekPublicKey> {
    const keyName = this.#nameOf(kekId);
    const key = await this.#load(keyName);
    const version = kekVersion === undefined ? key.current : findVersion(key, kekVersion, kekId);
    requireEnabled(key, version, kekId);
    const found = await this.#reader.get(keyName, version.id);
    const facts = found === null ? null : factsOf(found);
    if (facts === null) throw disabledError(kekId);
    requireFixed(facts, kekId);
    return kekPublicKeyOf({ kekId, kind: facts.kind, mode: this.mode, spki: facts.spki });
  }

  async unwrap(request: UnwrapRequest): Promise<Secret> {
    return this.#unwrapper.unwrap(this.#nameOf(request.kekId), request);
  }

  async unwrapAll(requests: readonly UnwrapRequest[]): Promise<readonly Secret[]> {
    const named = requests.map((request) => ({ request, keyName: this.#nameOf(request.kekId) }));
    return this.#unwrapper.unwrapAll(named);
  }

  async disableKek(kekId: string, kekVersion?: string): Promise<KekInfo> {
    return this.#switch(kekId, kekVersion, true);
  }

  async enableKek(kekId: string, kekVersion?: string): Promise<KekInfo> {
    return this.#switch(kekId, kekVersion, false);
  }

  async rotateKek(kekId: string): Promise<KekInfo> {
    const keyName = this.#nameOf(kekId);
    const before = await this.#load(keyName);
    requireEnabled(before, before.current, kekId);
    const made = await this.#call(`rotate the KEK ${kekId}`, () => this.#client.rotateKey(keyName));
    const { kind } = before;
    const facts = await this.#asAsked(made, {
      kind,
      bits: before.current.publicHalf?.bits ?? 0,
    });
    const number = before.versions.length + 1;
    const tags = readTags(made.properties.tags);
    const off = { kek: false, version: false };
    await this.#tag(made, changedTags(tags, { number, off, publicHalf: facts }));
    return this.#info(keyName);
  }

  /**
   * Deletes the key; where the vault allows that it is purged too, and only then the state says
   * `destroyed`. Under purge protection it can be recovered until its retention is over.
   * @throws key.not_permitted for a version: Key Vault deletes keys as a whole
   */
  async destroyKek(kekId: string, kekVersion?: string): Promise<KekInfo> {
    const keyName = this.#nameOf(kekId);
    if (kekVersion !== undefined) {
      findVersion(await this.#load(keyName), kekVersion, kekId);
      throw new PpmlError(
        "key.not_permitted",
        `Key Vault destroys keys as a whole, not versions: disable version ${kekVersion} of ${kekId}, or destroy the KEK`,
        { detail: { kekId } },
      );
    }
    const known = await this.#reader.deleted(keyName);
    const deleted = known ?? (await this.#delete(keyName, kekId));
    this.#unwrapper.forget(keyName);
    const purged = await this.#purge(deleted, kekId);
    const info = infoOfDeleted(this.#place, deleted, purged ? "destroyed" : "deleted");
    if (info === null) throw this.#reader.notFound(keyName);
    return info;
  }

  /**
   * Makes the release policy of an exportable KEK fixed for ever, as it is: ARM templates have no
   * member for that. Repeating it changes nothing.
   * @throws key.not_found key.not_permitted for an unwrap-only KEK
   */
  async fixReleasePolicy(kekId: string): Promise<KekInfo> {
    const keyName = this.#nameOf(kekId);
    const found = await this.#reader.get(keyName);
    const facts = found === null ? null : factsOf(found);
    const policy = found?.properties.releasePolicy;
    if (facts?.kind !== "exportable" || policy === undefined)
      throw new PpmlError(
        "key.not_permitted",
        `expected an enabled, exportable KEK with a release policy: ${kekId} is none`,
        { detail: { kekId } },
      );
    if (!facts.isFixed)
      await this.#call(`fix the release policy of ${kekId}`, () =>
        this.#client.updateKeyProperties(keyName, {
          releasePolicy: { ...policy, immutable: true },
        }),
      );
    return this.#info(keyName);
  }

  /**
   * Key Vault's own ids of a KEK's versions, by their versions here: what a release without a broker
   * asks for. Versions that Key Vault does not show are left out.
   * @throws key.not_found azure.denied
   */
  async versionIds(kekId: string): Promise<Readonly<Record<string, string>>> {
    const { versions } = await this.#load(this.#nameOf(kekId));
    return Object.fromEntries(
      versions.flatMap(({ id, publicHalf }) =>
        publicHalf === null ? [] : [[publicHalf.kekVersion, id] as const],
      ),
    );
  }

  /** Nothing is held but clients without a state of their own. */
  [Symbol.dispose](): void {
    this.#unwrapper.close();
  }

  get #place() {
    return { host: this.vaultId, mode: this.mode };
  }

  #idOf(keyName: string): string {
    return azureKekId(this.vaultId, keyName);
  }

  #nameOf(kekId: string): string {
    return keyNameOfKekId(this.#place, kekId);
  }

  async #load(keyName: string): Promise<LoadedKey> {
    const key = await this.#reader.load(keyName);
    if (key !== null) return key;
    const kekId = this.#idOf(keyName);
    throw new PpmlError(
      "key.not_permitted",
      `the key ${kekId} is no KEK: expected RSA of 3072 bits or more with the operations wrapKey and unwrapKey alone, or exportable with wrapKey alone and a release policy. Make a KEK with \`ppml key create\``,
      { detail: { kekId } },
    );
  }

  async #info(keyName: string): Promise<KekInfo> {
    try {
      return infoOfKey(this.#place, await this.#load(keyName));
    } catch (error) {
      if (!isPpmlError(error, "key.destroyed")) throw error;
      const deleted = await this.#reader.deleted(keyName);
      const info = deleted === null ? null : infoOfDeleted(this.#place, deleted, "deleted");
      if (info === null) throw error;
      return info;
    }
  }

  async #refusalOfGet(refused: unknown): Promise<unknown> {
    const probe: unknown = await this.#client.getKey("ppml-probe").catch((error: unknown) => error);
    return statusOf(probe) === 403 ? probe : refused;
  }

  /** A name that a key has, or had and is not purged, is not free: a new key would join the old one. */
  async #requireFree(keyName: string): Promise<void> {
    try {
      await this.#reader.load(keyName);
    } catch (error) {
      if (isPpmlError(error, "key.not_found")) return;
      if (!isPpmlError(error, "key.destroyed")) throw error;
      const { message } = error;
      throw new PpmlError("key.exists", `${message}. Its name is not free: choose another`, {
        cause: error,
      });
    }
    throw new PpmlError(
      "key.exists",
      `the KEK ${this.#idOf(keyName)} exists: choose another name, or \`ppml key rotate\` for a new version`,
    );
  }

  /** What came must be what was asked for; otherwise it is disabled, before anything is sealed for it. */
  async #asAsked(
    made: KeyVaultKey,
    asked: { readonly kind: KekInfo["kind"]; readonly bits: number },
  ): Promise<KekFacts> {
    const facts = factsOf(made);
    this.#reader.keep(made);
    this.#unwrapper.forget(made.name);
    const isGood = facts?.kind === asked.kind && facts.bits === asked.bits;
    if (isGood && facts !== null) return facts;
    await this.#call(`disable what was made of ${this.#idOf(made.name)}`, () =>
      this.#client.updateKeyProperties(made.name, made.properties.version ?? "", {
        enabled: false,
      }),
    );
    throw new PpmlError(
      "azure.failed",
      `Key Vault made a key of another form than was asked for ${this.#idOf(made.name)}; it is disabled: look at it in the portal`,
    );
  }

  async #tag(key: KeyVaultKey, tags: Record<string, string>): Promise<void> {
    await this.#call(`describe the KEK ${this.#idOf(key.name)}`, () =>
      this.#client.updateKeyProperties(key.name, key.properties.version ?? "", { tags }),
    );
  }

  async #switch(kekId: string, kekVersion: string | undefined, isOff: boolean): Promise<KekInfo> {
    const keyName = this.#nameOf(kekId);
    const key = await this.#load(keyName);
    this.#unwrapper.forget(keyName);
    if (kekVersion !== undefined) {
      const version = findVersion(key, kekVersion, kekId);
      await this.#set(keyName, version, { ...offOf(version), version: isOff });
    } else {
      // The current one last: it says whether the KEK is off, so a cut-off run is repeated.
      const rest = key.versions.filter((version) => version !== key.current);
      await inBounds(rest, (version) =>
        this.#set(keyName, version, { ...offOf(version), kek: isOff }),
      );
      await this.#set(keyName, key.current, { ...offOf(key.current), kek: isOff });
    }
    return this.#info(keyName);
  }

  async #set(keyName: string, version: LoadedVersion, off: Off): Promise<void> {
    const enabled = !off.kek && !off.version;
    if (version.enabled === enabled && sameOff(version.tags.off, off)) return;
    const { publicHalf } = version;
    const tags = changedTags(version.tags, {
      off,
      ...(publicHalf === null ? {} : { publicHalf }),
    });
    await this.#call(`change the KEK ${this.#idOf(keyName)}`, () =>
      this.#client.updateKeyProperties(keyName, version.id, { enabled, tags }),
    );
  }

  async #delete(keyName: string, kekId: string): Promise<DeletedKey> {
    // What is no KEK of ours is not deleted.
    await this.#load(keyName);
    return this.#call(`delete the KEK ${kekId}`, async () => {
      const poller = await this.#client.beginDeleteKey(keyName, { intervalInMs: POLL_MS });
      return poller.pollUntilDone();
    });
  }

  /** False where the vault, or the identity's roles, leave the purge to the vault. */
  async #purge(deleted: DeletedKey, kekId: string): Promise<boolean> {
    if (deleted.properties.recoveryLevel?.includes("Purgeable") !== true) return false;
    try {
      await this.#client.purgeDeletedKey(deleted.name);
      return true;
    } catch (error) {
      if (statusOf(error) === 403) return false;
      throw this.#reader.failure(error, `purge the KEK ${kekId}`);
    }
  }

  async #call<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#reader.failure(error, what);
    }
  }
}

function releaseOf({ kind, releasePolicy }: NewKek) {
  if ((kind === "exportable") !== (releasePolicy !== undefined))
    throw new PpmlError(
      "key.not_permitted",
      "an exportable KEK has a release policy from its making, and an unwrap-only one has none: give both or neither",
    );
  if (releasePolicy === undefined) return { exportable: false };
  const encodedPolicy = encodeJcs(parseSkrPolicy(releasePolicy));
  return { exportable: true, releasePolicy: { encodedPolicy, immutable: true } };
}
