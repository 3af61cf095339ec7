import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import type { Attester } from "../../../src/attest/collect/attester.ts";
import { deviceFiles } from "../../../src/attest/collect/device-io.ts";
import type { DeviceIo } from "../../../src/attest/collect/device-io.ts";
import { openGramineAttester } from "../../../src/attest/collect/gramine.ts";
import {
  attesterSuite,
  evidenceRange,
  OTHER_DATA,
  QUICK,
  REPORT_DATA,
  unavailable,
} from "./attester-suite.ts";

/** A folder with Gramine's files; the quote is made anew when the report data is written. */
function enclave(): { directory: string; io: DeviceIo } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "ppml-gramine-"));
  writeFileSync(join(directory, "attestation_type"), "dcap");
  writeFileSync(join(directory, "user_report_data"), new Uint8Array(64));
  writeFileSync(join(directory, "quote"), "");
  const io: DeviceIo = {
    ...deviceFiles,
    write: async (path, bytes) => {
      await deviceFiles.write(path, bytes);
      const quote = new Uint8Array(4734);
      quote.set(readFileSync(path), 368);
      writeFileSync(join(directory, "quote"), quote);
    },
  };
  return { directory, io, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

function open(tee: { directory: string; io: DeviceIo }): Attester {
  return openGramineAttester({ directory: tee.directory, io: tee.io, limits: QUICK });
}

const shared = enclave();
process.on("exit", () => shared[Symbol.dispose]());
attesterSuite("Gramine", {
  open: () => open(shared),
  type: "sgx",
  boundBy: (wire) => evidenceRange(wire, 368, 64),
});

test("an enclave without DCAP is told, with the manifest's key", async () => {
  using tee = enclave();
  for (const type of ["none", "epid", ""]) {
    writeFileSync(join(tee.directory, "attestation_type"), type);
    await unavailable(open(tee).attest(REPORT_DATA), /sgx\.remote_attestation = "dcap"/);
  }
});

test("a process outside an enclave is told that the files are missing", async () => {
  const outside = openGramineAttester({ directory: "/dev/attestation-none", io: deviceFiles });
  await unavailable(outside.attest(REPORT_DATA), /is not there/);
});

test("T101: a quote over other report data than was written is refused", async () => {
  using tee = enclave();
  const io: DeviceIo = { ...tee.io, write: (path) => tee.io.write(path, OTHER_DATA) };
  await unavailable(open({ ...tee, io }).attest(REPORT_DATA), /binds other report data/);
});

test("two users of one enclave's files each get the quote over their own report data", async () => {
  using tee = enclave();
  const wanted = [REPORT_DATA, OTHER_DATA];
  let meddled = 0;
  // Another library of the enclave, such as Gramine's own RA-TLS, writes twice between write and read.
  const io: DeviceIo = {
    ...tee.io,
    write: async (path, bytes) => {
      await tee.io.write(path, bytes);
      meddled += 1;
      if (meddled <= 2) await tee.io.write(path, new Uint8Array(64).fill(7));
    },
  };
  for (const data of wanted) {
    meddled = 0;
    const wire = await open({ ...tee, io }).attest(data);
    assert.deepEqual(evidenceRange(wire, 368, 64), data);
    assert.equal(meddled, 3);
  }
});

test("quotes that are empty, short or endless are refused", async () => {
  using tee = enclave();
  for (const [length, message] of [
    [0, /436 bytes or more/],
    [435, /436 bytes or more/],
    [16 * 1024 + 1, /more than the 16384 bytes/],
  ] as const) {
    const io: DeviceIo = {
      ...deviceFiles,
      write: async () => writeFileSync(join(tee.directory, "quote"), new Uint8Array(length)),
    };
    await unavailable(open({ ...tee, io }).attest(REPORT_DATA), message);
  }
  const endless = openGramineAttester({
    directory: tee.directory,
    io: {
      ...tee.io,
      read: (path, max) => deviceFiles.read(path.endsWith("quote") ? "/dev/zero" : path, max),
    },
    limits: QUICK,
  });
  await unavailable(endless.attest(REPORT_DATA), /dev\/zero holds more/);
});

test("a device that gives its bytes slowly and in pieces is read to its end", async () => {
  using tee = enclave();
  const fifo = join(tee.directory, "pipe");
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  const writer = spawn("sh", [
    "-c",
    `exec 3>"$0"; printf slow >&3; sleep 0.05; printf ly >&3`,
    fifo,
  ]);
  assert.equal(new TextDecoder().decode(await deviceFiles.read(fifo, 100)), "slowly");
  assert.equal(writer.exitCode ?? (await once(writer, "exit"))[0], 0);
});

test("a device that never answers is given up after its time", async () => {
  using tee = enclave();
  const fifo = join(tee.directory, "quote");
  const io: DeviceIo = { ...deviceFiles, write: async () => undefined };
  unlinkSync(fifo);
  assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
  await unavailable(open({ ...tee, io }).attest(REPORT_DATA), /within 300 ms/);
  // Lets the read end, so that nothing is left open.
  writeFileSync(fifo, "");
  await sleep(20);
});

test("a failed Evidence does not stand in the way of the next one", async () => {
  using tee = enclave();
  const attester = open(tee);
  writeFileSync(join(tee.directory, "attestation_type"), "none");
  const failed = attester.attest(REPORT_DATA);
  await unavailable(failed, /none/);
  writeFileSync(join(tee.directory, "attestation_type"), "dcap");
  assert.deepEqual(evidenceRange(await attester.attest(REPORT_DATA), 368, 64), REPORT_DATA);
});
