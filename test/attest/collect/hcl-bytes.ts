import type { KeyObject } from "node:crypto";
import { concatBytes, sha256, utf8 } from "../../../src/base/index.ts";

/** An HCL report as Azure's paravisor keeps it, over a hardware report that nobody signed. */
export function hclReportBytes(options: {
  readonly tee: "snp" | "tdx";
  /** The public key of the vTPM's attestation key. */
  readonly attestationKey: KeyObject;
}): Uint8Array {
  const { tee, attestationKey } = options;
  const { n } = attestationKey.export({ format: "jwk" });
  const runtimeData = utf8(
    JSON.stringify({
      keys: [{ kid: "HCLAkPub", key_ops: ["sign"], kty: "RSA", e: "AQAB", n }],
      "vm-configuration": {
        "console-enabled": true,
        "secure-boot": true,
        "tpm-enabled": true,
        vmUniqueId: "9B1C2E5A-0000-0000-0000-000000000000",
      },
    }),
  );
  const report = new Uint8Array(1184);
  // Report data: at 0x50 of an SNP report, at 128 of a TDREPORT of 1024 bytes.
  report.set(sha256(runtimeData), tee === "snp" ? 0x50 : 128);
  report[0] = tee === "snp" ? 3 : 0x81;
  return concatBytes(
    utf8("HCLA"),
    words(2, 1236 + runtimeData.byteLength, 2, 0, 0, 0, 0),
    report,
    words(runtimeData.byteLength + 20, 1, tee === "snp" ? 2 : 4, 1, runtimeData.byteLength),
    runtimeData,
  );
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
