import { PpmlError } from "../../base/index.ts";
import type { WireEvidence } from "../../format/protocol.ts";
import type { SimSgxEvidence, SimTdxEvidence } from "../evidence/dcap-evidence.ts";
import { SIMULATION_MARK } from "../evidence/simulation-mark.ts";
import type { DcapCache } from "../verify/dcap/cache.ts";
import { decodeDcapWire } from "../verify/dcap/verify-dcap.ts";
import { verifyQuoteUnder } from "../verify/dcap/verify-quote.ts";
import { mintVerified } from "../verify/verified.ts";
import type { Verified } from "../verify/verified.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { trustAnchorOf } from "../x509/chain.ts";

/**
 * Verifies simulated Evidence of wire type `sim-sgx` or `sim-tdx` up to the pinned root of a
 * simulation, by the checks that hardware's goes through.
 * @throws attest.invalid, attest.unsupported, attest.not_verified, attest.collateral, attest.revoked
 * @see docs/attestation.md section "DCAP verification"
 */
export function verifySimulatedDcapEvidence(
  wire: WireEvidence,
  options: {
    /** The root's certificate in DER, as it was pinned. */
    readonly simulationRoot: Uint8Array;
    /** Validity is checked for this time: milliseconds since 1970. */
    readonly nowMs: number;
    readonly cache?: DcapCache;
  },
): Verified<SimSgxEvidence> | Verified<SimTdxEvidence> {
  if (wire.type !== "sim-sgx" && wire.type !== "sim-tdx")
    throw new PpmlError(
      "attest.unsupported",
      `expected simulated Evidence of type sim-sgx or sim-tdx, got ${wire.type}`,
    );
  const root = parseCertificate(options.simulationRoot);
  if (!root.commonName.includes(SIMULATION_MARK))
    throw new PpmlError(
      "attest.not_verified",
      `the root "${root.commonName}" is not one of a simulation: its name lacks "${SIMULATION_MARK}"`,
    );
  const { quote, verification } = verifyQuoteUnder(trustAnchorOf(root), {
    ...options,
    ...decodeDcapWire(wire),
  });
  const minted = { profile: "sim", simulated: true, verifiedAt: options.nowMs } as const;
  if (quote.tee === "sgx" && wire.type === "sim-sgx")
    return mintVerified({ ...minted, evidence: { type: "sim-sgx", quote, verification } });
  if (quote.tee === "tdx" && wire.type === "sim-tdx")
    return mintVerified({ ...minted, evidence: { type: "sim-tdx", quote, verification } });
  throw new PpmlError(
    "attest.invalid",
    `expected a quote that fits ${wire.type}, got one of ${quote.tee}`,
  );
}
