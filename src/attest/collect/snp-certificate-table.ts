import { fromHex, PpmlError, toHex } from "../../base/index.ts";

/** Longest certificate table in bytes. @see Linux drivers/virt/coco/sev-guest, SEV_FW_BLOB_MAX_SIZE */
export const SNP_CERTIFICATES_BYTES = 0x4000;

const ENTRY_BYTES = 24;

/** The table's GUIDs, in the order of bytes in which they are written. @see GHCB specification rev. 2.03, section 4.1.8.1, table of certificate GUIDs */
const NAMES: Readonly<Record<string, string>> = {
  "63da758de6644564adc5f4b93be8accd": "vcek",
  a8074bc2a25a483eaae639c045a0b8a1: "vlek",
  "4ab7b379bbac4fe4a02f05aef327c782": "ask",
  c0b406a4a803495297433fb6014cd0ae: "ark",
  "92f81bc358114d3d97ffd19f88dc67ea": "crl",
};

/** The same, and in the mixed order that UEFI has for GUIDs: hosts differ. @see UEFI Specification 2.10, appendix A */
const NAMES_IN_TABLES = new Map(
  Object.entries(NAMES).flatMap(([guid, name]) => [
    [guid, name],
    [mixedOrder(guid), name],
  ]),
);

/**
 * Reads the table of certificates that the host gives with an SNP report: entries of GUID, u32
 * offset and u32 length up to a zero GUID, then their bytes. Bytes are DER (or PEM) as the host
 * loaded them; entries of unknown GUIDs are left out. No table gives no certificates.
 * @throws attest.invalid
 * @see GHCB specification rev. 2.03, section 4.1.8.1
 */
export function parseSnpCertificateTable(table: Uint8Array): Record<string, Uint8Array> {
  if (table.byteLength > SNP_CERTIFICATES_BYTES)
    throw invalid(`expected at most ${SNP_CERTIFICATES_BYTES} bytes, got ${table.byteLength}`);
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const found: Record<string, Uint8Array> = {};
  for (let at = 0; table.byteLength > 0; at += ENTRY_BYTES) {
    if (at + ENTRY_BYTES > table.byteLength) throw invalid("it has no end");
    const guid = toHex(table.subarray(at, at + 16));
    if (/^0+$/.test(guid)) break;
    const offset = view.getUint32(at + 16, true);
    const length = view.getUint32(at + 20, true);
    if (offset + length > table.byteLength)
      throw invalid(`the entry ${guid} reaches beyond its bytes`);
    const name = NAMES_IN_TABLES.get(guid);
    if (name === undefined) continue;
    if (name in found) throw invalid(`it has two entries of ${name}`);
    found[name] = table.slice(offset, offset + length);
  }
  return found;
}

/** Its first three fields with their least significant byte first. */
function mixedOrder(guid: string): string {
  const bytes = fromHex(guid);
  for (const [from, to] of [
    [0, 4],
    [4, 6],
    [6, 8],
  ] as const)
    bytes.subarray(from, to).reverse();
  return toHex(bytes);
}

function invalid(what: string): PpmlError {
  return new PpmlError("attest.invalid", `not a valid table of SNP certificates: ${what}`);
}
