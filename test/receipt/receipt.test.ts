import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { simulationPolicy } from "../../src/attest/appraise/policy.ts";
import { createSimulationPki } from "../../src/attest/sim/pki.ts";
import { isPpmlError } from "../../src/base/index.ts";
import { LogStore } from "../../src/broker/log-store.ts";
import type { Inclusion } from "../../src/format/protocol.ts";
import type { ReceiptFile } from "../../src/format/receipt.ts";
import type { EcPublicJwk } from "../../src/format/schema.ts";
import { signObject } from "../../src/format/signed-object.ts";
import type { Envelope } from "../../src/format/signed-object.ts";
import {
  auditLines,
  EQUIVOCATION,
  parseReceiptFile,
  verifyLog,
  verifyReceiptFile,
} from "../../src/receipt/index.ts";
import type { ReceiptReport, ReceiptRoots } from "../../src/receipt/index.ts";
import {
  applyPolicy,
  call,
  logEntries,
  makeFixture,
  manifestOf,
  MEASUREMENT,
  newSigningKey,
  NOW_MS,
  policyOf,
  postManifest,
} from "../broker/fixture.ts";
import type { Fixture } from "../broker/fixture.ts";
import { granted, receiptRequest } from "../broker/result-sample.ts";
import type { Granted } from "../broker/result-sample.ts";

let fixture: Fixture;
let roots: ReceiptRoots;
let release: Granted;
let file: ReceiptFile;

before(async () => {
  fixture = await makeFixture();
  roots = {
    logKey: fixture.state.db.identity.logKey,
    simulationRoot: fixture.simulationRoot,
    maaProviders: [],
    appraisal: simulationPolicy([MEASUREMENT]),
  };
  await applyPolicy(fixture, policyOf(fixture));
  await postManifest(fixture, manifestOf(fixture));
  release = await granted(fixture);
  const request = await receiptRequest(fixture, release);
  const { body } = await call(fixture.app, "/v1/receipts", request);
  file = { v: 1, receipt: request.receipt, inclusion: body["inclusion"] as Inclusion };
});
after(() => fixture.dispose());

const verify = (changed: ReceiptFile, pinned: ReceiptRoots = roots): Promise<ReceiptReport> =>
  verifyReceiptFile({ file: changed, roots: pinned, nowMs: NOW_MS + 60_000 });

/** The checks that failed. */
async function failedOf(changed: ReceiptFile, pinned?: ReceiptRoots): Promise<string[]> {
  const { accepted, checks } = await verify(changed, pinned);
  const failed = checks.filter(({ outcome }) => outcome === "failed").map(({ check }) => check);
  assert.equal(accepted, failed.length === 0);
  return failed;
}

async function resultWith(
  changes: Parameters<typeof receiptRequest>[2],
  from = release,
): Promise<ReceiptFile> {
  const { receipt } = await receiptRequest(fixture, from, changes);
  return { v: 1, receipt, inclusion: null };
}

describe("a result's receipt", () => {
  test("a good receipt passes every check offline, says SIMULATED and what it does not prove", async () => {
    const report = await verify(parseReceiptFile(JSON.parse(JSON.stringify(file))));
    assert.equal(report.accepted, true);
    assert.deepEqual(
      report.checks.filter(({ outcome }) => outcome !== "passed"),
      [],
    );
    assert.equal(report.simulated, true);
    assert.match(report.doesNotProve[0] ?? "", /^SIMULATED/);
    assert.ok(report.doesNotProve.includes(EQUIVOCATION));
  });

  test("a receipt without pinned roots proves nothing by itself", async () => {
    const none = { logKey: null, simulationRoot: null, maaProviders: [], appraisal: null };
    const report = await verify(file, none);
    assert.equal(report.accepted, false);
    assert.deepEqual(await failedOf(file, none), ["evidence"]);
    assert.ok(
      report.checks.some(({ check, outcome }) => check === "log" && outcome === "not-checked"),
    );
    assert.ok(report.doesNotProve.some((line) => line.startsWith("which code ran")));
  });

  test("a receipt that another key signed is refused", async () => {
    const forged = await resultWith({ receiptSigner: newSigningKey() });
    assert.deepEqual(await failedOf(forged), ["signature"]);
  });

  test("a receipt whose keys the Evidence does not bind is refused", async () => {
    const stranger = newSigningKey();
    const { runtimeData } = release.asked;
    const signing = { ...stranger.publicJwk, kid: stranger.keyId, use: "sig" as const };
    const forged = await resultWith({
      receiptSigner: stranger,
      predicate: { runtimeData: { ...runtimeData, keys: [runtimeData.keys[0], signing] } },
    });
    assert.deepEqual(await failedOf(forged), ["binding", "appraisal"]);
  });

  test("a receipt of another job than the Evidence binds is refused", async () => {
    const job = { name: "other", digest: "00".repeat(32), purpose: "x", code: [] };
    assert.deepEqual(await failedOf(await resultWith({ predicate: { job } })), ["job"]);
  });

  test("code of another measurement is refused where reference values are given", async () => {
    const appraisal = simulationPolicy(["b2".repeat(48)]);
    assert.deepEqual(await failedOf(file, { ...roots, appraisal }), ["appraisal"]);
  });

  test("Evidence of another simulation is refused", async () => {
    const simulationRoot = createSimulationPki({ nowMs: NOW_MS }).ark;
    assert.deepEqual(await failedOf(file, { ...roots, simulationRoot }), ["evidence"]);
  });

  test("a receipt that hides that it is simulated is refused", async () => {
    const predicates = [{ simulated: false }, { profile: "snp" as const }];
    for (const predicate of predicates)
      assert.deepEqual(await failedOf(await resultWith({ predicate })), Object.keys(predicate));
    const production = await resultWith({ predicate: { mode: "production" } });
    assert.deepEqual(await failedOf(production), ["evidence"]);
  });

  test("a receipt from the future, or that ended before it began, is refused", async () => {
    for (const predicate of [
      { finishedAt: "2026-11-24T13:00:00Z" },
      { startedAt: "2026-11-24T12:30:00Z" },
    ])
      assert.deepEqual(await failedOf(await resultWith({ predicate })), ["time"]);
  });

  test("a receipt with another place, head or log key is refused", async () => {
    const { inclusion } = file;
    assert.ok(inclusion);
    const head = signObject(
      "log-head",
      { v: 1, mode: "simulation", size: 1, root: "00".repeat(32), time: "2026-11-24T12:00:00Z" },
      newSigningKey(),
    );
    const variants: readonly Inclusion[] = [
      { ...inclusion, index: inclusion.index - 1 },
      { ...inclusion, hashes: inclusion.hashes.slice(1) },
      { ...inclusion, hashes: [...inclusion.hashes, "00".repeat(32)] },
      { ...inclusion, head },
    ];
    for (const variant of variants)
      assert.deepEqual(await failedOf({ ...file, inclusion: variant }), ["log"]);
    assert.deepEqual(await failedOf(file, { ...roots, logKey: newSigningKey().publicJwk }), [
      "log",
    ]);
  });

  test("every changed digit of the payload is refused", async () => {
    const { receipt } = file;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(receipt.payload.length - 1),
        fc.constantFrom("A", "k", "7"),
        async (at, digit) => {
          const payload = receipt.payload.slice(0, at) + digit + receipt.payload.slice(at + 1);
          if (payload === receipt.payload) return;
          try {
            const { accepted } = await verify({ ...file, receipt: { ...receipt, payload } });
            assert.equal(accepted, false);
          } catch (error) {
            assert.ok(isPpmlError(error, "receipt.invalid"), String(error));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("a broker's receipts", () => {
  test("a release's receipt proves what the broker decided, and says that it is no more", async () => {
    const { body } = await call(fixture.app, `/v1/log/proof?index=${release.logIndex}`);
    const { entries } = await logEntries(fixture);
    const receipt = entries[release.logIndex];
    assert.ok(receipt);
    const report = await verify({ v: 1, receipt, inclusion: body["inclusion"] as Inclusion });
    assert.equal(report.kind, "release");
    assert.equal(report.accepted, true);
    assert.ok(report.doesNotProve.some((line) => line.startsWith("a broker's signature")));
    const stranger = { ...roots, logKey: newSigningKey().publicJwk };
    assert.deepEqual(await failedOf({ v: 1, receipt, inclusion: null }, stranger), ["signature"]);
  });
});

const logKey = (): EcPublicJwk => fixture.state.db.identity.logKey;

describe("the log", () => {
  let entries: Envelope[];
  let head: Envelope;
  before(async () => {
    ({ entries, head } = await logEntries(fixture));
  });
  const refused = (
    changed: readonly Envelope[],
    options: { readonly head?: Envelope; readonly since?: Envelope } = {},
  ): void => {
    assert.throws(
      () =>
        verifyLog({
          entries: changed,
          head: options.head ?? head,
          since: options.since ?? null,
          logKey: logKey(),
        }),
      (error) => isPpmlError(error, "receipt.log"),
    );
  };

  test("the log's entries give its head, and each entry's proof leads to it", async () => {
    const report = verifyLog({ entries, head, since: head, logKey: logKey() });
    assert.equal(report.size, entries.length);
    assert.equal(report.since, entries.length);
    assert.deepEqual(report.doesNotProve, [EQUIVOCATION]);
    for (const [index, receipt] of entries.entries()) {
      const { body } = await call(fixture.app, `/v1/log/proof?index=${index}`);
      const inclusion = body["inclusion"] as Inclusion;
      const { checks } = await verify({ v: 1, receipt, inclusion });
      assert.equal(checks.find(({ check }) => check === "log")?.outcome, "passed");
    }
  });

  test("a log that was cut, rewritten, reordered or added to is refused", () => {
    const [first, second, ...rest] = entries;
    assert.ok(first && second);
    refused(entries.slice(0, -1));
    refused(entries.slice(1));
    refused([second, first, ...rest]);
    refused([...entries, first]);
    refused([first, first, ...rest]);
    refused([]);
  });

  test("a log that was cut or rewritten since an earlier head is refused, new head or not", async () => {
    const since = head;
    await postManifest(fixture, manifestOf(fixture, { version: 2 }));
    const later = await logEntries(fixture);
    assert.equal(verifyLog({ ...later, since, logKey: logKey() }).since, entries.length);
    const other = await makeFixture();
    try {
      // Another history under the same key: what a broker that rewrote its log would show.
      await applyPolicy(other, policyOf(other));
      const { entries: rewritten } = await logEntries(other);
      const forged = new LogStore(other.state.db, fixture.state.logKey).head(NOW_MS);
      refused(rewritten, { head: forged, since });
    } finally {
      await other.dispose();
    }
    refused(entries.slice(0, 1), { since });
  });

  test("a head of another key is refused", () => {
    const content = {
      v: 1,
      mode: "simulation",
      size: 0,
      root: "00".repeat(32),
      time: "2026-11-24T12:00:00Z",
    };
    refused(entries, { head: signObject("log-head", content, newSigningKey()) });
  });

  test("the audit's lines say each entry plainly, one line each", () => {
    const lines = auditLines(entries, 0);
    assert.equal(lines.length, entries.length);
    assert.match(lines[0] ?? "", /^#0 .* policy analysis version 1 put in force by .*SIMULATED/);
    assert.match(lines[1] ?? "", /^#1 .* manifest of flights raised to version 1 by the owner/);
    assert.match(lines[release.logIndex] ?? "", /released 1 key of .*ordinary.* to job delays/);
    assert.ok(lines.some((line) => /job delays made delays-result version 1, 3 rows/.test(line)));
    const odd = { ...entries[0], payload: "AAAA" } as Envelope;
    assert.match(auditLines([odd], 7)[0] ?? "", /^#7 unreadable entry/);
  });
});
