/**
 * Verifies quotes of hardware with their collateral, beside the Rust crate dcap-qvl on the same cases,
 * alternating: first everything from its bytes each time, then with collateral and PCK chains
 * remembered, for which the crate has no counterpart. The signatures alone say what parsing may cost. The
 * crate is built as fast as we know how; its own release profile is for size.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDcapCache } from "../../src/attest/verify/dcap/cache.ts";
import type { DcapCache } from "../../src/attest/verify/dcap/cache.ts";
import { verifyDcapQuote } from "../../src/attest/verify/dcap/verify-dcap.ts";
import { alternate, measured, measuredCommand } from "../measure.ts";
import { memoryFolder } from "../memory-folder.ts";
import { pair } from "../table.ts";
import type { Figure } from "../table.ts";
import { encodeCases, loadDcapCases } from "./dcap-cases.ts";
import type { DcapCase } from "./dcap-cases.ts";
import { buildDcapQvl, DCAP_QVL_VERSION } from "./dcap-qvl.ts";
import { signaturesAlone } from "./dcap-signatures.ts";

/** Compares verifications a CPU-second, all threads counted. */
export async function benchDcap(options: { readonly quick: boolean }): Promise<readonly Figure[]> {
  const program = buildDcapQvl("fastest");
  const ownProgram = buildDcapQvl("own");
  const cases = loadDcapCases();
  const passes = options.quick ? 10 : 30;
  const cache = createDcapCache({ maxCollateral: cases.length, maxPlatforms: cases.length });
  const signatures = signaturesAlone();
  const folder = mkdtempSync(join(memoryFolder(), "ppml-bench-"));
  try {
    const path = join(folder, "cases.json");
    writeFileSync(path, encodeCases(cases));
    const medians = await alternate(
      {
        fresh: () => measured(() => verifyAll(cases, passes)),
        warm: () => measured(() => verifyAll(cases, passes, cache)),
        signatures: () => measured(() => repeat(signatures, cases.length * passes)),
        rust: () => measuredCommand([program, path, String(passes)]),
        ownRust: () => measuredCommand([ownProgram, path, String(passes)]),
      },
      // V8 compiles what is used often, again and better, for some ten thousand verifications.
      { rounds: options.quick ? 5 : 11, warmUps: options.quick ? 2 : 10 },
    );
    const perSecond = ({ cpuMs }: { readonly cpuMs: number }): number =>
      (cases.length * passes * 1000) / cpuMs;
    const other = { name: `dcap-qvl ${DCAP_QVL_VERSION}`, value: perSecond(medians.rust) };
    return [
      pair({
        what: "DCAP verification from bytes",
        ours: perSecond(medians.fresh),
        other,
        unit: "/CPU-s",
        goal: { atLeast: 1 },
      }),
      pair({
        what: "the same, beside its own release profile",
        ours: perSecond(medians.fresh),
        other: { name: other.name, value: perSecond(medians.ownRust) },
        unit: "/CPU-s",
      }),
      pair({
        what: "DCAP verification, cache warm",
        ours: perSecond(medians.warm),
        other,
        unit: "/CPU-s",
        goal: { atLeast: 2 },
      }),
      pair({
        what: "its 7 signatures and 2 keys alone",
        ours: perSecond(medians.signatures),
        other,
        unit: "/CPU-s",
      }),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function repeat(work: () => void, times: number): void {
  for (let index = 0; index < times; index += 1) work();
}

function verifyAll(cases: readonly DcapCase[], passes: number, cache?: DcapCache): void {
  for (let pass = 0; pass < passes; pass += 1)
    for (const one of cases) verifyDcapQuote(cache === undefined ? one : { ...one, cache });
}
