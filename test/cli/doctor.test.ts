import assert from "node:assert/strict";
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  judgeClock,
  judgeCorePattern,
  judgeIsolation,
  judgeMemory,
  judgeNode,
  judgePlatform,
  judgePrograms,
  judgeSwap,
  judgeTmpfs,
} from "../../src/cli/doctor/judge.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

type Found = { check: string; status: string; found: string; remedy?: string };

async function doctor(cwd: string, ...args: readonly string[]) {
  const run = await runInProcess(["doctor", "--json", ...args], { cwd });
  const document: { ok: boolean; findings: readonly Found[] } = JSON.parse(run.stdout);
  const get = (check: string) => document.findings.find((finding) => finding.check === check);
  return { ...document, code: run.code, get };
}

test("without a project only the machine is checked", async (context) => {
  const report = await doctor(temporaryFolder(context));
  assert.equal(report.get("node")?.status, "ok");
  assert.equal(report.get("vault"), undefined);
  assert.equal(report.code, report.ok ? 0 : 1);
});

test("every finding that is not ok has a remedy", async (context) => {
  const report = await doctor(temporaryFolder(context));
  for (const { check, status, remedy } of report.findings)
    assert.equal(remedy === undefined, status === "ok", check);
});

test("a fresh project is found healthy; a key that others may read is a failure", async (context) => {
  const cwd = temporaryFolder(context);
  await runInProcess(["init", "--template", "people", "--rows", "1"], { cwd });
  const fresh = await doctor(cwd);
  const secrets = ["rights", "vault", "keks", "owner", "platform-keys"];
  for (const check of ["project", ...secrets, "roots", "broker", "policies", "manifests"])
    assert.equal(fresh.get(check)?.status, "ok", check);

  const key = join(cwd, ".ppml/owner.key");
  chmodSync(key, 0o644);
  const open = await doctor(cwd);
  assert.equal(open.code, 1);
  assert.equal(open.get("rights")?.remedy, `chmod -R go= ${key}`);
  chmodSync(key, 0o600);

  await runInProcess(["key", "disable", "people"], { cwd });
  await runInProcess(["key", "destroy", "results", "--yes"], { cwd });
  rmSync(join(cwd, "queries/developers.sql"));
  const worn = await doctor(cwd);
  assert.equal(worn.get("keks")?.found, "people is disabled, results is destroyed");
  assert.match(worn.get("files")?.found ?? "", /queries\/developers\.sql/);

  writeFileSync(join(cwd, ".ppml/root.key"), "nonsense");
  const locked = await doctor(cwd);
  assert.equal(locked.get("vault")?.status, "fail");
  assert.equal(locked.get("broker")?.status, "warn");
});

test("what is missing or damaged of a project is a failure with a remedy", async (context) => {
  const cwd = temporaryFolder(context);
  await runInProcess(["init", "--template", "people", "--rows", "1"], { cwd });
  for (const line of ["data seal", "policy draft analysis"])
    assert.equal((await runInProcess(line.split(" "), { cwd })).code, 0, line);
  assert.equal((await doctor(cwd)).get("manifests")?.found, "1 of 2 datasets are sealed");

  const failed = async (check: string, found: RegExp, remedy: RegExp): Promise<void> => {
    const report = await doctor(cwd);
    assert.equal(report.code, 1, check);
    assert.equal(report.get(check)?.status, "fail", check);
    assert.match(report.get(check)?.found ?? "", found);
    assert.match(report.get(check)?.remedy ?? "", remedy);
  };
  const at = (path: string): string => join(cwd, path);
  const whileChanged = async (path: string, text: string | null, check: () => Promise<void>) => {
    renameSync(at(path), at("kept"));
    if (text !== null) writeFileSync(at(path), text);
    await check();
    rmSync(at(path), { recursive: true, force: true });
    renameSync(at("kept"), at(path));
  };

  await whileChanged("roots.json", null, () =>
    failed("roots", /roots\.json cannot be read/, /restore/),
  );
  for (const garbage of ["garbage", "{}"])
    await whileChanged("roots.json", garbage, () => failed("roots", /roots\.json/, /restore/));
  await whileChanged(".ppml/broker", null, () => failed("broker", /is not there/, /backup/));
  for (const name of ["broker.db", "log.key", "release-root.key"])
    await whileChanged(`.ppml/broker/${name}`, null, () => failed("broker", /broker/, /backup/));
  await whileChanged("policies/analysis.json", "{", () =>
    failed("policies", /analysis: .*analysis\.json/, /policy draft/),
  );
  const manifest = "sealed/people/manifest.json";
  await whileChanged(manifest, "{}", () => failed("manifests", /people: /, /seal/));
  const damaged = readFileSync(at(manifest), "utf8").replace(/"sig":"../, '"sig":"AA');
  await whileChanged(manifest, damaged, () => failed("manifests", /people: /, /seal/));
  await whileChanged("sealed/people", "", () => failed("manifests", /people: /, /./));
  assert.equal((await doctor(cwd)).ok, true);
});

test("a wrong ppml.yaml is a finding, and the machine is checked all the same", async (context) => {
  const cwd = temporaryFolder(context);
  writeFileSync(join(cwd, "ppml.yaml"), "version: 9\n");
  const report = await doctor(cwd);
  assert.equal(report.code, 1);
  assert.match(report.get("project")?.found ?? "", /ppml\.yaml:1:10: version: expected 1; came 9/);
  assert.equal(report.get("node")?.status, "ok");
});

test("the judges: what is warned of in simulation fails in production", () => {
  assert.equal(judgeNode("22.17.9").status, "fail");
  assert.equal(judgeNode("22.18.0").status, "ok");
  assert.equal(judgeNode("24.0.0").status, "ok");
  assert.equal(judgePlatform("darwin", "25").status, "warn");
  assert.equal(judgePlatform("linux", "6.1").status, "ok");
  assert.equal(judgeMemory(2 ** 30, 2 ** 29).status, "warn");
  assert.equal(judgeTmpfs(null).status, "fail");
  const tmpfs = { isTmpfs: true, sizeBytes: 2 ** 26, freeBytes: 2 ** 26 };
  assert.equal(judgeTmpfs(tmpfs).status, "warn"); // a pod's 64 MB
  assert.equal(judgeTmpfs({ ...tmpfs, freeBytes: 2 ** 30 }).status, "ok");
  for (const [mode, status] of [
    ["simulation", "warn"],
    [null, "warn"],
    ["production", "fail"],
  ] as const) {
    assert.equal(judgePrograms(["setpriv"], mode).status, status);
    assert.equal(judgeIsolation("none", mode).status, status);
    const swaps = "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n";
    assert.equal(judgeSwap(swaps, mode).status, status);
    assert.match(judgeSwap(swaps, mode).found, /\/dev\/sda2/);
    assert.equal(judgeCorePattern("|/usr/lib/systemd/systemd-coredump %P\n", mode).status, status);
  }
  assert.equal(judgeSwap("Filename Type Size Used Priority\n", "production").status, "ok");
  assert.equal(judgeCorePattern("core\n", "production").status, "ok");
  assert.equal(judgeIsolation("user-namespaces", "production").status, "ok");
});

test("a clock before this version, or before the project's file, is told", () => {
  const nowMs = Date.parse("2027-01-01T00:00:00Z");
  assert.equal(judgeClock(nowMs, null).status, "ok");
  assert.equal(judgeClock(nowMs, nowMs + 3_600_000).status, "warn");
  assert.equal(judgeClock(0, null).status, "fail");
});
