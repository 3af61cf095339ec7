import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isPpmlError } from "../../../src/base/index.ts";
import { verifyEvidence } from "../../../src/attest/verify/verify.ts";
import { NOW_MS, wire } from "../fixture.ts";

const options = { nowMs: NOW_MS, maaProviders: [], maaMaxAgeSeconds: 600 };
const attest = fileURLToPath(new URL("../../../src/attest", import.meta.url));

test("T: simulated evidence is refused by production verify", async () => {
  for (const type of ["sim-snp", "sim-tdx", "sim-"])
    await assert.rejects(verifyEvidence({ ...wire, type }, options), {
      code: "attest.simulated",
      message: /expected Evidence of hardware/,
    });
});

test("simulated Evidence under the name of hardware is refused", async () => {
  for (const type of ["sgx", "tdx", "snp", "az-snp-vtpm", "az-tdx-vtpm", "maa"])
    await assert.rejects(
      verifyEvidence({ ...wire, type }, options),
      (error) => isPpmlError(error) && error.code.startsWith("attest."),
    );
  for (const type of ["nitro", "csv", "sample", ""])
    await assert.rejects(verifyEvidence({ ...wire, type }, options), {
      code: "attest.unsupported",
    });
});

test("production's verifier reaches nothing of the simulation, by any import", () => {
  const starts = readdirSync(join(attest, "verify"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(attest, "verify", name));
  const reached = new Set(starts);
  for (const file of reached)
    for (const [, specifier = ""] of readFileSync(file, "utf8").matchAll(
      /(?:from|import|import\()\s*["'](\.[^"']+)["']/g,
    ))
      reached.add(join(dirname(file), specifier));
  assert.ok(reached.has(join(attest, "evidence/snp-report.ts")), "control: imports are found");
  assert.deepEqual(
    [...reached].filter(
      (file) => file.includes(join("attest", "sim")) || file.includes(join("src", "launch")),
    ),
    [],
  );
});

test("only verifiers mint Verified, and only appraise mints an Attestation Result", () => {
  const src = dirname(attest);
  const sources = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.endsWith(".ts"),
  );
  const having = (pattern: RegExp): string[] =>
    sources.filter((path) => pattern.test(readFileSync(join(src, path), "utf8"))).sort();
  assert.deepEqual(having(/\bmintVerified\b/), [
    "attest/sim/verify-sim-dcap.ts",
    "attest/sim/verify-sim-maa.ts",
    "attest/sim/verify-sim.ts",
    "attest/verify/azure-vtpm.ts",
    "attest/verify/dcap/verify-dcap.ts",
    "attest/verify/maa-token.ts",
    "attest/verify/snp.ts",
    "attest/verify/verified.ts",
  ]);
  assert.deepEqual(having(/\bas Verified</), ["attest/verify/verified.ts"]);
  assert.deepEqual(having(/\bas AttestationResult\b/), ["attest/appraise/appraise.ts"]);
});
