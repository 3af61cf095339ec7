import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { detectTee } from "../../../src/attest/collect/detect.ts";
import type { MachineListing } from "../../../src/attest/collect/detect.ts";
import { deviceFiles } from "../../../src/attest/collect/device-io.ts";
import { openAttester } from "../../../src/attest/collect/open-attester.ts";
import { MACHINE_PATHS, probeMachine } from "../../../src/attest/collect/probe.ts";
import { openTpmDevice } from "../../../src/attest/collect/tpm-channel.ts";
import { systemHttp } from "../../../src/attest/collateral/http.ts";
import { PpmlError } from "../../../src/base/index.ts";
import { QUICK, unavailable } from "./attester-suite.ts";
import { FakeTsm } from "./fake-tsm.ts";

const NOTHING: MachineListing = {
  gramine: { missing: "/dev/attestation is not there" },
  tsm: { missing: "/sys/kernel/config/tsm/report is not there" },
  azureVtpm: { missing: "/dev/tpmrm0 is not there" },
  tdxGuest: { missing: "/dev/tdx_guest is not there" },
  sevGuest: { missing: "/dev/sev-guest is not there" },
};

const ports = {
  paths: MACHINE_PATHS,
  io: deviceFiles,
  ioctl: async () => ({ errno: 0, buffers: [] }),
  http: systemHttp,
};

test("each listing leads to its Attester", () => {
  for (const [changes, way, evidenceType] of [
    [{ gramine: { found: "dcap" } }, "gramine", "sgx"],
    [{ tsm: { found: "tdx_guest" } }, "tsm", "tdx"],
    [{ tsm: { found: "sev_guest" } }, "tsm", "snp"],
    [{ azureVtpm: { found: "snp" } }, "azure-vtpm", "az-snp-vtpm"],
    [{ azureVtpm: { found: "tdx" } }, "azure-vtpm", "az-tdx-vtpm"],
    [{ tdxGuest: { found: true } }, "tdx-guest", "tdx"],
    [{ sevGuest: { found: true } }, "sev-guest", "snp"],
  ] as const) {
    const tee = detectTee({ ...NOTHING, ...changes });
    assert.equal(tee.way, way);
    assert.equal(tee.evidenceType, evidenceType);
    assert.equal(openAttester(tee, ports).evidenceType, evidenceType);
  }
});

test("an enclave comes before its VM, and the kernel's quote before the vTPM's and the ioctls", () => {
  const all: MachineListing = {
    gramine: { found: "dcap" },
    tsm: { found: "tdx_guest" },
    azureVtpm: { found: "tdx" },
    tdxGuest: { found: true },
    sevGuest: { found: true },
  };
  assert.equal(detectTee(all).way, "gramine");
  assert.equal(detectTee({ ...all, gramine: NOTHING.gramine }).way, "tsm");
  assert.equal(
    detectTee({ ...all, gramine: { found: "none" }, tsm: { found: "arm_cca_guest" } }).way,
    "azure-vtpm",
  );
});

test("a machine without a TEE is told a reason for every way", () => {
  const tee = detectTee(NOTHING);
  assert.equal(tee.way, null);
  assert.deepEqual(tee.reasons, [
    "No Gramine enclave: /dev/attestation is not there.",
    "No configfs-tsm: /sys/kernel/config/tsm/report is not there.",
    "No vTPM of an Azure confidential VM: /dev/tpmrm0 is not there.",
    "No TDX guest device: /dev/tdx_guest is not there.",
    "No SEV-SNP guest device: /dev/sev-guest is not there.",
  ]);
  assert.throws(
    () => openAttester(tee, ports),
    (error: unknown) =>
      error instanceof PpmlError &&
      error.code === "attest.unavailable" &&
      /no TEE.*sev-guest/.test(error.message),
  );
});

test("an enclave without DCAP and a provider of another kind are told apart from none", () => {
  const { reasons } = detectTee({
    ...NOTHING,
    gramine: { found: "none" },
    tsm: { found: "arm_cca_guest" },
  });
  assert.match(reasons[0] ?? "", /sgx\.remote_attestation = "dcap"/);
  assert.match(reasons[1] ?? "", /arm_cca_guest is not known/);
});

test("probing finds what is there and says of each other place why not", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ppml-probe-"));
  try {
    mkdirSync(join(folder, "attestation"));
    writeFileSync(join(folder, "attestation", "attestation_type"), "dcap\n");
    writeFileSync(join(folder, "sev-guest"), "");
    writeFileSync(join(folder, "tpmrm0"), "");
    const paths = {
      gramine: join(folder, "attestation"),
      tsm: join(folder, "tsm"),
      tpm: join(folder, "tpmrm0"),
      tdxGuest: join(folder, "tdx_guest"),
      sevGuest: join(folder, "sev-guest"),
    };
    const listing = await probeMachine({ paths, io: deviceFiles });
    assert.deepEqual(listing.gramine, { found: "dcap" });
    assert.deepEqual(listing.sevGuest, { found: true });
    assert.deepEqual(listing.tdxGuest, { missing: `${paths.tdxGuest} is not there` });
    assert.match("missing" in listing.tsm ? listing.tsm.missing : "", /is not there/);
    assert.match("missing" in listing.azureVtpm ? listing.azureVtpm.missing : "", /malformed/);
    const kernel = new FakeTsm({ provider: "sev_guest", outblobOf: (blob) => blob, auxblob: null });
    const guest = await probeMachine({
      paths: { ...paths, tsm: "/tsm" },
      io: { ...deviceFiles, ...kernel.io },
    });
    assert.deepEqual(guest.tsm, { found: "sev_guest" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("this machine is probed without an error, whatever it is", async () => {
  const tee = detectTee(await probeMachine({ paths: MACHINE_PATHS, io: deviceFiles }));
  assert.ok(tee.way !== null || tee.reasons.length === 5);
});

test("a TPM's command is one write and its response one read, one command at a time", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ppml-tpm-"));
  try {
    const device = join(folder, "tpm");
    // A pipe that is opened for both gives back what was written: an echo in the device's place.
    assert.equal(spawnSync("mkfifo", [device]).status, 0);
    const tpm = openTpmDevice(device, QUICK);
    const commands = Array.from({ length: 8 }, (_, i) => new Uint8Array(10 + 50 * i).fill(i));
    assert.deepEqual(await Promise.all(commands.map((command) => tpm.transmit(command))), commands);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a TPM device that is missing is told", async () => {
  const missing = openTpmDevice("/dev/tpmrm0-none", QUICK);
  await unavailable(
    missing.transmit(new Uint8Array(10)),
    /the TPM \/dev\/tpmrm0-none is not there/,
  );
});
