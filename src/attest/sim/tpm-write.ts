import { concatBytes } from "../../base/index.ts";
import { TPM_ALG } from "../evidence/tpm-algorithms.ts";
import type { TpmHash } from "../evidence/tpm-algorithms.ts";
import type { TpmQuote } from "../evidence/tpm-attest.ts";
import type { TpmSignature } from "../evidence/tpm-signature.ts";

/** A TPMS_ATTEST of type QUOTE: the inverse of `parseTpmQuote`. @see TPM 2.0 Library Part 2 (rev. 1.59) section 10.12.12 */
export function encodeTpmQuote(quote: TpmQuote): Uint8Array {
  const { clockInfo } = quote;
  return concatBytes(
    u32(0xff544347),
    u16(0x8018),
    sized(quote.qualifiedSigner),
    sized(quote.extraData),
    u64(clockInfo.clock),
    u32(clockInfo.resetCount),
    u32(clockInfo.restartCount),
    Uint8Array.of(clockInfo.safe ? 1 : 0),
    u64(quote.firmwareVersion),
    u32(quote.pcrSelect.length),
    ...quote.pcrSelect.map(({ hash, pcrs }) => concatBytes(u16(algorithm(hash)), bitmap(pcrs))),
    sized(quote.pcrDigest),
  );
}

/** A TPMT_SIGNATURE: the inverse of `parseTpmSignature`. @see TPM 2.0 Library Part 2 (rev. 1.59) section 11.3.4 */
export function encodeTpmSignature(signature: TpmSignature): Uint8Array {
  const schemes = { rsassa: TPM_ALG.rsaSsa, rsapss: TPM_ALG.rsaPss, ecdsa: TPM_ALG.ecdsa };
  return concatBytes(
    u16(schemes[signature.scheme]),
    u16(algorithm(signature.hash)),
    ...(signature.scheme === "ecdsa"
      ? [sized(signature.r), sized(signature.s)]
      : [sized(signature.signature)]),
  );
}

function algorithm(hash: TpmHash): number {
  return TPM_ALG[hash];
}

/** Length 3, then PCR n as bit n mod 8 of byte n / 8. */
function bitmap(pcrs: readonly number[]): Uint8Array {
  const bits = new Uint8Array(3);
  for (const pcr of pcrs) bits[pcr >>> 3] = (bits[pcr >>> 3] ?? 0) | (1 << (pcr & 7));
  return concatBytes(Uint8Array.of(bits.byteLength), bits);
}

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(u16(bytes.byteLength), bytes);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function u32(value: number): Uint8Array {
  return concatBytes(u16(value >>> 16), u16(value & 0xffff));
}

function u64(value: bigint): Uint8Array {
  return concatBytes(u32(Number(value >> 32n)), u32(Number(value & 0xffffffffn)));
}
