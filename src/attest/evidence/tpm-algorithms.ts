import { PpmlError } from "../../base/index.ts";

/** Hashes by node:crypto's names; SHA-1 is not accepted. */
export type TpmHash = "sha256" | "sha384" | "sha512";

/** Algorithm identifiers. @see TPM 2.0 Library Part 2 (rev. 1.59) section 6.3, TPM_ALG_ID */
export const TPM_ALG = {
  rsa: 0x0001,
  keyedHash: 0x0008,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  null: 0x0010,
  rsaSsa: 0x0014,
  rsaPss: 0x0016,
  ecdsa: 0x0018,
  ecc: 0x0023,
} as const;

const HASHES: Readonly<Record<number, TpmHash>> = {
  [TPM_ALG.sha256]: "sha256",
  [TPM_ALG.sha384]: "sha384",
  [TPM_ALG.sha512]: "sha512",
};

/** The hash of an algorithm identifier. @throws attest.unsupported */
export function tpmHashOf(algorithm: number): TpmHash {
  const hash = HASHES[algorithm];
  if (hash === undefined)
    throw new PpmlError(
      "attest.unsupported",
      `expected a TPM structure with SHA-256, SHA-384 or SHA-512, got algorithm 0x${algorithm.toString(16)}: quote the SHA-256 bank`,
    );
  return hash;
}

/** Length of a digest in bytes. */
export function tpmHashBytes(hash: TpmHash): number {
  return { sha256: 32, sha384: 48, sha512: 64 }[hash];
}
