import { concatBytes, utf8 } from "../../src/base/index.ts";

/** Random numbers that a seed determines: 32 bits each. */
export type Random = { readonly below: (bound: number) => number };

const MAX_BYTES = 1024 * 1024;
const EDGE_NUMBERS = [
  0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 4095, 4096, 32_767, 65_535, 65_536,
  0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];
const TEXTS = [
  '""',
  "null",
  "true",
  "-1",
  "0",
  "1e999",
  "9007199254740993",
  "0.1",
  "[]",
  "{}",
  "[[[[[[[[",
  '{"a":',
  "\\u0000",
  "\\ud800",
  "__proto__",
  "constructor",
  "\u{1f600}",
  "..",
  "/",
  "&a *a",
  "!!binary",
  "<<: ",
  "\r\n",
  "\0",
  "'",
  '"',
  ",",
  ":",
  "2026-02-30T00:00:00Z",
  "Infinity",
  "${x}",
].map((text) => utf8(text));

/** Numbers by xorshift32; `seed` is any integer. */
export function randomOf(seed: number): Random {
  let state = (seed ^ 0x9e37_79b9) | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let warm = 0; warm < 8; warm += 1) next();
  return { below: (bound) => next() % Math.max(1, bound) };
}

/** Changes one of the seeds in one to eight places; at most 1 MiB comes out. */
export function mutate(seeds: readonly Uint8Array[], random: Random): Uint8Array {
  const pick = (): Uint8Array => seeds[random.below(seeds.length)] ?? new Uint8Array(0);
  let bytes: Uint8Array = pick().slice();
  const changes = 1 + random.below(random.below(4) === 0 ? 8 : 2);
  for (let change = 0; change < changes; change += 1) {
    const step = STEPS[random.below(STEPS.length)];
    if (step !== undefined) bytes = step(bytes, random, pick);
  }
  return bytes.subarray(0, MAX_BYTES);
}

type Step = (bytes: Uint8Array, random: Random, pick: () => Uint8Array) => Uint8Array;

const STEPS: readonly Step[] = [
  (bytes, random) => {
    const at = random.below(bytes.byteLength);
    if (bytes.byteLength > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  (bytes, random) => {
    if (bytes.byteLength > 0) bytes[random.below(bytes.byteLength)] = random.below(256);
    return bytes;
  },
  (bytes, random) => {
    const width = [1, 2, 4, 8][random.below(4)] ?? 1;
    if (bytes.byteLength < width) return bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = random.below(bytes.byteLength - width + 1);
    const value = EDGE_NUMBERS[random.below(EDGE_NUMBERS.length)] ?? 0;
    const isLittle = random.below(2) === 0;
    if (width === 1) view.setUint8(at, value & 0xff);
    else if (width === 2) view.setUint16(at, value & 0xffff, isLittle);
    else if (width === 4) view.setUint32(at, value, isLittle);
    else view.setBigUint64(at, BigInt(value) * 0x1_0000_0001n, isLittle);
    return bytes;
  },
  (bytes, random) => bytes.slice(0, random.below(bytes.byteLength + 1)),
  (bytes, random) =>
    spliced(bytes, random, { put: new Uint8Array(0), taken: spanOf(bytes, random) }),
  (bytes, random) => {
    const noise = new Uint8Array(1 + random.below(24)).map(() => random.below(256));
    return spliced(bytes, random, { put: noise, taken: 0 });
  },
  // A range twice, somewhere else, or over what was there.
  (bytes, random) => {
    const from = random.below(bytes.byteLength);
    const range = bytes.slice(from, from + spanOf(bytes, random));
    return spliced(bytes, random, { put: range, taken: random.below(2) * range.byteLength });
  },
  // Part of another good input.
  (bytes, random, pick) => {
    const other = pick();
    const from = random.below(other.byteLength);
    const range = other.slice(from, from + spanOf(other, random));
    return spliced(bytes, random, { put: range, taken: random.below(2) * range.byteLength });
  },
  (bytes, random) => {
    const text = TEXTS[random.below(TEXTS.length)] ?? new Uint8Array(0);
    return spliced(bytes, random, { put: text, taken: random.below(2) * text.byteLength });
  },
  // A digit or letter for another: stays within most text grammars.
  (bytes, random) => {
    const at = random.below(bytes.byteLength);
    const found = bytes[at] ?? 0;
    if (found >= 0x30 && found <= 0x39) bytes[at] = 0x30 + random.below(10);
    else if (found >= 0x61 && found <= 0x7a) bytes[at] = 0x61 + random.below(26);
    return bytes;
  },
];

function spanOf(bytes: Uint8Array, random: Random): number {
  const bound = random.below(3) === 0 ? bytes.byteLength : Math.min(bytes.byteLength, 32);
  return random.below(bound + 1);
}

/** Puts bytes at a random place, over `taken` bytes of those that were there. */
function spliced(
  bytes: Uint8Array,
  random: Random,
  { put, taken }: { readonly put: Uint8Array; readonly taken: number },
): Uint8Array {
  const at = random.below(bytes.byteLength + 1);
  return concatBytes(bytes.subarray(0, at), put, bytes.subarray(at + taken));
}
