import { PpmlError } from "../../base/index.ts";
import type { MaaEvidence } from "../evidence/maa-evidence.ts";
import { checkMaaToken, parseMaaToken } from "../verify/maa-check.ts";
import type { MaaDemands } from "../verify/maa-check.ts";
import { isAzureIssuer } from "../verify/maa-providers.ts";
import { mintVerified } from "../verify/verified.ts";
import type { Verified } from "../verify/verified.ts";

/**
 * Verifies a token of MAA's local double, for simulations: of a pinned issuer outside Azure, marked
 * `ppml.simulated`, signed by a key whose certificate says that it is not hardware's. All else as
 * for Azure's own.
 * @throws attest.invalid, attest.not_verified, attest.simulated, attest.unsupported
 */
export async function verifySimulatedMaaToken(
  token: string,
  demands: MaaDemands,
): Promise<Verified<MaaEvidence>> {
  const jws = parseMaaToken(token);
  const { ppml } = jws.payload;
  const marked =
    typeof ppml === "object" && ppml !== null && "simulated" in ppml && ppml.simulated === true;
  if (isAzureIssuer(jws.issuer) || !marked)
    throw new PpmlError(
      "attest.simulated",
      "expected a token of a simulation: an issuer outside Azure, and the claim ppml.simulated",
    );
  return mintVerified({
    evidence: await checkMaaToken(jws, { ...demands, simulated: true }),
    profile: "sim",
    simulated: true,
    verifiedAt: demands.nowMs,
  });
}
