import { PpmlError } from "../../base/index.ts";
import { tpmHashOf } from "./tpm-algorithms.ts";
import type { TpmHash } from "./tpm-algorithms.ts";
import { openTpmReader } from "./tpm-read.ts";
import type { TpmReader } from "./tpm-read.ts";

/** TPM_GENERATED_VALUE: a TPM signs data of this beginning only if it made it. @see Part 2 section 6.2 */
const TPM_GENERATED = 0xff544347;
/** TPM_ST_ATTEST_QUOTE. @see TPM 2.0 Library Part 2 (rev. 1.59) section 6.9 */
const TPM_ST_ATTEST_QUOTE = 0x8018;
/** Names and qualifying data are at most a TPMT_HA: an algorithm and a digest of SHA-512. @see Part 2 sections 10.4.3, 10.5.3 */
const MAX_NAME_BYTES = 66;
const MAX_DIGEST_BYTES = 64;
/** A TPM has a handful of PCR banks; TPML_PCR_SELECTION holds at most HASH_COUNT of them. */
const MAX_SELECTIONS = 16;
/** PCR 0 to 23: PCR_SELECT_MIN and PCR_SELECT_MAX of the PC Client profile. */
const PCR_SELECT_BYTES = 3;

/** PCRs of one bank that a quote covers. @see TPM 2.0 Library Part 2 (rev. 1.59) section 10.6.2 */
export type TpmPcrSelection = {
  readonly hash: TpmHash;
  /** Indices from 0 to 23, ascending. */
  readonly pcrs: readonly number[];
};

/** TPMS_CLOCK_INFO. @see TPM 2.0 Library Part 2 (rev. 1.59) section 10.11.1 */
export type TpmClockInfo = {
  /** Milliseconds that the TPM was powered. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  /** False where the clock may have run backwards over an unclean shutdown. */
  readonly safe: boolean;
};

/** A TPMS_ATTEST of type QUOTE. Nothing here is verified. @see TPM 2.0 Library Part 2 (rev. 1.59) section 10.12.12 */
export type TpmQuote = {
  /** Qualified name of the signing key: algorithm and digest. */
  readonly qualifiedSigner: Uint8Array;
  /** The qualifying data of TPM2_Quote: at most 66 bytes. */
  readonly extraData: Uint8Array;
  readonly clockInfo: TpmClockInfo;
  readonly firmwareVersion: bigint;
  readonly pcrSelect: readonly TpmPcrSelection[];
  /** Digest of the selected PCRs with the hash of the signature's scheme. */
  readonly pcrDigest: Uint8Array;
};

/**
 * Parses what a TPM2_Quote signed; nothing may follow it.
 * @throws attest.invalid, attest.unsupported
 * @see TPM 2.0 Library Part 2 (rev. 1.59) sections 10.12.4, 10.12.12
 */
export function parseTpmQuote(bytes: Uint8Array): TpmQuote {
  const reader = openTpmReader(bytes, "TPM quote");
  const magic = reader.u32();
  if (magic !== TPM_GENERATED)
    throw new PpmlError(
      "attest.invalid",
      `expected a structure that a TPM made (magic ff544347), got ${magic.toString(16)}`,
    );
  const type = reader.u16();
  if (type !== TPM_ST_ATTEST_QUOTE)
    throw new PpmlError(
      "attest.unsupported",
      `expected a TPM attestation of type quote (8018), got ${type.toString(16)}`,
    );
  const quote: TpmQuote = {
    qualifiedSigner: reader.sized(MAX_NAME_BYTES),
    extraData: reader.sized(MAX_NAME_BYTES),
    clockInfo: {
      clock: reader.u64(),
      resetCount: reader.u32(),
      restartCount: reader.u32(),
      safe: parseYesNo(reader.u8()),
    },
    firmwareVersion: reader.u64(),
    pcrSelect: parseSelections(reader),
    pcrDigest: reader.sized(MAX_DIGEST_BYTES),
  };
  reader.end();
  return quote;
}

/** TPMI_YES_NO: 0 or 1. @see TPM 2.0 Library Part 2 (rev. 1.59) section 9.2 */
function parseYesNo(value: number): boolean {
  if (value > 1)
    throw new PpmlError("attest.invalid", `expected 0 or 1 in the TPM quote, got ${value}`);
  return value === 1;
}

/** TPML_PCR_SELECTION. @see TPM 2.0 Library Part 2 (rev. 1.59) section 10.9.7 */
function parseSelections(reader: TpmReader): TpmPcrSelection[] {
  const count = reader.u32();
  if (count > MAX_SELECTIONS)
    throw new PpmlError(
      "attest.invalid",
      `expected at most ${MAX_SELECTIONS} PCR selections in the TPM quote, got ${count}`,
    );
  const selections: TpmPcrSelection[] = [];
  for (let index = 0; index < count; index += 1) {
    const hash = tpmHashOf(reader.u16());
    const size = reader.u8();
    if (size !== PCR_SELECT_BYTES)
      throw new PpmlError(
        "attest.invalid",
        `expected a PCR selection of ${PCR_SELECT_BYTES} bytes, got ${size}`,
      );
    // Part 2 10.6.1: PCR n is bit n mod 8 of byte n / 8.
    const bits = reader.take(size);
    const pcrs = [...bits].flatMap((byte, at) =>
      [0, 1, 2, 3, 4, 5, 6, 7]
        .filter((bit) => ((byte >>> bit) & 1) === 1)
        .map((bit) => 8 * at + bit),
    );
    selections.push({ hash, pcrs });
  }
  return selections;
}
