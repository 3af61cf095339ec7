import type { KeyObject } from "node:crypto";
import type { Secret } from "../../base/secret.ts";
import { importKey } from "./module-cipher.ts";
import type { KeyPlace } from "./table-footer.ts";

/** Finds the key of a key metadata; null where it was not given. */
export type Find = (keyMetadata: Uint8Array | null, place: KeyPlace) => KeyObject | null;

/**
 * The keys of one table. Thousands of chunks share few keys, and whoever gives a key may give it for
 * one column and not for another that shares it: a key is asked for until it was given once.
 */
export class KeyCache {
  readonly #given = new Map<string, KeyObject>();
  readonly #refused = new Set<string>();

  /** Whether the key was given, or refused for this very place. */
  has(keyMetadata: Uint8Array | null, place: KeyPlace): boolean {
    return (
      this.#given.has(nameOf(keyMetadata, place)) ||
      this.#refused.has(placeName(keyMetadata, place))
    );
  }

  put(keyMetadata: Uint8Array | null, place: KeyPlace, secret: Secret | null): void {
    if (secret === null) this.#refused.add(placeName(keyMetadata, place));
    else this.#given.set(nameOf(keyMetadata, place), importKey(secret));
  }

  get(keyMetadata: Uint8Array | null, place: KeyPlace): KeyObject | null {
    return this.#given.get(nameOf(keyMetadata, place)) ?? null;
  }
}

/** Without metadata a key belongs to its place alone. */
function nameOf(keyMetadata: Uint8Array | null, place: KeyPlace): string {
  if (keyMetadata !== null) return `=${Buffer.from(keyMetadata).toString("latin1")}`;
  return place === "footer" ? place : `column ${place.column}`;
}

function placeName(keyMetadata: Uint8Array | null, place: KeyPlace): string {
  return `${place === "footer" ? "" : place.column} ${nameOf(keyMetadata, place)}`;
}
