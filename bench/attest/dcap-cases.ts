import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  encodeQuoteCollateralV3,
  parseQuoteCollateralV3,
} from "../../src/attest/collateral/dcap-collateral.ts";
import type { DcapCollateral } from "../../src/attest/collateral/dcap-collateral.ts";
import { toHex } from "../../src/base/index.ts";
import { parsePemChain } from "../../src/attest/x509/pem.ts";

/** What one verification is given. */
export type DcapCase = {
  readonly quote: Uint8Array;
  readonly collateral: DcapCollateral;
  readonly nowMs: number;
};

const SHARED = process.env["PPML_SHARED"] ?? join(import.meta.dirname, "..", "..", "..", "shared");
const REFERENCE = "dcap-qvl-rs-0.7.1";

const indexSchema = z.object({
  quotes: z.array(
    z.object({
      file: z.string(),
      collateral: z.array(
        z.object({
          file: z.string(),
          verifyAt: z.number(),
          verdicts: z.record(z.string(), z.object({ ok: z.boolean() })),
        }),
      ),
    }),
  ),
});

/**
 * One case of each quote of hardware beside the clone that the reference accepts.
 * @throws Error where the vectors are missing
 */
export function loadDcapCases(): readonly DcapCase[] {
  const folder = join(SHARED, "vectors", "attestation");
  const index = indexSchema.parse(JSON.parse(readFileSync(join(folder, "index.json"), "utf8")));
  return index.quotes.flatMap(({ file, collateral }) =>
    collateral
      .filter(({ verdicts }) => verdicts[REFERENCE]?.ok === true)
      .slice(0, 1)
      .map((good) => ({
        quote: new Uint8Array(readFileSync(join(folder, file))),
        collateral: parseQuoteCollateralV3(
          JSON.parse(readFileSync(join(folder, good.file), "utf8")),
        ),
        nowMs: good.verifyAt * 1000,
      })),
  );
}

/** The cases as the other side reads them: JSON with bytes in hex. */
export function encodeCases(cases: readonly DcapCase[]): string {
  return JSON.stringify(
    cases.map(({ quote, collateral, nowMs }) => ({
      quote: toHex(quote),
      root: toHex(parsePemChain(collateral.tcbInfoIssuerChain).at(-1) ?? new Uint8Array()),
      now: nowMs / 1000,
      collateral: encodeQuoteCollateralV3(collateral),
    })),
  );
}
