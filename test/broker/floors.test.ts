import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { jwkThumbprint } from "../../src/format/jwk.ts";
import type { Inclusion } from "../../src/format/protocol.ts";
import { floorOf } from "../../src/broker/floors.ts";
import { envelopeDigest, signObject } from "../../src/format/signed-object.ts";
import {
  applyPolicy,
  call,
  INPUT_DATASET,
  jobOf,
  logEntries,
  makeFixture,
  manifestOf,
  newSigningKey,
  OUTPUT_DATASET,
  policyOf,
  postManifest,
} from "./fixture.ts";
import type { Fixture } from "./fixture.ts";
import { granted, receiptRequest } from "./result-sample.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, policyOf(fixture));
});
after(() => fixture.dispose());

const floor = (dataset: string): number => floorOf(fixture.state.db, dataset).minVersion;

const ask = (id: string) => call(fixture.app, `/v1/manifests/${id}`);

describe("manifests signed by the owner", () => {
  test("a signed manifest raises its dataset's floor, once, and the log says so", async () => {
    const manifest = manifestOf(fixture);
    const { length } = (await logEntries(fixture)).entries;
    assert.deepEqual((await postManifest(fixture, manifest)).body, {
      v: 1,
      datasetId: INPUT_DATASET,
      version: 1,
      digest: envelopeDigest(signObject("manifest", manifest, fixture.owner)),
      signers: [fixture.owner.publicJwk],
      raised: true,
    });
    const again = await postManifest(fixture, manifest);
    assert.equal(again.status, 200);
    assert.equal(again.body["raised"], false);
    assert.equal((await logEntries(fixture)).entries.length, length + 1);
  });

  test("another manifest of the same version is refused", async () => {
    const answer = await postManifest(fixture, manifestOf(fixture));
    assert.equal(answer.code, "broker.floor");
    assert.equal(answer.status, 409);
  });

  test("nothing lowers a floor: an older manifest is refused, one that was accepted too", async () => {
    const first = manifestOf(fixture, { version: 5 });
    assert.equal((await postManifest(fixture, first)).status, 200);
    assert.equal((await postManifest(fixture, manifestOf(fixture, { version: 7 }))).status, 200);
    assert.equal((await postManifest(fixture, first)).code, "broker.floor");
    assert.equal(
      (await postManifest(fixture, manifestOf(fixture, { version: 6 }))).code,
      "broker.floor",
    );
    assert.equal(floor(INPUT_DATASET), 7);
  });

  test("a floor can be asked for: 0 where nothing was signed, and only by a dataset's id", async () => {
    const digest = floorOf(fixture.state.db, INPUT_DATASET).minDigest;
    assert.match(digest ?? "", /^[0-9a-f]{64}$/);
    const signers = [fixture.owner.publicJwk];
    const answer = { v: 1, datasetId: INPUT_DATASET, version: 7, digest, signers, raised: false };
    assert.deepEqual((await ask(INPUT_DATASET)).body, answer);
    const datasetId = "00".repeat(16);
    const none = { v: 1, datasetId, version: 0, digest: null, signers, raised: false };
    assert.deepEqual((await ask(datasetId)).body, none);
    for (const id of ["x", "%00", "A".repeat(32)])
      assert.equal((await ask(id)).code, "broker.invalid_request", id);
  });

  test("a manifest of another signer, and one that lies about its files, are refused", async () => {
    const manifest = manifestOf(fixture, { version: 9 });
    assert.equal((await postManifest(fixture, manifest, newSigningKey())).code, "format.signature");
    const wrong = { ...manifest, merkleRoot: "00".repeat(32) };
    assert.equal((await postManifest(fixture, wrong)).code, "format.invalid");
    assert.equal(floor(INPUT_DATASET), 7);
  });
});

describe("results of attested jobs", () => {
  test("a result raises its output's floor under the TEE's key, and repeating it changes nothing", async () => {
    const release = await granted(fixture);
    const request = await receiptRequest(fixture, release);
    const answer = await call(fixture.app, "/v1/receipts", request);
    assert.equal(answer.status, 200, answer.message);
    assert.deepEqual(
      floorOf(fixture.state.db, OUTPUT_DATASET).signers.map((jwk) => jwkThumbprint(jwk)),
      [fixture.owner.keyId, release.tee.signing.keyId],
    );
    assert.equal(floor(OUTPUT_DATASET), 1);
    const { length } = (await logEntries(fixture)).entries;
    const again = await call(fixture.app, "/v1/receipts", request);
    assert.equal(
      (again.body["inclusion"] as Inclusion).index,
      (answer.body["inclusion"] as Inclusion).index,
    );
    assert.equal((await logEntries(fixture)).entries.length, length);
  });

  test("a release makes one result: another receipt of the same TEE is refused", async () => {
    const release = await granted(fixture);
    const first = await receiptRequest(fixture, release, { manifest: { version: 2 } });
    assert.equal((await call(fixture.app, "/v1/receipts", first)).status, 200);
    const second = await receiptRequest(fixture, release, { manifest: { version: 3 } });
    assert.equal((await call(fixture.app, "/v1/receipts", second)).code, "receipt.invalid");
    assert.equal(floor(OUTPUT_DATASET), 2);
  });

  test("a receipt under a key that no release bound is refused", async () => {
    const release = await granted(fixture);
    const stranger = newSigningKey();
    const request = await receiptRequest(fixture, release, {
      manifest: { version: 3 },
      receiptSigner: stranger,
      manifestSigner: stranger,
    });
    assert.equal((await call(fixture.app, "/v1/receipts", request)).code, "receipt.invalid");
  });

  test("a manifest that another key signed is refused", async () => {
    const release = await granted(fixture);
    const request = await receiptRequest(fixture, release, {
      manifest: { version: 3 },
      manifestSigner: fixture.owner,
    });
    assert.equal((await call(fixture.app, "/v1/receipts", request)).code, "format.signature");
  });

  test("a receipt that does not fit its release, job or manifest is refused", async () => {
    const release = await granted(fixture);
    const variants: readonly Parameters<typeof receiptRequest>[2][] = [
      { predicate: { mode: "production" } },
      { predicate: { job: { name: "x", digest: "00".repeat(32), purpose: "x", code: [] } } },
      { predicate: { releaseLogIndex: 0 } },
      { predicate: { policy: { name: "analysis", digest: "00".repeat(32) } } },
      { output: { version: 9 } },
      { output: { manifestDigest: "00".repeat(32) } },
      { output: { merkleRoot: "00".repeat(32) } },
      { output: { kekThumbprint: newSigningKey().keyId } },
      { output: { datasetId: INPUT_DATASET } },
      { manifest: { datasetId: INPUT_DATASET, version: 8 } },
      { manifest: { name: "flights", version: 3 } },
    ];
    for (const variant of variants) {
      const request = await receiptRequest(fixture, release, {
        ...variant,
        manifest: { version: 3, ...variant?.manifest },
      });
      const { code } = await call(fixture.app, "/v1/receipts", request);
      assert.equal(code, "receipt.invalid", JSON.stringify(variant));
    }
    assert.equal(floor(OUTPUT_DATASET), 2);
  });

  test("a result that skips a version, or repeats one, is refused", async () => {
    const release = await granted(fixture);
    for (const version of [2, 4]) {
      const request = await receiptRequest(fixture, release, { manifest: { version } });
      assert.equal((await call(fixture.app, "/v1/receipts", request)).code, "broker.floor");
    }
    assert.equal(floor(OUTPUT_DATASET), 2);
  });

  test("a job cannot put its result in the place of a dataset that the owner began", async () => {
    const output = { ...jobOf(fixture).output, datasetId: INPUT_DATASET };
    const release = await granted(fixture, jobOf(fixture, { output }));
    const request = await receiptRequest(fixture, release, {
      manifest: { datasetId: INPUT_DATASET, version: 8 },
    });
    const answer = await call(fixture.app, "/v1/receipts", request);
    assert.equal(answer.code, "broker.floor");
    assert.match(answer.message, /not one that jobs under policy analysis write/);
    assert.equal(floor(INPUT_DATASET), 7);
  });

  test("the owner may sign a result's manifest anew, and the job goes on after it", async () => {
    const owners = manifestOf(fixture, {
      datasetId: OUTPUT_DATASET,
      name: "delays-result",
      version: 3,
    });
    assert.equal((await postManifest(fixture, owners)).status, 200);
    const release = await granted(fixture);
    const request = await receiptRequest(fixture, release, { manifest: { version: 4 } });
    assert.equal((await call(fixture.app, "/v1/receipts", request)).status, 200);
    assert.equal(floor(OUTPUT_DATASET), 4);
  });

  test("a job under another policy cannot go on with a dataset", async () => {
    await applyPolicy(fixture, policyOf(fixture, { name: "second" }));
    const release = await granted(fixture, jobOf(fixture, { policy: "second" }));
    const request = await receiptRequest(fixture, release, { manifest: { version: 5 } });
    assert.equal((await call(fixture.app, "/v1/receipts", request)).code, "broker.floor");
  });

  test("a manifest with a key under a KEK that the job does not name is refused", async () => {
    const release = await granted(fixture);
    const request = await receiptRequest(fixture, release, {
      manifest: {
        version: 5,
        groups: [{ name: "all", kekId: fixture.keks.secret.kekId, columns: null }],
        localKeys: [],
      },
    });
    assert.equal((await call(fixture.app, "/v1/receipts", request)).code, "receipt.invalid");
  });

  test("a broker's own receipt does not come in by this way", async () => {
    const { entries } = await logEntries(fixture);
    const receipt = entries[0];
    const manifest = signObject("manifest", manifestOf(fixture), fixture.owner);
    const { code } = await call(fixture.app, "/v1/receipts", { v: 1, receipt, manifest });
    assert.equal(code, "receipt.invalid");
  });
});
