import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineListing } from "../../src/attest/index.ts";
import { judgeTee } from "../../src/cli/doctor/tee.ts";
import type { TeeFacts } from "../../src/cli/doctor/tee.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

const NOTHING: MachineListing = {
  gramine: { missing: "/dev/attestation is not there" },
  tsm: { missing: "/sys/kernel/config/tsm/report is not there" },
  azureVtpm: { missing: "/dev/tpmrm0 is not there" },
  tdxGuest: { missing: "/dev/tdx_guest is not there" },
  sevGuest: { missing: "/dev/sev-guest is not there" },
};
const LINUX: TeeFacts = { platform: "linux", release: "6.8.0-45-generic", hasPerl: true };

function judge(changes: Partial<MachineListing>, facts: Partial<TeeFacts> = {}) {
  const { tee, findings } = judgeTee({ ...NOTHING, ...changes }, { ...LINUX, ...facts }, null);
  for (const { check, status, remedy } of findings)
    assert.equal(remedy === undefined, status === "ok", check);
  return { tee, of: (name: string) => findings.find(({ check }) => check === name) };
}

test("each kind of machine is told its TEE, and is warned of nothing that it does not need", () => {
  for (const [changes, check, found] of [
    [{ gramine: { found: "dcap" } }, "gramine", /type sgx, by gramine/],
    [{ tsm: { found: "tdx_guest" } }, "configfs-tsm", /type tdx, by tsm/],
    [{ tsm: { found: "sev_guest" } }, "configfs-tsm", /type snp, by tsm/],
    [{ azureVtpm: { found: "snp" } }, "azure-vtpm", /type az-snp-vtpm, by azure-vtpm/],
    [{ tdxGuest: { found: true } }, "tdx-guest", /type tdx, by tdx-guest/],
    [{ sevGuest: { found: true } }, "sev-guest", /type snp, by sev-guest/],
  ] as const) {
    const { of } = judge(changes);
    assert.match(of("tee")?.found ?? "", found);
    assert.match(of(check)?.found ?? "", /^there/);
    for (const name of ["tee", "gramine", "configfs-tsm", "azure-vtpm", "tdx-guest", "sev-guest"])
      assert.equal(of(name)?.status, "ok", name);
  }
});

test("without a TEE every way has its reason and its remedy, and the whole fails", () => {
  const { tee, of } = judge({});
  assert.equal(tee.way, null);
  assert.equal(of("tee")?.status, "fail");
  for (const [check, remedy] of [
    ["gramine", /gramine-sgx/],
    ["configfs-tsm", /Linux 6\.7.*mount -t configfs.*modprobe/],
    ["azure-vtpm", /swtpm, is not a TEE/],
    ["tdx-guest", /modprobe tdx_guest/],
    ["sev-guest", /modprobe sev-guest/],
  ] as const) {
    assert.equal(of(check)?.status, "warn", check);
    assert.match(of(check)?.remedy ?? "", remedy);
  }
});

const closed = (path: string) => ({ missing: `${path} may not be used by this user` });

test("a device that this user may not use is a matter of rights, not of modules", () => {
  const { of } = judge({
    tsm: closed("/sys/kernel/config/tsm/report"),
    azureVtpm: closed("/dev/tpmrm0"),
    tdxGuest: closed("/dev/tdx_guest"),
    sevGuest: closed("/dev/sev-guest"),
  });
  for (const check of ["configfs-tsm", "azure-vtpm", "tdx-guest", "sev-guest"]) {
    assert.match(of(check)?.remedy ?? "", /run as root/, check);
    assert.doesNotMatch(of(check)?.remedy ?? "", /modprobe/, check);
  }
});

test("an enclave without DCAP, and a provider that is not known, are told", () => {
  const { of } = judge({ gramine: { found: "none" }, tsm: { found: "arm_cca_guest" } });
  assert.match(of("gramine")?.found ?? "", /type is none, not dcap/);
  assert.match(of("gramine")?.remedy ?? "", /remote_attestation = "dcap"/);
  assert.match(of("configfs-tsm")?.found ?? "", /arm_cca_guest/);
});

test("perl fails only where the device's ioctls need it", () => {
  assert.equal(judge({ sevGuest: { found: true } }, { hasPerl: false }).of("perl")?.status, "fail");
  assert.equal(judge({ sevGuest: { found: true } }).of("perl")?.status, "ok");
  assert.equal(judge({ tsm: { found: "sev_guest" } }, { hasPerl: false }).of("perl")?.status, "ok");
});

test("an old kernel is told what it lacks, where there is no TEE", () => {
  for (const [release, found] of [
    ["6.6.32", /no configfs-tsm$/],
    ["6.1.0", /no configfs-tsm, and no device of TDX guests/],
    ["5.15.0-1050-azure", /no devices of TDX and SEV-SNP guests/],
  ] as const) {
    const kernel = judge({}, { release }).of("kernel");
    assert.equal(kernel?.status, "warn");
    assert.match(kernel?.found ?? "", found);
  }
  assert.equal(judge({}).of("kernel")?.status, "ok");
  assert.equal(
    judge({ azureVtpm: { found: "snp" } }, { release: "5.15.0" }).of("kernel")?.status,
    "ok",
  );
});

test("a system that is not Linux has no TEE, and is not told of Linux's devices", () => {
  const { of } = judge({}, { platform: "darwin" });
  assert.equal(of("kernel")?.status, "warn");
  assert.equal(of("sev-guest"), undefined);
  assert.equal(of("tee")?.status, "fail");
});

test("ppml doctor tee reports this machine, in words and as one JSON document", async (context) => {
  const cwd = temporaryFolder(context);
  const run = await runInProcess(["doctor", "tee", "--json"], { cwd });
  const report = JSON.parse(run.stdout) as {
    ok: boolean;
    tee: { way: string | null; reasons: string[] };
    findings: { check: string }[];
  };
  assert.equal(run.code, report.ok ? 0 : 1);
  assert.ok(report.tee.way !== null || report.tee.reasons.length === 5);
  assert.equal(report.findings.at(-1)?.check, "tee");
  assert.equal(
    report.findings.some(({ check }) => check === "swap"),
    false,
  );
  const shown = await runInProcess(["doctor", "tee"], { cwd });
  assert.match(shown.stdout, /^(?:ok {2}|FAIL) {2}tee/m);
});

test("a simulated project without a TEE is warned only", async (context) => {
  const cwd = temporaryFolder(context);
  await runInProcess(["init", "--template", "empty"], { cwd });
  const run = await runInProcess(["doctor", "tee"], { cwd });
  assert.equal(run.code, 0, run.stdout);
  assert.match(run.stdout, /SIMULATED|simulated/i);
});

test("doctor knows no other subject, and its help names tee and azure", async () => {
  const wrong = await runInProcess(["doctor", "disk"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /expected "tee", "azure" or nothing; came "disk"/);
  assert.match(
    (await runInProcess(["doctor", "--help"])).stdout,
    /ppml doctor tee[^]*ppml doctor azure/,
  );
});
