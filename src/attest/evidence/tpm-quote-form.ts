import { PpmlError } from "../../base/index.ts";
import { openTpmReader } from "./tpm-read.ts";
import { parseTpmSignature } from "./tpm-signature.ts";
import type { TpmSignature } from "./tpm-signature.ts";

const MAX_MESSAGE_BYTES = 1024;
const RSA_SIGNATURE_BYTES = { least: 256, most: 512 };
const PCR_COUNT = 24;
const SHA256_BYTES = 32;

/** A TPM2_Quote's parts, still unverified. */
export type TpmQuoteParts = {
  /** The TPMS_ATTEST that was signed. */
  readonly message: Uint8Array;
  readonly signature: TpmSignature;
  /** Values of the SHA-256 bank by index; null where the form carries none. */
  readonly pcrs: ReadonlyMap<number, Uint8Array> | null;
};

/**
 * Reads a quote's file in one of two forms: TPM2B_ATTEST then TPMT_SIGNATURE, as TPM2_Quote answers;
 * or, as the az-cvm-vtpm crate writes it, u64 little-endian length and the bare RSASSA signature, the
 * same of the message, u64 count (24) and the PCRs' SHA-256 values.
 * @throws attest.invalid, attest.unsupported
 * @see TPM 2.0 Library Part 3 (rev. 1.59) section 18.4; github.com/kinvolk/azure-cvm-tooling, az-cvm-vtpm
 */
export function parseTpmQuoteFile(bytes: Uint8Array): TpmQuoteParts {
  // A u64 little-endian length below 64 KiB has zeros where the other form has TPM_GENERATED.
  const zeros = bytes.subarray(2, 8);
  return zeros.byteLength === 6 && zeros.every((byte) => byte === 0)
    ? parseCounted(bytes)
    : parseAnswer(bytes);
}

/** The bare RSASSA signature with SHA-256 that Azure's attestation keys make: 256 to 512 bytes. @throws attest.invalid */
export function bareRsaSsa(signature: Uint8Array): TpmSignature {
  const { least, most } = RSA_SIGNATURE_BYTES;
  if (signature.byteLength < least || signature.byteLength > most)
    throw new PpmlError(
      "attest.invalid",
      `expected a TPM signature of ${least} to ${most} bytes, got ${signature.byteLength}`,
    );
  return { scheme: "rsassa", hash: "sha256", signature };
}

/** PCR 0 to 23 of the SHA-256 bank, in this order. @throws attest.invalid */
export function pcrsInOrder(values: readonly Uint8Array[]): ReadonlyMap<number, Uint8Array> {
  if (values.length !== PCR_COUNT || values.some(({ byteLength }) => byteLength !== SHA256_BYTES))
    throw new PpmlError(
      "attest.invalid",
      `expected ${PCR_COUNT} PCR values of ${SHA256_BYTES} bytes, got ${values.length}`,
    );
  return new Map(values.entries());
}

function parseAnswer(bytes: Uint8Array): TpmQuoteParts {
  const reader = openTpmReader(bytes, "TPM quote file");
  const message = reader.sized(MAX_MESSAGE_BYTES);
  const signature = parseTpmSignature(bytes.subarray(2 + message.byteLength));
  return { message, signature, pcrs: null };
}

function parseCounted(bytes: Uint8Array): TpmQuoteParts {
  const reader = openTpmReader(bytes, "TPM quote file");
  const count = (most: number): number => {
    const value = new DataView(reader.take(8).buffer).getBigUint64(0, true);
    if (value > BigInt(most))
      throw new PpmlError(
        "attest.invalid",
        `expected a length of at most ${most} in the TPM quote file, got ${value}`,
      );
    return Number(value);
  };
  const signature = bareRsaSsa(reader.take(count(RSA_SIGNATURE_BYTES.most)));
  const message = reader.take(count(MAX_MESSAGE_BYTES));
  const pcrs = Array.from({ length: count(PCR_COUNT) }, () => reader.take(SHA256_BYTES));
  reader.end();
  return { message, signature, pcrs: pcrsInOrder(pcrs) };
}
