import { concatBytes, PpmlError } from "../../base/index.ts";
import { TPM_ALG } from "../evidence/tpm-algorithms.ts";
import { openTpmReader } from "../evidence/tpm-read.ts";
import type { TpmChannel } from "./tpm-channel.ts";
import { executeTpm, malformed, readParameters, u16, u32 } from "./tpm-exchange.ts";

/** Command codes. @see TPM 2.0 Library Part 2 (rev. 1.59) section 6.5.2, TPM_CC */
const TPM_CC = {
  nvRead: 0x0000014e,
  quote: 0x00000158,
  nvReadPublic: 0x00000169,
  readPublic: 0x00000173,
  pcrRead: 0x0000017e,
};

/** The owner's hierarchy. @see TPM 2.0 Library Part 2 (rev. 1.59) section 7.4 */
const TPM_RH_OWNER = 0x40000001;

/** Who may read an NV index. @see TPM 2.0 Library Part 2 (rev. 1.59) section 13.4, TPMA_NV */
const TPMA_NV = { ownerRead: 1 << 17, authRead: 1 << 18 };

/** NV bytes read at once, which every TPM can, and the longest index read here. */
const NV_CHUNK_BYTES = 512;
const MAX_NV_BYTES = 16 * 1024;

const PCR_COUNT = 24;
const PCR_ATTEMPTS = 10;
const MAX_NAME_BYTES = 66;

/** What TPM2_Quote signed, and its TPMT_SIGNATURE. */
export type TpmQuoteAnswer = { readonly message: Uint8Array; readonly signature: Uint8Array };

/**
 * Reads a whole NV index that the owner, or whoever has its own authorisation, may read with an
 * empty password. Rejects with attest.unavailable.
 * @see TPM 2.0 Library Part 3 (rev. 1.59) section 31.13 (TPM2_NV_Read)
 */
export async function readNvIndex(tpm: TpmChannel, index: number): Promise<Uint8Array> {
  const { size, authorisation } = await readNvPublic(tpm, index);
  const chunks: Uint8Array[] = [];
  for (let offset = 0; offset < size; offset += NV_CHUNK_BYTES) {
    const wanted = Math.min(NV_CHUNK_BYTES, size - offset);
    const command = {
      name: "TPM2_NV_Read",
      code: TPM_CC.nvRead,
      handles: [authorisation, index],
      password: true,
      parameters: concatBytes(u16(wanted), u16(offset)),
    };
    const chunk = await executeTpm(tpm, command, (parameters) =>
      readParameters(parameters, (reader) => reader.sized(NV_CHUNK_BYTES)),
    );
    if (chunk.byteLength !== wanted)
      throw new PpmlError(
        "attest.unavailable",
        `the TPM gave ${chunk.byteLength} of ${wanted} bytes of the NV index 0x${index.toString(16)}`,
      );
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

/**
 * The TPM2B_PUBLIC of a loaded or persistent key. Rejects with attest.unavailable.
 * @see TPM 2.0 Library Part 3 (rev. 1.59) section 12.4 (TPM2_ReadPublic)
 */
export function readTpmPublic(tpm: TpmChannel, handle: number): Promise<Uint8Array> {
  const command = {
    name: "TPM2_ReadPublic",
    code: TPM_CC.readPublic,
    handles: [handle],
    password: false,
    parameters: new Uint8Array(),
  };
  return executeTpm(tpm, command, (parameters) =>
    readParameters(parameters, (reader) => {
      const area = reader.sized(1024);
      // Its name and its qualified name.
      reader.sized(MAX_NAME_BYTES);
      reader.sized(MAX_NAME_BYTES);
      return concatBytes(u16(area.byteLength), area);
    }),
  );
}

/**
 * PCR 0 to 23 of the SHA-256 bank. A TPM gives some at a time; where they change between, it begins
 * again. Rejects with attest.unavailable.
 * @see TPM 2.0 Library Part 3 (rev. 1.59) section 22.4 (TPM2_PCR_Read)
 */
export async function readPcrs(tpm: TpmChannel): Promise<Uint8Array[]> {
  for (let tried = 0; tried < PCR_ATTEMPTS; tried += 1) {
    const found: Uint8Array[] = [];
    const counters = new Set<number>();
    while (found.length < PCR_COUNT && counters.size <= 1) {
      const part = await readSomePcrs(tpm, found.length);
      counters.add(part.counter);
      found.push(...part.values);
    }
    if (counters.size === 1) return found;
  }
  throw new PpmlError(
    "attest.unavailable",
    "the TPM's PCRs did not stay the same while being read",
  );
}

/**
 * Has the key at `handle` (empty password) sign PCR 0 to 23 of the SHA-256 bank with
 * `qualifyingData`, at most 64 bytes, by the key's own scheme. Rejects with attest.unavailable.
 * @see TPM 2.0 Library Part 3 (rev. 1.59) section 18.4 (TPM2_Quote)
 */
export function quoteTpm(
  tpm: TpmChannel,
  options: { readonly handle: number; readonly qualifyingData: Uint8Array },
): Promise<TpmQuoteAnswer> {
  const { handle, qualifyingData } = options;
  const command = {
    name: "TPM2_Quote",
    code: TPM_CC.quote,
    handles: [handle],
    password: true,
    parameters: concatBytes(
      u16(qualifyingData.byteLength),
      qualifyingData,
      // TPM_ALG_NULL: the scheme that the key was made with.
      u16(TPM_ALG.null),
      selectFrom(0),
    ),
  };
  return executeTpm(tpm, command, (parameters) => {
    const message = openTpmReader(parameters, "response").sized(1024);
    return { message, signature: parameters.slice(2 + message.byteLength) };
  });
}

/** @see TPM 2.0 Library Part 3 (rev. 1.59) section 31.6 (TPM2_NV_ReadPublic), Part 2 section 13.5 (TPMS_NV_PUBLIC) */
async function readNvPublic(
  tpm: TpmChannel,
  index: number,
): Promise<{ readonly size: number; readonly authorisation: number }> {
  const command = {
    name: "TPM2_NV_ReadPublic",
    code: TPM_CC.nvReadPublic,
    handles: [index],
    password: false,
    parameters: new Uint8Array(),
  };
  const { size, attributes } = await executeTpm(tpm, command, (parameters) =>
    readParameters(parameters, (reader) => {
      const area = reader.sized(200);
      reader.sized(MAX_NAME_BYTES);
      return readParameters(area, (fields) => {
        if (fields.u32() !== index) throw malformed("it is of another index");
        // nameAlg; then attributes, authPolicy, dataSize.
        fields.u16();
        const bits = fields.u32();
        fields.sized(64);
        return { attributes: bits, size: fields.u16() };
      });
    }),
  );
  const name = `the TPM's NV index 0x${index.toString(16)}`;
  if (size > MAX_NV_BYTES)
    throw new PpmlError("attest.unavailable", `${name} has ${size} bytes, over ${MAX_NV_BYTES}`);
  if ((attributes & TPMA_NV.ownerRead) !== 0) return { size, authorisation: TPM_RH_OWNER };
  if ((attributes & TPMA_NV.authRead) !== 0) return { size, authorisation: index };
  throw new PpmlError(
    "attest.unavailable",
    `${name} may be read neither by the owner nor by itself`,
  );
}

/** The next PCRs from `first` on: a TPM gives them in ascending order. */
function readSomePcrs(
  tpm: TpmChannel,
  first: number,
): Promise<{ readonly counter: number; readonly values: readonly Uint8Array[] }> {
  const command = {
    name: "TPM2_PCR_Read",
    code: TPM_CC.pcrRead,
    handles: [],
    password: false,
    parameters: selectFrom(first),
  };
  return executeTpm(tpm, command, (parameters) =>
    readParameters(parameters, (reader) => {
      const counter = reader.u32();
      if (reader.u32() !== 1 || reader.u16() !== TPM_ALG.sha256 || reader.u8() !== 3)
        throw malformed("the TPM has no SHA-256 bank of 24 PCRs");
      const bits = reader.take(3);
      const count = reader.u32();
      if (count === 0 || count > PCR_COUNT - first) throw malformed(`it has ${count} PCRs`);
      for (let pcr = 0; pcr < PCR_COUNT; pcr += 1)
        if (isSelected(bits, pcr) !== (pcr >= first && pcr < first + count))
          throw malformed("it gave other PCRs than the first ones that were asked for");
      return { counter, values: Array.from({ length: count }, () => reader.sized(32)) };
    }),
  );
}

/** TPML_PCR_SELECTION of PCR `first` to 23. @see TPM 2.0 Library Part 2 (rev. 1.59) sections 10.6.1, 10.9.7 */
function selectFrom(first: number): Uint8Array {
  const bits = new Uint8Array(3);
  for (let pcr = first; pcr < PCR_COUNT; pcr += 1)
    bits[pcr >>> 3] = (bits[pcr >>> 3] ?? 0) | (1 << (pcr & 7));
  return concatBytes(u32(1), u16(TPM_ALG.sha256), Uint8Array.of(bits.byteLength), bits);
}

function isSelected(bits: Uint8Array, pcr: number): boolean {
  return (((bits[pcr >>> 3] ?? 0) >>> (pcr & 7)) & 1) === 1;
}
