import { PpmlError } from "../../base/index.ts";
import { TPM_ALG, tpmHashOf } from "./tpm-algorithms.ts";
import type { TpmHash } from "./tpm-algorithms.ts";
import { openTpmReader } from "./tpm-read.ts";

/** RSA-4096 is the largest key that TPMs have; P-521 the largest curve. */
const MAX_RSA_BYTES = 512;
const MAX_EC_BYTES = 66;

/**
 * A TPM's signature. RSASSA is PKCS#1 v1.5, RSAPSS has a salt of the hash's length; ECDSA's r and s
 * are most significant byte first. @see TPM 2.0 Library Part 2 (rev. 1.59) section 11.3
 */
export type TpmSignature =
  | {
      readonly scheme: "rsassa" | "rsapss";
      readonly hash: TpmHash;
      readonly signature: Uint8Array;
    }
  | {
      readonly scheme: "ecdsa";
      readonly hash: TpmHash;
      readonly r: Uint8Array;
      readonly s: Uint8Array;
    };

/**
 * Parses a TPMT_SIGNATURE; nothing may follow it.
 * @throws attest.invalid, attest.unsupported
 * @see TPM 2.0 Library Part 2 (rev. 1.59) sections 11.3.1 (RSA), 11.3.2 (ECC), 11.3.4
 */
export function parseTpmSignature(bytes: Uint8Array): TpmSignature {
  const reader = openTpmReader(bytes, "TPM signature");
  const algorithm = reader.u16();
  if (algorithm !== TPM_ALG.rsaSsa && algorithm !== TPM_ALG.rsaPss && algorithm !== TPM_ALG.ecdsa)
    throw new PpmlError(
      "attest.unsupported",
      `expected a TPM signature of RSASSA, RSAPSS or ECDSA, got algorithm 0x${algorithm.toString(16)}`,
    );
  const hash = tpmHashOf(reader.u16());
  if (algorithm === TPM_ALG.ecdsa) {
    const [r, s] = [reader.sized(MAX_EC_BYTES), reader.sized(MAX_EC_BYTES)];
    reader.end();
    return { scheme: "ecdsa", hash, r, s };
  }
  const signature = reader.sized(MAX_RSA_BYTES);
  reader.end();
  return { scheme: algorithm === TPM_ALG.rsaSsa ? "rsassa" : "rsapss", hash, signature };
}
