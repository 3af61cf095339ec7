import { constants, createHash, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { concatBytes, equalBytes, PpmlError } from "../../base/index.ts";
import { tpmHashBytes } from "../evidence/tpm-algorithms.ts";
import type { TpmHash } from "../evidence/tpm-algorithms.ts";
import { parseTpmQuote } from "../evidence/tpm-attest.ts";
import type { TpmQuote } from "../evidence/tpm-attest.ts";
import type { TpmSignature } from "../evidence/tpm-signature.ts";
import { isRsa } from "../x509/rsa.ts";

/** Curves of TPMs by node:crypto's names, with the length of r and s in bytes. */
const CURVES: Readonly<Record<string, number>> = { prime256v1: 32, secp384r1: 48, secp521r1: 66 };

/** A quote that its key signed, with the PCRs that it covers. */
export type VerifiedTpmQuote = {
  readonly quote: TpmQuote;
  /** Only those that the quote covers: others would be anybody's word. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
};

/**
 * Verifies a TPM2_Quote: signed by `publicKey`, made for `qualifyingData` (the nonce, or what binds
 * it), and its PCR digest is that of the given values. Whose key it is, is for the caller to know.
 * @throws attest.invalid, attest.not_verified, attest.unsupported
 * @see TPM 2.0 Library Part 3 (rev. 1.59) section 18.4; Part 1 section "Quoting PCR"
 */
export function verifyTpmQuote(options: {
  /** The TPMS_ATTEST. */
  readonly message: Uint8Array;
  readonly signature: TpmSignature;
  readonly publicKey: KeyObject;
  /** At most 64 bytes; `not-compared` leaves it to an appraisal, which always compares it. */
  readonly qualifyingData: Uint8Array | "not-compared";
  readonly pcrs: { readonly hash: TpmHash; readonly values: ReadonlyMap<number, Uint8Array> };
}): VerifiedTpmQuote {
  const { message, signature, publicKey, qualifyingData, pcrs } = options;
  const quote = parseTpmQuote(message);
  if (!isSignedBy(message, signature, publicKey))
    throw new PpmlError(
      "attest.not_verified",
      "the TPM quote is not signed by the attestation key: its bytes were changed, or another TPM made it",
    );
  if (qualifyingData !== "not-compared" && !equalBytes(quote.extraData, qualifyingData))
    throw new PpmlError(
      "attest.not_verified",
      "the TPM quote was made for another nonce, job or key: ask for a new challenge and quote again",
    );
  const [selection, ...more] = quote.pcrSelect;
  if (selection?.hash !== pcrs.hash || more.length > 0)
    throw new PpmlError(
      "attest.unsupported",
      `expected a TPM quote of the ${pcrs.hash} bank alone`,
    );
  const covered = selection.pcrs.map((index) => {
    const value = pcrs.values.get(index);
    if (value?.byteLength !== tpmHashBytes(pcrs.hash))
      throw new PpmlError(
        "attest.invalid",
        `expected a value of ${tpmHashBytes(pcrs.hash)} bytes of PCR ${index}, which the TPM quote covers`,
      );
    return [index, value] as const;
  });
  // Part 1, "Quoting PCR": the digest is by the hash of the signing scheme, over the PCRs in ascending order.
  const digest = createHash(signature.hash)
    .update(concatBytes(...covered.map(([, value]) => value)))
    .digest();
  if (!equalBytes(quote.pcrDigest, digest))
    throw new PpmlError(
      "attest.not_verified",
      "the PCR values are not those that the TPM quoted: send the values of the same moment",
    );
  return { quote, pcrs: new Map(covered) };
}

function isSignedBy(message: Uint8Array, signature: TpmSignature, key: KeyObject): boolean {
  const { hash } = signature;
  if (signature.scheme === "ecdsa") return isEcdsaSignedBy(message, signature, key);
  if (!isRsa(key, 2048)) return false;
  if (signature.scheme === "rsassa") return verify(hash, message, key, signature.signature);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return verify(hash, message, { key, padding, saltLength }, signature.signature);
}

function isEcdsaSignedBy(
  message: Uint8Array,
  signature: Extract<TpmSignature, { readonly scheme: "ecdsa" }>,
  key: KeyObject,
): boolean {
  const length = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ""];
  if (key.asymmetricKeyType !== "ec" || length === undefined) return false;
  const [r, s] = [leftPad(signature.r, length), leftPad(signature.s, length)];
  if (r === null || s === null) return false;
  const both = concatBytes(r, s);
  return verify(signature.hash, message, { key, dsaEncoding: "ieee-p1363" }, both);
}

/** TPMs may leave out leading zeros. Null where the number is too long. */
function leftPad(bytes: Uint8Array, length: number): Uint8Array | null {
  if (bytes.byteLength > length) return null;
  const padded = new Uint8Array(length);
  padded.set(bytes, length - bytes.byteLength);
  return padded;
}
