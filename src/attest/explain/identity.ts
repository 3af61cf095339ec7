import { toHex, unreachable } from "../../base/index.ts";
import { maaTeeOf } from "../appraise/tee-of.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { MaaTee } from "../evidence/maa-evidence.ts";

/** What tells this workload from others, in the standard's words with its value: one line. */
export function identityOf(evidence: Evidence): string {
  return identityOfTee(maaTeeOf(evidence));
}

function identityOfTee(tee: MaaTee): string {
  switch (tee.attestationType) {
    case "sgx":
      return `MRENCLAVE ${toHex(tee.mrEnclave)}`;
    case "sevsnpvm":
      return `measurement ${toHex(tee.launchMeasurement)}`;
    case "tdxvm":
      return `MRTD ${toHex(tee.mrTd)}`;
    case "azurevm":
      return `a vTPM and ${identityOfTee(tee.isolationTee)}`;
    default:
      return unreachable(tee);
  }
}
