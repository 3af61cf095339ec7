import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { z } from "zod";

const SNAPSHOTS = join(import.meta.dirname, "../provision/snapshots");
// Its module and not its script, whose first line names the folder that the environment was made in.
const PYTHON = process.env["PPML_CHECKOV_PYTHON"] ?? "python3";

const reportSchema = z.object({
  results: z.object({
    failed_checks: z.array(z.object({ check_id: z.string(), resource: z.string() })),
  }),
  summary: z.object({ passed: z.number(), parsing_errors: z.number() }),
});

/** Checks that every template fails, each with the reason why that is right. */
const ALWAYS: Readonly<Record<string, string>> = {
  CKV_AZURE_6:
    "a private cluster has no public server; otherwise aks.authorizedIpRanges by choice, and every call needs a login",
  CKV_AZURE_8: "looks for the dashboard's add-on, which AKS no longer has",
  CKV_AZURE_40:
    "a KEK that expires takes its data with it: KEKs are rotated and re-wrapped, and destroyed on purpose",
  CKV_AZURE_97:
    "encryption at host has to be registered; a confidential VM's disk has keys of its own",
  CKV_AZURE_151: "is about Windows",
  CKV_AZURE_166: "images are known by their measurement, not by a registry's mark",
  CKV_AZURE_172: 'wants true; ARM takes "true" in an add-on\'s config, as the template has it',
  CKV_AZURE_206:
    "demands copies in a second region; ZRS has three in one, GZRS by storage.redundancy",
  CKV_AZURE_226: "the smallest confidential sizes have no disk for it",
  CKV_AZURE_227: "encryption at host has to be registered; confidential nodes encrypt their memory",
};

/** Checks of what only private endpoints close; without them login and firewall by choice do. */
const OPEN: Readonly<Record<string, string>> = {
  CKV_AZURE_35: "network.allowedIpRanges or privateEndpoints by choice; every call needs a login",
  CKV_AZURE_59: "network.privateEndpoints by choice; no blob is public, no key works",
  CKV_AZURE_109: "network.allowedIpRanges or privateEndpoints by choice; every call needs a login",
  CKV_AZURE_139: "network.privateEndpoints by choice; no anonymous pull, no admin user",
  CKV_AZURE_189: "network.privateEndpoints by choice; every call needs a login",
};

function failedIn(snapshot: string): ReadonlySet<string> {
  const file = join(SNAPSHOTS, `${snapshot}.json`);
  const args = [
    "-m",
    "checkov.main",
    "-f",
    file,
    "--framework",
    "arm",
    "--skip-download",
    "--quiet",
    "-o",
    "json",
  ];
  const run = spawnSync(PYTHON, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  assert.equal(run.error, undefined);
  const { results, summary } = reportSchema.parse(JSON.parse(run.stdout));
  assert.equal(summary.parsing_errors, 0);
  assert.ok(summary.passed > 20, "checkov found the resources");
  return new Set(results.failed_checks.map(({ check_id }) => check_id));
}

describe("checkov", () => {
  for (const [snapshot, skips] of [
    ["snp", { ...ALWAYS, ...OPEN }],
    ["sgx", { ...ALWAYS, ...OPEN }],
    ["private", ALWAYS],
  ] as const)
    test(`finds nothing in the template "${snapshot}" but what has a reason, and every reason is needed`, () => {
      const found = failedIn(snapshot);
      assert.deepEqual([...found].sort(byNumber), Object.keys(skips).sort(byNumber));
    });
});

function byNumber(a: string, b: string): number {
  return Number(a.split("_").at(-1)) - Number(b.split("_").at(-1));
}
