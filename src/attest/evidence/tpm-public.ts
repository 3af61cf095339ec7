import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { PpmlError, toBase64Url } from "../../base/index.ts";
import { TPM_ALG, tpmHashOf } from "./tpm-algorithms.ts";
import type { TpmHash } from "./tpm-algorithms.ts";
import { openTpmReader } from "./tpm-read.ts";
import type { TpmReader } from "./tpm-read.ts";

const MAX_RSA_BYTES = 512;
const MAX_EC_BYTES = 66;
const CURVES: Readonly<Record<number, string>> = { 3: "P-256", 4: "P-384", 5: "P-521" };

/** Bits of TPMA_OBJECT that say what a key may sign. @see TPM 2.0 Library Part 2 (rev. 1.59) section 8.3 */
const TPMA = { fixedTpm: 1 << 1, sensitiveDataOrigin: 1 << 5, restricted: 1 << 16, sign: 1 << 18 };

/** A TPM key's public area, as far as an attestation key needs it. Nothing here is verified. */
export type TpmPublic = {
  readonly nameHash: TpmHash;
  /** The key never leaves its TPM and was made there. */
  readonly fixedTpm: boolean;
  /** The key signs only what the TPM made: an attestation key has to be restricted. */
  readonly restricted: boolean;
  readonly sign: boolean;
  readonly publicKey: KeyObject;
};

/**
 * Parses a TPM2B_PUBLIC of an RSA or ECC key without symmetric parameters, as attestation keys are.
 * @throws attest.invalid, attest.unsupported
 * @see TPM 2.0 Library Part 2 (rev. 1.59) sections 12.2.4, 12.2.5
 */
export function parseTpmPublic(bytes: Uint8Array): TpmPublic {
  const outer = openTpmReader(bytes, "TPM public area");
  const area = outer.sized(bytes.byteLength);
  outer.end();
  const reader = openTpmReader(area, "TPM public area");
  const type = reader.u16();
  const nameHash = tpmHashOf(reader.u16());
  const attributes = reader.u32();
  reader.sized(64);
  const publicKey = type === TPM_ALG.rsa ? readRsa(reader) : readEcc(reader, type);
  reader.end();
  const has = (bits: number): boolean => (attributes & bits) === bits;
  return {
    nameHash,
    fixedTpm: has(TPMA.fixedTpm | TPMA.sensitiveDataOrigin),
    restricted: has(TPMA.restricted),
    sign: has(TPMA.sign),
    publicKey,
  };
}

/** TPMS_RSA_PARMS and TPM2B_PUBLIC_KEY_RSA. @see TPM 2.0 Library Part 2 (rev. 1.59) section 12.2.3.5 */
function readRsa(reader: TpmReader): KeyObject {
  readScheme(reader);
  const bits = reader.u16();
  const exponent = reader.u32();
  const modulus = reader.sized(MAX_RSA_BYTES);
  if (modulus.byteLength * 8 !== bits || (exponent !== 0 && exponent !== 65537))
    throw new PpmlError(
      "attest.invalid",
      `expected an RSA key of ${bits} bits with the exponent 65537 in the TPM public area`,
    );
  return makeKey({ kty: "RSA", e: "AQAB", n: toBase64Url(modulus) });
}

/** TPMS_ECC_PARMS and TPMS_ECC_POINT. @see TPM 2.0 Library Part 2 (rev. 1.59) section 12.2.3.6 */
function readEcc(reader: TpmReader, type: number): KeyObject {
  if (type !== TPM_ALG.ecc)
    throw new PpmlError(
      "attest.unsupported",
      `expected an RSA or ECC key in the TPM public area, got type 0x${type.toString(16)}`,
    );
  readScheme(reader);
  const crv = CURVES[reader.u16()];
  const kdf = reader.u16();
  if (crv === undefined || kdf !== TPM_ALG.null)
    throw new PpmlError("attest.unsupported", "expected a key on P-256, P-384 or P-521");
  const [x, y] = [reader.sized(MAX_EC_BYTES), reader.sized(MAX_EC_BYTES)];
  return makeKey({ kty: "EC", crv, x: toBase64Url(x), y: toBase64Url(y) });
}

/** TPMT_SYM_DEF_OBJECT, then the signing scheme. @see TPM 2.0 Library Part 2 (rev. 1.59) sections 11.1.7, 11.2.1.5 */
function readScheme(reader: TpmReader): void {
  if (reader.u16() !== TPM_ALG.null)
    throw new PpmlError("attest.unsupported", "expected a signing key, got a storage key");
  const scheme = reader.u16();
  if (scheme !== TPM_ALG.null) tpmHashOf(reader.u16());
}

function makeKey(key: Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch (cause) {
    throw new PpmlError("attest.invalid", "the TPM public area holds no valid key", { cause });
  }
}
