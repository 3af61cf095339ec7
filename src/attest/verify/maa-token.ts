import { PpmlError, unreachable } from "../../base/index.ts";
import type { TeeProfile } from "../../format/attestation-result.ts";
import type { MaaEvidence, MaaSnp, MaaTee } from "../evidence/maa-evidence.ts";
import { checkMaaToken, parseMaaToken } from "./maa-check.ts";
import type { MaaDemands } from "./maa-check.ts";
import { isAzureIssuer } from "./maa-providers.ts";
import { mintVerified } from "./verified.ts";
import type { Verified } from "./verified.ts";

/**
 * Verifies a token of Microsoft Azure Attestation, for production: of a pinned provider in Azure,
 * signed with RS256 by a key of that provider, in its time, under a pinned policy, and bound to the
 * relying party's runtime data. A token of the simulation is refused by issuer, claim and key.
 * @throws attest.invalid, attest.not_verified, attest.simulated, attest.unsupported
 * @see docs/attestation.md section "Microsoft Azure Attestation"
 */
export async function verifyMaaToken(
  token: string,
  demands: MaaDemands,
): Promise<Verified<MaaEvidence>> {
  const jws = parseMaaToken(token);
  if (!isAzureIssuer(jws.issuer))
    throw new PpmlError(
      "attest.not_verified",
      `expected a token of a provider in Azure (https://NAME.REGION.attest.azure.net), got one of ${jws.issuer.slice(0, 100)}`,
    );
  if ("ppml" in jws.payload)
    throw new PpmlError(
      "attest.simulated",
      "expected a token of hardware, got one with the claim ppml, which only simulations have",
    );
  const evidence = await checkMaaToken(jws, { ...demands, simulated: false });
  return mintVerified({
    evidence,
    profile: profileOf(evidence.tee),
    simulated: false,
    verifiedAt: demands.nowMs,
  });
}

/**
 * A confidential container's token says which workload runs (HOST_DATA, and Azure vouches for the
 * utility VM). Any other SEV-SNP token, and any VM's guest token, describes a machine whose
 * administrator can change what runs.
 */
function profileOf(tee: MaaTee): TeeProfile {
  switch (tee.attestationType) {
    case "sgx":
      return "sgx";
    case "tdxvm":
      return "tdx";
    case "sevsnpvm":
      return isContainer(tee) ? "snp" : "snp-node";
    case "azurevm":
      // On TDX too: no other profile promises as little.
      return "snp-node";
    default:
      return unreachable(tee);
  }
}

function isContainer(tee: MaaSnp): boolean {
  return tee.complianceStatus === "azure-compliant-uvm";
}
