import type { AppraisalPolicy } from "../attest/appraise/policy.ts";
import type { MaaProvider } from "../attest/verify/maa-providers.ts";
import type { EcPublicJwk } from "../format/schema.ts";

/** What a receipt is verified from: every root pinned beforehand, or null where there is none. */
export type ReceiptRoots = {
  /** The broker's log key; null leaves the log and a broker's signature unchecked. */
  readonly logKey: EcPublicJwk | null;
  /** DER of a simulation's root; null accepts no simulated Evidence. */
  readonly simulationRoot: Uint8Array | null;
  /** Providers of MAA with the keys of their day; a token of any other fails. */
  readonly maaProviders: readonly MaaProvider[];
  /** What the Evidence has to say; null leaves open which code ran. */
  readonly appraisal: AppraisalPolicy | null;
};
