import type { DcapCollateral } from "../../src/attest/collateral/dcap-collateral.ts";
import { makeSimCollateral } from "../../src/attest/sim/dcap-collateral.ts";
import type { SimCollateralChanges } from "../../src/attest/sim/dcap-collateral.ts";
import { createSimDcapPki } from "../../src/attest/sim/dcap-pki.ts";
import type { SimDcapPki } from "../../src/attest/sim/dcap-pki.ts";
import { makeSimQuote, simSgxReport, simTdReport } from "../../src/attest/sim/dcap-quote.ts";
import type { SimQuoteBody, SimQuoteChanges } from "../../src/attest/sim/dcap-quote.ts";
import type { DcapCache } from "../../src/attest/verify/dcap/cache.ts";
import { verifyQuoteUnder } from "../../src/attest/verify/dcap/verify-quote.ts";
import type { VerifiedQuote } from "../../src/attest/verify/dcap/verify-quote.ts";
import { parseCertificate } from "../../src/attest/x509/certificate.ts";
import { trustAnchorOf } from "../../src/attest/x509/chain.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const DAY_MS = 86_400_000;
export const SEED = new Uint8Array(32).fill(0x5d);

export const reportData = new Uint8Array(64).fill(0xb2);

/** The shared hierarchy and platform. */
export const pki: SimDcapPki = createSimDcapPki({ seed: SEED, nowMs: NOW_MS });

/** One body of each kind. */
export const bodies = {
  "sgx v3": {
    tee: "sgx",
    version: 3,
    body: simSgxReport({ mrEnclave: new Uint8Array(32).fill(0xa1), reportData }),
  },
  "tdx v4": { tee: "tdx", version: 4, body: td("td10") },
  "tdx v5, TD 1.0": { tee: "tdx", version: 5, body: td("td10") },
  "tdx v5, TD 1.5": { tee: "tdx", version: 5, body: td("td15") },
  "tdx v5, TD 1.5 extended": { tee: "tdx", version: 5, body: td("td15ex") },
} as const satisfies Record<string, SimQuoteBody>;
export type Kind = keyof typeof bodies;
export const KINDS = Object.keys(bodies) as readonly Kind[];

function td(type: "td10" | "td15" | "td15ex") {
  return simTdReport(type, { mrTd: new Uint8Array(48).fill(0xa1), reportData });
}

/** What one verification is given; every part can be replaced. */
export type DcapCase = {
  readonly pki: SimDcapPki;
  readonly quote: Uint8Array;
  readonly collateral: DcapCollateral;
};

/** A good case of a kind, with changes made before anything is signed. */
export function makeCase(
  kind: Kind,
  changes: {
    readonly pki?: SimDcapPki;
    readonly quote?: SimQuoteChanges;
    readonly body?: SimQuoteBody;
    readonly collateral?: SimCollateralChanges;
  } = {},
): DcapCase {
  const { pki: hierarchy = pki, body = bodies[kind] } = changes;
  return {
    pki: hierarchy,
    quote: makeSimQuote(hierarchy, body, changes.quote ?? {}),
    collateral: makeSimCollateral(hierarchy, {
      tee: body.tee,
      nowMs: NOW_MS,
      changes: changes.collateral ?? {},
    }),
  };
}

/** Verifies a case under its own hierarchy's root, or the shared one's. */
export function verifyCase(
  options: DcapCase & {
    readonly nowMs?: number;
    readonly cache?: DcapCache;
    readonly root?: Uint8Array;
  },
): VerifiedQuote {
  const root = options.root ?? options.pki.certificates.root;
  return verifyQuoteUnder(trustAnchorOf(parseCertificate(root)), {
    nowMs: NOW_MS,
    ...options,
  });
}
