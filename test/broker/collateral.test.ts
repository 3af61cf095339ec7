import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isPpmlError, toBase64Url } from "../../src/base/index.ts";
import { completeFrom, sentCollateral } from "../../src/broker/collateral.ts";
import { pki, wire } from "../attest/fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "ppml-collateral-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const empty = (type: string) => ({ type, evidence: "AAAA", collateral: {} });

describe("a broker's collateral", () => {
  test("none: Evidence is taken as it was sent", async () => {
    assert.equal(await completeFrom({ kind: "none" }), sentCollateral);
    assert.equal(await sentCollateral(wire), wire);
  });

  test("files: what lies there is added, and what the Evidence brings goes before it", async () => {
    writeFileSync(join(folder, "ark.der"), pki.ark);
    writeFileSync(join(folder, "ask.der"), pki.ask);
    const complete = await completeFrom({ kind: "files", paths: [folder] });
    const here = { ark: toBase64Url(pki.ark), ask: toBase64Url(pki.ask) };
    assert.deepEqual((await complete(empty("snp"))).collateral, here);
    assert.deepEqual((await complete(empty("az-snp-vtpm"))).collateral, here);
    const own = { ...empty("snp"), collateral: { ask: "AAAA", vcek: "BBBB" } };
    assert.deepEqual((await complete(own)).collateral, { ...here, ask: "AAAA", vcek: "BBBB" });
    assert.deepEqual((await complete(empty("tdx"))).collateral, {});
    assert.equal(await complete(wire), wire);
  });

  test("files: the operator's revocation list goes before one that a guest brings", async () => {
    const place = mkdtempSync(join(tmpdir(), "ppml-collateral-"));
    after(() => rmSync(place, { recursive: true, force: true }));
    writeFileSync(join(place, "ark.der"), pki.ark);
    writeFileSync(join(place, "ask.der"), pki.ask);
    writeFileSync(join(place, "crl.der"), Uint8Array.of(1, 2, 3));
    const complete = await completeFrom({ kind: "files", paths: [place] });
    for (const type of ["snp", "az-snp-vtpm"]) {
      const old = { ...empty(type), collateral: { crl: "b2xk" } };
      assert.equal((await complete(old)).collateral["crl"], toBase64Url(Uint8Array.of(1, 2, 3)));
    }
    rmSync(join(place, "crl.der"));
    const none = await completeFrom({ kind: "files", paths: [place] });
    const brought = { ...empty("snp"), collateral: { crl: "b2xk" } };
    assert.equal((await none(brought)).collateral["crl"], "b2xk", "where the operator set none");
  });

  test("files: a folder of one AMD file is AMD's, so that a revocation list alone is looked at", async () => {
    const place = mkdtempSync(join(tmpdir(), "ppml-collateral-"));
    after(() => rmSync(place, { recursive: true, force: true }));
    for (const name of ["crl", "ask", "asvk", "vlek", "uvm"]) {
      const one = join(place, name);
      mkdirSync(one);
      writeFileSync(join(one, `${name}.der`), Uint8Array.of(1, 2, 3));
      const complete = await completeFrom({ kind: "files", paths: [one] });
      // A leaf is looked at for its authorities, and this one is none.
      if (name !== "vlek")
        assert.deepEqual((await complete(empty("snp"))).collateral, { [name]: "AQID" });
      assert.deepEqual((await complete(empty("tdx"))).collateral, {});
    }
    const paths = [join(place, "crl"), join(place, "ask")];
    await assert.rejects(completeFrom({ kind: "files", paths }), (error) =>
      isPpmlError(error, "config.invalid"),
    );
  });

  test("files: changed ones are read again, and nothing is judged by them while they cannot be read", async () => {
    const place = mkdtempSync(join(tmpdir(), "ppml-collateral-"));
    after(() => rmSync(place, { recursive: true, force: true }));
    const crl = join(place, "crl.der");
    writeFileSync(join(place, "ark.der"), pki.ark);
    writeFileSync(crl, Uint8Array.of(1));
    const complete = await completeFrom({ kind: "files", paths: [place] });
    assert.equal((await complete(empty("snp"))).collateral["crl"], "AQ");
    writeFileSync(crl, Uint8Array.of(2, 2));
    assert.equal((await complete(empty("snp"))).collateral["crl"], "AgI");
    writeFileSync(join(place, "mistyped.txt"), "");
    for (let again = 0; again < 2; again += 1)
      await assert.rejects(complete(empty("snp")), (error) =>
        isPpmlError(error, "attest.collateral"),
      );
    rmSync(join(place, "mistyped.txt"));
    assert.equal((await complete(empty("snp"))).collateral["crl"], "AgI");
    rmSync(place, { recursive: true });
    await assert.rejects(complete(empty("snp")), (error) =>
      isPpmlError(error, "attest.collateral"),
    );
  });

  test("two folders of one kind, a missing file and plain HTTP are refused when it starts", async () => {
    const paths = [folder, folder];
    await assert.rejects(completeFrom({ kind: "files", paths }), (error) =>
      isPpmlError(error, "config.invalid"),
    );
    await assert.rejects(
      completeFrom({ kind: "files", paths: [join(folder, "none.json")] }),
      (error) => isPpmlError(error, "attest.collateral"),
    );
    const cacheFolder = join(folder, "cache");
    for (const [pcs, kds] of [
      ["http://pccs.example", null],
      ["pccs", null],
      ["intel", "http://kds.example"],
      ["https://user:secret@pccs.example", null],
      ["https://secret@pccs.example", null],
      ["https://pccs.example/?token=secret", null],
      ["intel", "https://kds.example/?"],
      ["intel", "https://kds.example/#a"],
    ] as const)
      await assert.rejects(
        completeFrom({ kind: "services", pcs, kds, cacheFolder }),
        (error) => isPpmlError(error, "config.invalid") && !error.message.includes("secret"),
      );
    for (const kds of ["https://kds.example/a/", "https://[::1]:8443//"])
      await completeFrom({ kind: "services", pcs: `${kds}/`, kds, cacheFolder });
  });

  test("services: simulated Evidence and tokens have nothing to fetch", async () => {
    const cacheFolder = join(folder, "cache");
    const complete = await completeFrom({ kind: "services", pcs: "azure", kds: null, cacheFolder });
    assert.equal(await complete(wire), wire);
    const token = empty("maa");
    assert.equal(await complete(token), token);
  });
});
