import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  createSimulationPki,
  exportRootPem,
  loadSimulationPki,
  parseRootPem,
  saveSimulationPki,
} from "../../../src/attest/sim/pki.ts";
import { openSimulatedPlatform } from "../../../src/attest/sim/platform.ts";
import { verifySimulatedEvidence } from "../../../src/attest/sim/verify-sim.ts";
import { measurement, NOW_MS, pki, reportData } from "../fixture.ts";

const parent = mkdtempSync(join(tmpdir(), "ppml-pki-"));
after(() => rmSync(parent, { recursive: true, force: true }));

let count = 0;
function saved(): string {
  count += 1;
  const directory = join(parent, `platform-${count}`);
  saveSimulationPki(pki, directory);
  return directory;
}

test("a saved platform opens again and its Evidence verifies under the exported root", () => {
  const directory = saved();
  const platform = openSimulatedPlatform(directory);
  const root = parseRootPem(readFileSync(join(directory, "ark.pem"), "utf8"));
  assert.deepEqual(platform.root, root);
  const evidence = platform.attest({ measurement, reportData });
  const verified = verifySimulatedEvidence(evidence, { simulationRoot: root, nowMs: NOW_MS });
  assert.deepEqual(verified.evidence.report.measurement, measurement);
});

test("folder and files are private, and nothing else is left in the parent", () => {
  const directory = saved();
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const name of readdirSync(directory))
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  assert.deepEqual(
    readdirSync(parent).filter((name) => name.includes(".new-")),
    [],
  );
});

test("an existing folder is not overwritten", () => {
  const directory = saved();
  assert.throws(() => saveSimulationPki(createSimulationPki({ nowMs: NOW_MS }), directory), {
    code: "attest.platform",
  });
  assert.deepEqual(loadSimulationPki(directory).ark, pki.ark);
});

test("a folder that is open to others, lacks a file or has another key does not load", () => {
  refuses((directory) => chmodSync(directory, 0o750), /open to other users/);
  refuses((directory) => chmodSync(join(directory, "vcek-key.der"), 0o640), /open to other users/);
  refuses((directory) => rmSync(join(directory, "ask.der")), /ENOENT/);
  refuses((directory) => {
    rmSync(join(directory, "ask.der"));
    mkdirSync(join(directory, "ask.der"), { mode: 0o700 });
  }, /not a file/);
  const other = createSimulationPki({ nowMs: NOW_MS });
  refuses(
    (directory) =>
      writeFileSync(
        join(directory, "vcek-key.der"),
        other.vcekKey.export({ format: "der", type: "pkcs8" }),
      ),
    /is not the key of vcek\.der/,
  );
  refuses(
    (directory) => writeFileSync(join(directory, "ark.pem"), exportRootPem(other)),
    /not signed/,
  );
  refuses((directory) => writeFileSync(join(directory, "vcek-key.der"), "x"), /not the folder/);
  assert.throws(() => loadSimulationPki(join(parent, "none")), { code: "attest.platform" });
});

test("Node's own X.509 parser agrees: names, authority, signatures, a marked root", () => {
  const root = new X509Certificate(exportRootPem(pki));
  const ask = new X509Certificate(pki.ask);
  const vcek = new X509Certificate(pki.vcek);
  assert.equal(root.subject, "CN=ARK PPML SIMULATION - NOT HARDWARE");
  assert.ok(root.ca && ask.ca && !vcek.ca);
  assert.ok(
    root.verify(root.publicKey) && ask.verify(root.publicKey) && vcek.verify(ask.publicKey),
  );
  assert.ok(ask.checkIssued(root) && vcek.checkIssued(ask));
  assert.equal(vcek.validToDate.getUTCFullYear(), 2033);
});

test("a root in PEM is exactly one certificate of a simulation", () => {
  const pem = exportRootPem(pki);
  assert.deepEqual(parseRootPem(pem), pki.ark);
  assert.deepEqual(parseRootPem(pem.replaceAll("\n", "\r\n")), pki.ark);
  for (const text of ["", "x", pem + pem, `#\n${pem}`, pem.replace("A", "!"), "A".repeat(100_000)])
    assert.throws(() => parseRootPem(text), { code: "attest.invalid" });
});

function refuses(change: (directory: string) => void, message: RegExp): void {
  const directory = saved();
  change(directory);
  assert.throws(() => loadSimulationPki(directory), { code: "attest.platform", message });
}
