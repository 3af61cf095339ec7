import { PpmlError } from "../../base/error.ts";
import { kekStateOf, versionStateOf } from "./kek-info.ts";
import type { LoadedKey, LoadedVersion } from "./key-reader.ts";
import type { Off } from "./tags.ts";

/** The version of a KEK that has this public half. @throws key.not_found */
export function findVersion(key: LoadedKey, kekVersion: string, kekId: string): LoadedVersion {
  const found = key.versions.find(({ publicHalf }) => publicHalf?.kekVersion === kekVersion);
  if (found !== undefined) return found;
  throw new PpmlError(
    "key.not_found",
    `the KEK ${kekId} has no version ${kekVersion.slice(0, 80)}: see \`ppml key show\``,
    { detail: { kekId } },
  );
}

/** Refuses a KEK or version that is off. @throws key.disabled */
export function requireEnabled(key: LoadedKey, version: LoadedVersion, kekId: string): void {
  if (kekStateOf(key) === "disabled" || versionStateOf(version) === "disabled")
    throw disabledError(kekId);
}

/** The error of a KEK that is off. */
export function disabledError(kekId: string): PpmlError {
  return new PpmlError(
    "key.disabled",
    `the KEK ${kekId}, or its version, is disabled: \`ppml key enable\` allows its use again`,
    { detail: { kekId } },
  );
}

/** What of a version is off; one that was disabled outside of ppml is off by itself. */
export function offOf(version: LoadedVersion): Off {
  const { kek } = version.tags.off;
  return { kek: !version.enabled && kek, version: versionStateOf(version) === "disabled" };
}

/** Whether the same is off. */
export function sameOff(a: Off, b: Off): boolean {
  return a.kek === b.kek && a.version === b.version;
}
