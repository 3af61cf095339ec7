import { createPublicKey, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { concatBytes, sha256, toBase64Url, toHex, utf8 } from "../../base/index.ts";
import { SIMULATION_MARK } from "../evidence/simulation-mark.ts";
import { TD_REPORT_STRUCT_BYTES } from "../evidence/td-report-struct.ts";
import { encodeTpmQuote } from "./tpm-write.ts";

const HARDWARE_AREA_BYTES = 1184;
const NV_BYTES = 2600;

/** The runtime data of a simulated HCL report: the attestation key is RSA; `userData` 64 bytes. */
export function hclRuntimeData(options: {
  readonly attestationKey: KeyObject;
  readonly userData: Uint8Array;
}): Uint8Array {
  const { n } = createPublicKey(options.attestationKey).export({ format: "jwk" });
  return utf8(
    JSON.stringify({
      keys: [{ kid: "HCLAkPub", key_ops: ["sign"], kty: "RSA", e: "AQAB", n }],
      "vm-configuration": {
        "console-enabled": true,
        "secure-boot": true,
        "tpm-enabled": true,
        vmUniqueId: SIMULATION_MARK,
      },
      "user-data": toHex(options.userData).toUpperCase(),
    }),
  );
}

/** Report data (64 bytes) that binds runtime data, as Azure's paravisor does. */
export function hclReportData(runtimeData: Uint8Array): Uint8Array {
  return concatBytes(sha256(runtimeData), new Uint8Array(32));
}

/** An HCL report of a hardware report (SNP's, or a TDREPORT) and runtime data: 2600 bytes. */
export function encodeHclReport(options: {
  readonly type: "snp" | "tdx";
  readonly hardwareReport: Uint8Array;
  readonly runtimeData: Uint8Array;
}): Uint8Array {
  const { type, hardwareReport, runtimeData } = options;
  const bytes = new Uint8Array(NV_BYTES);
  const view = new DataView(bytes.buffer);
  const length = runtimeData.byteLength;
  const dataOffset = 32 + HARDWARE_AREA_BYTES;
  bytes.set(utf8("HCLA"));
  [2, dataOffset + 20 + length, 2].forEach((word, at) => view.setUint32(4 + 4 * at, word, true));
  bytes.set(hardwareReport, 32);
  [20 + length, 1, type === "snp" ? 2 : 4, 1, length].forEach((word, at) =>
    view.setUint32(dataOffset + 4 * at, word, true),
  );
  bytes.set(runtimeData, dataOffset + 20);
  return bytes;
}

/** A TDREPORT of zeros but for its type and report data (64 bytes); its MAC is none. */
export function tdReportStruct(reportData: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(TD_REPORT_STRUCT_BYTES);
  bytes[0] = 0x81;
  bytes.set(reportData, 128);
  return bytes;
}

/** PCR 0 to 23 of a bank: 32 bytes each. */
export type VtpmPcrs = readonly Uint8Array[];

/** A quote of all 24 PCRs of the SHA-256 bank, signed with RSASSA: the message and the bare signature. */
export function quoteVtpm(options: {
  readonly attestationKey: KeyObject;
  readonly qualifyingData: Uint8Array;
  readonly pcrs: VtpmPcrs;
}): { readonly message: Uint8Array; readonly signature: Uint8Array } {
  const message = encodeTpmQuote({
    qualifiedSigner: concatBytes(Uint8Array.of(0, 0x0b), new Uint8Array(32)),
    extraData: options.qualifyingData,
    clockInfo: { clock: 1000n, resetCount: 1, restartCount: 0, safe: true },
    firmwareVersion: 0x2020_0312_0012_0003n,
    pcrSelect: [{ hash: "sha256", pcrs: options.pcrs.map((_value, index) => index) }],
    pcrDigest: sha256(...options.pcrs),
  });
  return { message, signature: new Uint8Array(sign("sha256", message, options.attestationKey)) };
}

/** Evidence in CoCo's JSON form (az-snp-vtpm version 2, az-tdx-vtpm version 1). */
export function vtpmEvidenceJson(
  options: {
    readonly hclReport: Uint8Array;
    readonly quote: { readonly message: Uint8Array; readonly signature: Uint8Array };
    readonly pcrs: VtpmPcrs;
  } & ({ readonly vcek: Uint8Array } | { readonly tdQuote: Uint8Array }),
): Uint8Array {
  const { hclReport, quote, pcrs } = options;
  const common = {
    tpm_quote: {
      signature: toHex(quote.signature),
      message: toHex(quote.message),
      pcrs: pcrs.map(toHex),
    },
    hcl_report: toBase64Url(hclReport),
  };
  return utf8(
    JSON.stringify(
      "vcek" in options
        ? { version: 2, ...common, vcek: toBase64Url(options.vcek) }
        : { version: 1, ...common, td_quote: toBase64Url(options.tdQuote) },
    ),
  );
}
