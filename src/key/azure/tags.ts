import { kekVersionSchema } from "../../format/kek.ts";
import type { PublicHalf } from "./facts.ts";

// Whoever may change keys may change their tags, and nothing decides by a tag: kind, policy and size
// come from the key, the mode from its name. Tags tell what Key Vault has no place for: the purpose,
// the order of versions, what was disabled by itself, and the version of a disabled key.

const PURPOSE = "ppml-purpose";
const NUMBER = "ppml-number";
const VERSION = "ppml-version";
const BITS = "ppml-bits";
const OFF = "ppml-off";

/** What is off: the KEK as a whole, or the version by itself. */
export type Off = { readonly kek: boolean; readonly version: boolean };

/** What the tags of a version tell. */
export type KekTags = {
  readonly purpose: string | null;
  /** From 1; 0 where there is none. */
  readonly number: number;
  readonly off: Off;
  readonly publicHalf: PublicHalf | null;
  /** All of them, others' too: a change writes all tags anew. */
  readonly all: Readonly<Record<string, string>>;
};

/** Reads the tags of a version, whatever they are. */
export function readTags(tags: Readonly<Record<string, string>> = {}): KekTags {
  const purpose = tags[PURPOSE];
  const number = Number(tags[NUMBER] ?? 0);
  const off = (tags[OFF] ?? "").split(" ");
  const version = kekVersionSchema.safeParse(tags[VERSION]);
  const bits = Number(tags[BITS] ?? 0);
  const isPurpose = purpose !== undefined && /^[^\p{Cc}]{0,200}$/u.test(purpose);
  return {
    purpose: isPurpose ? purpose : null,
    number: Number.isSafeInteger(number) && number > 0 ? number : 0,
    off: { kek: off.includes("kek"), version: off.includes("version") },
    publicHalf:
      version.success && Number.isSafeInteger(bits)
        ? { kekVersion: version.data, bits, spki: null }
        : null,
    all: tags,
  };
}

/** The tags of a new KEK's first version, before its public half is known. */
export function newTags(purpose: string | null): Record<string, string> {
  return { ...(purpose === null ? {} : { [PURPOSE]: purpose }), [NUMBER]: "1" };
}

/** The tags with some of them changed; others' are kept. */
export function changedTags(
  tags: KekTags,
  change: {
    readonly number?: number;
    readonly off?: Off;
    readonly publicHalf?: Pick<PublicHalf, "kekVersion" | "bits">;
  },
): Record<string, string> {
  const { number, off, publicHalf } = change;
  const words = off === undefined ? [] : [off.kek ? "kek" : "", off.version ? "version" : ""];
  const text = words.filter((word) => word !== "").join(" ");
  const { [OFF]: before, ...rest } = tags.all;
  const kept = off === undefined ? before : text;
  return {
    ...rest,
    ...(kept === undefined || kept === "" ? {} : { [OFF]: kept }),
    ...(number === undefined ? {} : { [NUMBER]: String(number) }),
    ...(publicHalf === undefined
      ? {}
      : { [VERSION]: publicHalf.kekVersion, [BITS]: String(publicHalf.bits) }),
  };
}
