import { PpmlError } from "../../base/error.ts";
import { embeddedKekId } from "./kek-id.ts";
import type { KekRow, VaultState, VersionRow } from "./records.ts";

/** What a change is about: a KEK, or one of its versions. */
export type Target = { readonly name: string; readonly version?: string | undefined };

/** The KEK of a name, with its versions, oldest first. @throws key.not_found */
export function findKek(
  state: VaultState,
  name: string,
): { readonly kek: KekRow; readonly versions: readonly VersionRow[] } {
  const kek = state.keks.find((row) => row.name === name);
  if (kek === undefined)
    throw failed(state, "key.not_found", {
      name,
      what: "is not in this vault: see `ppml key list`",
    });
  return { kek, versions: state.versions.filter((row) => row.name === name) };
}

/** One version (the current one where none is named). @throws key.not_found */
export function findVersion(
  state: VaultState,
  target: Target,
): { readonly kek: KekRow; readonly version: VersionRow } {
  const { kek, versions } = findKek(state, target.name);
  const wanted = target.version ?? kek.current_version;
  const version = versions.find((row) => row.version === wanted);
  if (version === undefined)
    throw failed(state, "key.not_found", {
      name: target.name,
      what: `has no version ${wanted.slice(0, 80)}: see \`ppml key show\``,
    });
  return { kek, version };
}

/** As `findVersion`, and both KEK and version are enabled. @throws key.disabled key.destroyed */
export function findUsable(
  state: VaultState,
  target: Target,
): { readonly kek: KekRow; readonly version: VersionRow } {
  const { kek, version } = findVersion(state, target);
  for (const row of [kek, version]) {
    const { name } = kek;
    const which = row === version ? `, version ${version.version},` : "";
    if (row.state === "destroyed")
      throw failed(state, "key.destroyed", {
        name,
        what: `${which} was destroyed: what was sealed for it alone cannot be opened`.trim(),
      });
    if (row.state === "disabled")
      throw failed(state, "key.disabled", {
        name,
        what: `${which} is disabled: \`ppml key enable\` allows its use again`.trim(),
      });
  }
  return { kek, version };
}

/** Adds a KEK with its first version. @throws key.exists */
export function addKek(
  state: VaultState,
  added: { readonly kek: KekRow; readonly version: VersionRow },
): VaultState {
  refuseTaken(state, added.kek.name);
  return {
    ...state,
    keks: [...state.keks, added.kek].sort(byName),
    versions: [...state.versions, added.version].sort(byName),
  };
}

/** Refuses a name that a KEK has or had. @throws key.exists */
export function refuseTaken(state: VaultState, name: string): void {
  const taken = state.keks.find((row) => row.name === name);
  if (taken !== undefined)
    throw failed(state, "key.exists", {
      name,
      what:
        taken.state === "destroyed"
          ? "existed and was destroyed; names are not used again: choose another"
          : "exists: choose another name, or `ppml key rotate` for a new version",
    });
}

/** Adds a version and makes it the current one. @throws key.not_found key.disabled key.destroyed */
export function addVersion(state: VaultState, version: VersionRow): VaultState {
  const { kek } = findUsable(state, { name: version.name });
  return {
    ...state,
    keks: state.keks.map((row) =>
      row === kek ? { ...kek, current_version: version.version } : row,
    ),
    versions: [...state.versions, version].sort(byName),
  };
}

/** Enables or disables. @throws key.not_found key.destroyed */
export function setState(
  state: VaultState,
  target: Target,
  wanted: "enabled" | "disabled",
): VaultState {
  const { kek } = findKek(state, target.name);
  const row = target.version === undefined ? kek : findVersion(state, target).version;
  if (row.state === "destroyed" || kek.state === "destroyed")
    throw failed(state, "key.destroyed", {
      name: kek.name,
      what: `was destroyed and cannot be ${wanted}`,
    });
  if (row.state === wanted) return state;
  return replaceRow(state, row, wanted);
}

/**
 * Destroys a KEK with all its versions, or one version that is not current: their private keys go.
 * @throws key.not_found key.not_permitted
 */
export function destroy(state: VaultState, target: Target): VaultState {
  const { kek, versions } = findKek(state, target.name);
  if (target.version === undefined) {
    const emptied = new Set(versions);
    if (kek.state === "destroyed") return state;
    return {
      ...state,
      keks: state.keks.map((row) => (row === kek ? { ...kek, state: "destroyed" } : row)),
      versions: state.versions.map((row) => (emptied.has(row) ? tombstone(row) : row)),
    };
  }
  const { version } = findVersion(state, target);
  if (version.state === "destroyed") return state;
  if (version.version === kek.current_version)
    throw failed(state, "key.not_permitted", {
      name: kek.name,
      what: `has ${version.version} as its current version: rotate the KEK first, or destroy it as a whole`,
    });
  return {
    ...state,
    versions: state.versions.map((row) => (row === version ? tombstone(row) : row)),
  };
}

function tombstone(row: VersionRow): VersionRow {
  if (row.state === "destroyed") return row;
  return { ...row, state: "destroyed", nonce: null, private_key: null };
}

function replaceRow(
  state: VaultState,
  row: KekRow | VersionRow,
  wanted: "enabled" | "disabled",
): VaultState {
  return {
    ...state,
    keks: state.keks.map((kek) => (kek === row ? { ...kek, state: wanted } : kek)),
    versions: state.versions.map((version) =>
      version === row ? { ...version, state: wanted } : version,
    ),
  };
}

// The order in which SQLite reads them back: names are ASCII, so code units and bytes sort alike.
function byName(
  a: { readonly name: string; readonly number?: number },
  b: { readonly name: string; readonly number?: number },
): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return (a.number ?? 0) - (b.number ?? 0);
}

function failed(
  state: VaultState,
  code: "key.not_found" | "key.exists" | "key.disabled" | "key.destroyed" | "key.not_permitted",
  say: { readonly name: string; readonly what: string },
): PpmlError {
  const kekId = embeddedKekId(state.header.vault_id, say.name);
  const gap = say.what.startsWith(",") ? "" : " ";
  return new PpmlError(code, `the KEK ${kekId}${gap}${say.what}`, { detail: { kekId } });
}
