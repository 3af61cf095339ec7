import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fromTimestamp, PpmlError, toBase64Url, toHex, toTimestamp } from "../base/index.ts";
import type { Clock } from "../base/index.ts";
import { releaseKeySchema } from "../format/grant.ts";
import type { ManifestFloor, ReleaseKey } from "../format/grant.ts";
import { jwkThumbprint } from "../format/jwk.ts";
import type { SigningKey } from "../format/jwk.ts";
import type { Mode } from "../format/kek.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { signObject, verifyObject } from "../format/signed-object.ts";
import { errnoOf, syncFolder, temporaryPath } from "../key/private-file.ts";
import type { RootKey } from "../key/root-key.ts";
import { createSigningKeyFile, loadSigningKey } from "../key/signing-key.ts";
import type { Vault } from "../key/vault.ts";
import type { CertifiedReleaseKey } from "../release/seal-grant.ts";
import type { BrokerState, CompleteEvidence, MaaProvidersFor } from "./broker-state.ts";
import { BrokerDatabase } from "./database.ts";
import type { BrokerIdentity, StoredReleaseKey } from "./database.ts";
import { floorOf } from "./floors.ts";
import { requirePrivateFolder } from "./listen.ts";
import { checkLogMark, logMarkPath, markedSize, saveLogMark } from "./log-mark.ts";
import { CommitQueue } from "./commit-queue.ts";
import { LogStore } from "./log-store.ts";
import { restoreRemedy } from "./state-error.ts";
import { RcarSessions } from "./rcar/sessions.ts";

const DAY_MS = 86_400_000;
const CERTIFICATE_DAYS = 90;
const RENEW_BEFORE_DAYS = 30;

const FILES = {
  db: "broker.db",
  root: "release-root.key",
  log: "log.key",
  ear: "ear.key",
} as const;

/** A simulation pins its own root certificate; production has no place for one. */
export type BrokerKind =
  | { readonly mode: "simulation"; readonly simulationRoot: Uint8Array }
  | { readonly mode: "production"; readonly simulationRoot: null };

/**
 * Makes a broker's state in a new or empty folder (0700): broker.db, release root, a certified
 * release key, the log key and the key of EAR tokens, under the vault's root key. Mode, owner and roots never change.
 * The folder is made beside and renamed when it is whole; what a crash left beside goes first.
 * @throws broker.state where something of it exists or cannot be written; key.vault_io
 */
export async function createBrokerState(options: {
  readonly dir: string;
  readonly kind: BrokerKind;
  readonly owner: EcPublicJwk;
  readonly root: RootKey;
  readonly clock: Clock;
}): Promise<BrokerIdentity> {
  const dir = resolve(options.dir);
  const made = temporaryPath(dir);
  try {
    await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
    await removeLeftovers(dir);
    await mkdir(made, { mode: 0o700 });
    const identity = await fillBrokerState({ ...options, dir: made });
    await syncFolder(made);
    await requireFree(dir);
    // Before the folder has its name: a broker without a mark would be refused.
    using db = BrokerDatabase.open(join(made, FILES.db), options.root);
    saveLogMark(db, logMarkPath(dir));
    db[Symbol.dispose]();
    await rename(made, dir);
    await syncFolder(dirname(dir));
    return identity;
  } catch (cause) {
    await rm(made, { recursive: true, force: true });
    if (errnoOf(cause) === "") throw cause;
    throw new PpmlError(
      "broker.state",
      `${dir} cannot be made: expected a new or empty folder whose parent can be written (${errnoOf(cause)}): name another one`,
      { cause },
    );
  }
}

/** As rename would do it, but before the mark of a broker that lives there is written over. */
async function requireFree(dir: string): Promise<void> {
  const names = await readdir(dir).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  });
  if (names.length > 0) throw Object.assign(new Error("not empty"), { code: "ENOTEMPTY" });
}

async function fillBrokerState(
  options: Parameters<typeof createBrokerState>[0],
): Promise<BrokerIdentity> {
  const { dir, kind, owner, root, clock } = options;
  const make = (name: string): Promise<SigningKey> =>
    createSigningKeyFile({ path: join(dir, name), root, purpose: "service" });
  const releaseRoot = await make(FILES.root);
  const logKey = await make(FILES.log);
  const earKey = await make(FILES.ear);
  const identity: BrokerIdentity = {
    v: 1,
    mode: kind.mode,
    owner,
    releaseRoot: releaseRoot.publicJwk,
    logKey: logKey.publicJwk,
    earKey: earKey.publicJwk,
    simulationRoot: kind.simulationRoot === null ? null : toBase64Url(kind.simulationRoot),
    created: toTimestamp(clock()),
  };
  const place = { dir, root, mode: kind.mode, nowMs: clock() };
  const { stored: releaseKey } = await makeReleaseKey(releaseRoot, place);
  BrokerDatabase.create(join(dir, FILES.db), { identity, releaseKey, root })[Symbol.dispose]();
  return identity;
}

/** Removes what earlier runs for the same folder left when they were cut off. */
async function removeLeftovers(dir: string): Promise<void> {
  for (const name of await readdir(dirname(dir)))
    if (name.startsWith(`.${basename(dir)}.`) && /\.[0-9a-f]{16}\.tmp$/.test(name))
      await rm(join(dirname(dir), name), { recursive: true, force: true });
}

/**
 * Opens a broker's state with the vault that it unwraps in, and renews the release key where it
 * ends within 30 days. The caller disposes `db` (and the vault, which stays its own).
 * @throws key.vault_mode for a vault of another mode, broker.state, key.vault_locked
 */
export async function openBrokerState(options: {
  readonly dir: string;
  readonly vault: Vault;
  readonly root: RootKey;
  readonly clock: Clock;
  /** Where missing collateral comes from; `sentCollateral` for nowhere. */
  readonly complete: CompleteEvidence;
  /** Whose tokens are taken; `noMaaProviders` for nobody's. */
  readonly maaProviders: MaaProvidersFor;
}): Promise<BrokerState> {
  const { dir, vault, root, clock } = options;
  requirePrivateFolder(dir, { missing: restoreRemedy(dir) });
  const db = BrokerDatabase.open(join(dir, FILES.db), root);
  try {
    keepLogMark(db, dir);
    const { mode } = db.identity;
    if (vault.mode !== mode)
      throw new PpmlError(
        "key.vault_mode",
        `the broker in ${dir} was made for ${mode}, the vault is for ${vault.mode}: use the vault that it was made with`,
      );
    const logKey = await loadOwn({ dir, root, name: FILES.log, expected: db.identity.logKey });
    const earKey = await loadOwn({ dir, root, name: FILES.ear, expected: db.identity.earKey });
    const place = { dir, root, mode, nowMs: clock() };
    const releaseKey = await currentReleaseKey(db, place);
    const log = new LogStore(db, logKey);
    return {
      db,
      log,
      commits: new CommitQueue(db, log),
      logKey,
      earKey,
      releaseKey,
      sessions: new RcarSessions(),
      complete: options.complete,
      maaProviders: options.maaProviders,
      vault,
      clock,
      random: randomFromSystem,
    };
  } catch (error) {
    db[Symbol.dispose]();
    throw error;
  }
}

/** Compares the log with its mark, and keeps the mark from then on. */
function keepLogMark(db: BrokerDatabase, dir: string): void {
  const path = logMarkPath(dir);
  checkLogMark(db, path);
  // A kill between a commit and its mark left the mark behind.
  saveLogMark(db, path);
  db.onLogged = () => saveLogMark(db, path);
}

/**
 * Accepts a broker's log as it is, on its owner's wish: after a backup was restored. Gives its size,
 * and the one that it had before as far as that is known.
 * @throws broker.state where the database itself does not hold
 */
export function acceptBrokerLog(options: { readonly dir: string; readonly root: RootKey }): {
  readonly size: number;
  readonly before: number | null;
} {
  const { dir, root } = options;
  requirePrivateFolder(dir, { missing: restoreRemedy(dir) });
  using db = BrokerDatabase.open(join(dir, FILES.db), root);
  const path = logMarkPath(dir);
  const before = markedSize(db, path);
  saveLogMark(db, path);
  return { size: db.logMark.size, before };
}

/**
 * Looks at a broker's state without changing it: that broker.db holds, and that its key files are
 * there and the ones that it names. Gives what it says of itself.
 * @throws broker.state, key.vault_missing, key.vault_locked, key.vault_io
 */
export async function checkBrokerState(options: {
  readonly dir: string;
  readonly root: RootKey;
}): Promise<BrokerIdentity> {
  const { dir, root } = options;
  requirePrivateFolder(dir, { missing: restoreRemedy(dir) });
  using db = BrokerDatabase.open(join(dir, FILES.db), root);
  checkLogMark(db, logMarkPath(dir));
  const { identity, releaseKey } = db;
  const { payload } = verifyObject({
    kind: "release-key",
    schema: releaseKeySchema,
    envelope: releaseKey.certificate,
    signers: [identity.releaseRoot],
  });
  const named = [
    [FILES.root, identity.releaseRoot],
    [FILES.log, identity.logKey],
    [FILES.ear, identity.earKey],
    [releaseKey.file, payload.jwk],
  ] as const;
  for (const [name, expected] of named) await loadOwn({ dir, root, name, expected });
  return identity;
}

/**
 * Reads datasets' floors from a broker's state without changing it; version 0 for a dataset whose
 * manifest it never accepted.
 * @throws broker.state
 */
export function readBrokerFloors(options: {
  readonly dir: string;
  readonly root: RootKey;
  readonly datasetIds: readonly string[];
}): ManifestFloor[] {
  const { dir, root, datasetIds } = options;
  requirePrivateFolder(dir, { missing: restoreRemedy(dir) });
  using db = BrokerDatabase.open(join(dir, FILES.db), root);
  checkLogMark(db, logMarkPath(dir));
  return datasetIds.map((datasetId) => floorOf(db, datasetId));
}

function randomFromSystem(length: number): Uint8Array {
  return Uint8Array.from(randomBytes(length));
}

type Place = {
  readonly dir: string;
  readonly root: RootKey;
  readonly mode: Mode;
  readonly nowMs: number;
};

async function currentReleaseKey(db: BrokerDatabase, place: Place): Promise<CertifiedReleaseKey> {
  const stored = db.releaseKey;
  const { payload } = verifyObject({
    kind: "release-key",
    schema: releaseKeySchema,
    envelope: stored.certificate,
    signers: [db.identity.releaseRoot],
  });
  if (place.nowMs < fromTimestamp(payload.notAfter) - RENEW_BEFORE_DAYS * DAY_MS) {
    const { dir, root } = place;
    const key = await loadOwn({ dir, root, name: stored.file, expected: payload.jwk });
    return { key, certificate: stored.certificate };
  }
  const expected = db.identity.releaseRoot;
  const releaseRoot = await loadOwn({ ...place, name: FILES.root, expected });
  const made = await makeReleaseKey(releaseRoot, place);
  db.releaseKey = made.stored;
  await unlink(join(place.dir, stored.file)).catch(() => undefined);
  return made.certified;
}

async function makeReleaseKey(
  releaseRoot: SigningKey,
  place: Place,
): Promise<{ readonly stored: StoredReleaseKey; readonly certified: CertifiedReleaseKey }> {
  const { dir, root, mode, nowMs } = place;
  const file = `release-${toHex(randomBytes(8))}.key`;
  const key = await createSigningKeyFile({ path: join(dir, file), root, purpose: "service" });
  const content: ReleaseKey = {
    v: 1,
    mode,
    jwk: key.publicJwk,
    notBefore: toTimestamp(nowMs),
    notAfter: toTimestamp(nowMs + CERTIFICATE_DAYS * DAY_MS),
  };
  const certificate = signObject("release-key", content, releaseRoot);
  return { stored: { file, certificate }, certified: { key, certificate } };
}

async function loadOwn(options: {
  readonly dir: string;
  readonly root: RootKey;
  readonly name: string;
  readonly expected: EcPublicJwk;
}): Promise<SigningKey> {
  const { dir, root, name, expected } = options;
  const key = await loadSigningKey({ path: join(dir, name), root, purpose: "service" });
  // The files say no more than "service": one of them in another's place has to be noticed here.
  if (key.keyId !== jwkThumbprint(expected))
    throw new PpmlError("broker.state", `${join(dir, name)} is not the key that broker.db names`, {
      detail: { path: join(dir, name), remedy: restoreRemedy(dir) },
    });
  return key;
}
