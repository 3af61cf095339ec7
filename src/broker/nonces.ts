import { PpmlError, toBase64Url } from "../base/index.ts";
import type { BrokerDatabase } from "./database.ts";

/** How long a nonce may be used. */
export const NONCE_TTL_SECONDS = 120;

/** How many nonces may be open at once; more challenges are refused until some are spent or old. */
export const MAX_OPEN_NONCES = 10_000;

/** Source of `length` bytes from the operating system's CSPRNG. */
export type RandomSource = (length: number) => Uint8Array;

/**
 * Makes a nonce of 32 bytes, base64url.
 * @throws broker.busy where too many are open
 */
export function makeNonce(
  db: BrokerDatabase,
  options: { readonly nowMs: number; readonly random: RandomSource },
): { readonly nonce: string; readonly expiresMs: number } {
  const { nowMs, random } = options;
  // The wire shows whole seconds: the nonce lives to the end of the last one.
  const expiresMs = (Math.floor(nowMs / 1000) + NONCE_TTL_SECONDS) * 1000;
  const nonce = toBase64Url(random(32));
  db.transaction(() => {
    for (const old of db.noncesUntil(nowMs)) db.remove("nonces", old);
    if (db.count("nonces") >= MAX_OPEN_NONCES)
      throw new PpmlError(
        "broker.busy",
        `${MAX_OPEN_NONCES} challenges are open: try again in ${NONCE_TTL_SECONDS} seconds`,
      );
    db.put("nonces", [nonce, expiresMs]);
  });
  return { nonce, expiresMs };
}

/** Refuses a nonce that is not open, without spending it. @throws release.nonce */
export function requireOpenNonce(db: BrokerDatabase, nonce: string, nowMs: number): void {
  const row = db.row("nonces", nonce);
  if (row === null || Number(row[1]) <= nowMs) throw notOpen();
}

/**
 * Spends a nonce: it is never open again. Call it inside the transaction that writes the leaf.
 * @throws release.nonce where it is unknown, spent or too old
 */
export function spendNonce(db: BrokerDatabase, nonce: string, nowMs: number): void {
  requireOpenNonce(db, nonce, nowMs);
  db.remove("nonces", nonce);
}

function notOpen(): PpmlError {
  return new PpmlError(
    "release.nonce",
    `the nonce is unknown, was used before, or is older than ${NONCE_TTL_SECONDS} seconds: ask for a new challenge and collect the Evidence again`,
  );
}
