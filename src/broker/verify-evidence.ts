import { fromBase64Url, PpmlError } from "../base/index.ts";
import type { Evidence } from "../attest/evidence/evidence.ts";
import { verifySimulatedDcapEvidence } from "../attest/sim/verify-sim-dcap.ts";
import { verifySimulatedEvidence } from "../attest/sim/verify-sim.ts";
import { createDcapCache } from "../attest/verify/dcap/cache.ts";
import type { Verified } from "../attest/verify/verified.ts";
import { verifyEvidence } from "../attest/verify/verify.ts";
import type { WireEvidence } from "../format/protocol.ts";
import type { BrokerState, MaaProvidersFor } from "./broker-state.ts";
import type { BrokerIdentity } from "./database.ts";

/** A token that a release rests on was made for it, just before. */
const MAX_TOKEN_AGE_SECONDS = 600;

/** Of the process: public data, under digests of all that decided on them; at most about 30 MB. */
const dcapCache = createDcapCache({ maxCollateral: 50, maxPlatforms: 2000 });

/** What Evidence is verified up to, besides the vendors' own roots. */
export type EvidenceRoots = {
  readonly identity: BrokerIdentity;
  readonly maaProviders: MaaProvidersFor;
};

/** The roots of a running broker. */
export function evidenceRoots({ db, maaProviders }: BrokerState): EvidenceRoots {
  return { identity: db.identity, maaProviders };
}

/**
 * Verifies Evidence as the broker's mode allows: in production nothing reaches the simulation.
 * @throws attest.collateral attest.denied attest.fetch attest.invalid attest.not_verified attest.revoked
 *   attest.simulated attest.unsupported
 */
export async function verifyFor(
  roots: EvidenceRoots,
  wire: WireEvidence,
  nowMs: number,
): Promise<Verified<Evidence>> {
  const { identity, maaProviders } = roots;
  if (identity.mode === "production" || !wire.type.startsWith("sim-"))
    return await verifyEvidence(wire, {
      nowMs,
      maaProviders: await maaProviders(wire),
      maaMaxAgeSeconds: MAX_TOKEN_AGE_SECONDS,
      dcapCache,
    });
  if (identity.simulationRoot === null)
    throw new PpmlError(
      "broker.state",
      "a simulation's broker has no simulation root: restore the folder of its state from a backup",
    );
  const simulationRoot = fromBase64Url(identity.simulationRoot);
  if (wire.type === "sim-sgx" || wire.type === "sim-tdx")
    return verifySimulatedDcapEvidence(wire, { simulationRoot, nowMs, cache: dcapCache });
  return verifySimulatedEvidence(wire, { simulationRoot, nowMs });
}
