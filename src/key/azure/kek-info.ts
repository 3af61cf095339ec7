import type { DeletedKey } from "@azure/keyvault-keys";
import { toTimestamp } from "../../base/time.ts";
import type { Mode } from "../../format/kek.ts";
import type { KekInfo, KekState, KekVersionInfo } from "../vault.ts";
import { factsOf } from "./facts.ts";
import type { LoadedKey, LoadedVersion } from "./key-reader.ts";
import { azureKekId, kekNameOf } from "./kek-names.ts";
import { readTags } from "./tags.ts";

/** Stands for a version that was disabled outside of ppml, so that Key Vault does not show it. */
export const UNKNOWN_VERSION = "0".repeat(32);

type Place = { readonly host: string; readonly mode: Mode };

/** A KEK whose key is there. */
export function infoOfKey(place: Place, key: LoadedKey): KekInfo {
  const { keyName, kind, releasePolicy, versions, current } = key;
  return {
    kekId: azureKekId(place.host, keyName),
    name: kekNameOf(place.mode, keyName) ?? keyName,
    kind,
    releasePolicy,
    mode: place.mode,
    purpose: current.tags.purpose,
    state: kekStateOf(key),
    recoverableUntil: null,
    created: toTimestamp(versions[0]?.created.getTime() ?? 0),
    currentVersion: versionOf(current),
    versions: versions.map((version, index) => infoOfVersion(version, index + 1)),
  };
}

/** Whether the KEK as a whole is off: its current version says so. */
export function kekStateOf({ current }: LoadedKey): "enabled" | "disabled" {
  return !current.enabled && current.tags.off.kek ? "disabled" : "enabled";
}

/** Whether a version is off by itself; one that was disabled outside of ppml counts so. */
export function versionStateOf({ enabled, tags }: LoadedVersion): "enabled" | "disabled" {
  return !enabled && (tags.off.version || !tags.off.kek) ? "disabled" : "enabled";
}

/** A KEK whose key is deleted or purged; null where it was none of a KEK's form. */
export function infoOfDeleted(
  place: Place,
  deleted: DeletedKey,
  state: Extract<KekState, "deleted" | "destroyed">,
): KekInfo | null {
  const name = kekNameOf(place.mode, deleted.name);
  const facts = factsOf(deleted);
  if (name === null || facts === null) return null;
  const { properties } = deleted;
  const created = toTimestamp(properties.createdOn?.getTime() ?? 0);
  const { kekVersion, bits } = facts;
  const purge = properties.scheduledPurgeDate;
  return {
    kekId: azureKekId(place.host, deleted.name),
    name,
    kind: facts.kind,
    releasePolicy: facts.releasePolicy,
    mode: place.mode,
    purpose: readTags(properties.tags).purpose,
    state,
    recoverableUntil:
      state === "deleted" && purge !== undefined ? toTimestamp(purge.getTime()) : null,
    created,
    currentVersion: kekVersion,
    // Key Vault shows the current version of a deleted key alone.
    versions: [{ kekVersion, number: 1, bits, state, created }],
  };
}

function infoOfVersion(version: LoadedVersion, number: number): KekVersionInfo {
  return {
    kekVersion: versionOf(version),
    number,
    bits: version.publicHalf?.bits ?? 0,
    state: versionStateOf(version),
    created: toTimestamp(version.created.getTime()),
  };
}

function versionOf({ publicHalf }: LoadedVersion): string {
  return publicHalf?.kekVersion ?? UNKNOWN_VERSION;
}
