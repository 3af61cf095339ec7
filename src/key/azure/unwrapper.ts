import { CryptographyClient } from "@azure/keyvault-keys";
import type { KeyVaultKey } from "@azure/keyvault-keys";
import type { AzureConnection } from "../../azure/index.ts";
import { toBase64Url } from "../../base/bytes.ts";
import { isPpmlError, PpmlError } from "../../base/error.ts";
import { Secret } from "../../base/secret.ts";
import { refuseExportable } from "../new-kek.ts";
import type { UnwrapRequest } from "../vault.ts";
import { LOCAL_KEY_BYTES } from "../wrap.ts";
import { factsOf } from "./facts.ts";
import type { KekFacts } from "./facts.ts";
import { statusOf } from "./failure.ts";
import type { KeyReader } from "./key-reader.ts";
import { kekStateOf, versionStateOf } from "./kek-info.ts";
import { inBounds } from "./limited.ts";

/** A version that unwraps, found once: the call after it goes straight to the vault. */
type Opened = { readonly client: CryptographyClient; readonly facts: KekFacts };

/** Unwraps with Key Vault: which key unwraps is told by the hash of its public half, never by a tag. */
export class Unwrapper {
  readonly #reader: KeyReader;
  readonly #connection: AzureConnection;
  readonly #opened = new Map<string, Promise<Opened>>();

  constructor(reader: KeyReader, connection: AzureConnection) {
    this.#reader = reader;
    this.#connection = connection;
  }

  /**
   * Unwraps one local key of exactly 32 bytes.
   * @throws key.not_found key.disabled key.destroyed key.not_permitted key.unwrap_failed
   *   and azure's
   */
  async unwrap(keyName: string, request: UnwrapRequest): Promise<Secret> {
    const { client, facts } = await this.#open(keyName, request);
    refuseExportable(facts.kind, request.kekId);
    // RFC 8017 7.1.2 step 1.b, and no call for what cannot open.
    if (request.wrapped.byteLength !== facts.bits / 8) throw notUnwrapped(request);
    try {
      const answer = await client.unwrapKey("RSA-OAEP-256", request.wrapped);
      // The SDK's types do not say it: of an empty plaintext nothing comes.
      const result: unknown = answer.result;
      if (!(result instanceof Uint8Array)) throw notUnwrapped(request);
      try {
        if (result.byteLength === LOCAL_KEY_BYTES) return Secret.copy(result);
      } finally {
        result.fill(0);
      }
    } catch (error) {
      if (isPpmlError(error)) throw error;
      // Key Vault tells no step either; its own message is not passed on.
      if (statusOf(error) === 400) throw notUnwrapped(request);
      this.forget(keyName);
      if (statusOf(error) === 404) throw await this.#reader.missing(keyName, error);
      throw this.#reader.failure(error, `unwrap with the KEK ${request.kekId}`);
    }
    throw notUnwrapped(request);
  }

  /** Unwraps many, in the order given, all or none: one call for each distinct wrapped key. */
  async unwrapAll(
    requests: readonly { readonly keyName: string; readonly request: UnwrapRequest }[],
  ): Promise<readonly Secret[]> {
    const distinct = new Map(requests.map((one) => [identityOf(one.request), one]));
    const opened: Secret[] = [];
    try {
      const secrets = await inBounds([...distinct.values()], async ({ keyName, request }) => {
        const secret = await this.unwrap(keyName, request);
        opened.push(secret);
        return secret;
      });
      const byIdentity = new Map([...distinct.keys()].map((id, index) => [id, secrets[index]]));
      return requests.flatMap(({ request }) => {
        const secret = byIdentity.get(identityOf(request));
        return secret === undefined ? [] : secret.expose((bytes) => Secret.copy(bytes));
      });
    } finally {
      for (const secret of opened) secret[Symbol.dispose]();
    }
  }

  /** Forgets everything: the vault is closed. */
  close(): void {
    this.#opened.clear();
  }

  /** Forgets what is known of a KEK: it was changed. */
  forget(keyName: string): void {
    for (const id of this.#opened.keys()) if (id.startsWith(`${keyName}/`)) this.#opened.delete(id);
  }

  async #open(keyName: string, request: UnwrapRequest): Promise<Opened> {
    const id = `${keyName}/${request.kekVersion}`;
    const known = this.#opened.get(id);
    if (known !== undefined) return known;
    const opening = this.#find(keyName, request);
    this.#opened.set(id, opening);
    opening.catch(() => this.#opened.delete(id));
    return opening;
  }

  async #find(keyName: string, request: UnwrapRequest): Promise<Opened> {
    const { kekId, kekVersion } = request;
    const key = await this.#reader.load(keyName);
    if (key === null) throw this.#reader.notFound(keyName);
    const version = key.versions.find(({ publicHalf }) => publicHalf?.kekVersion === kekVersion);
    if (version === undefined)
      throw new PpmlError(
        "key.not_found",
        `the KEK ${kekId} has no version ${kekVersion.slice(0, 80)}: see \`ppml key show\``,
        { detail: { kekId } },
      );
    if (kekStateOf(key) === "disabled" || versionStateOf(version) === "disabled")
      throw disabled(request);
    const found = await this.#reader.get(keyName, version.id);
    const facts = found === null ? null : factsOf(found);
    if (found === null) throw disabled(request);
    // A tag may have named it; the key itself decides.
    if (facts === null || facts.kekVersion !== kekVersion) throw this.#reader.notFound(keyName);
    return { client: this.#client(found), facts };
  }

  #client(key: KeyVaultKey): CryptographyClient {
    const { credential, clientOptions } = this.#connection;
    return new CryptographyClient(key, credential, clientOptions);
  }
}

function identityOf({ kekId, kekVersion, wrapped }: UnwrapRequest): string {
  return `${kekId} ${kekVersion} ${toBase64Url(wrapped)}`;
}

function disabled({ kekId, kekVersion }: UnwrapRequest): PpmlError {
  return new PpmlError(
    "key.disabled",
    `the KEK ${kekId}, or its version ${kekVersion}, is disabled: \`ppml key enable\` allows its use again`,
    { detail: { kekId } },
  );
}

function notUnwrapped({ kekId, kekVersion }: UnwrapRequest): PpmlError {
  return new PpmlError(
    "key.unwrap_failed",
    `expected a local key wrapped under version ${kekVersion} of ${kekId}: this one was wrapped under another key, or changed`,
    { detail: { kekId, kekVersion } },
  );
}
