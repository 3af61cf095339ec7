import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { PpmlError } from "../../src/base/index.ts";
import { signObject } from "../../src/format/signed-object.ts";
import type { Envelope } from "../../src/format/signed-object.ts";
import { logEntries, makeFixture, newSigningKey } from "./fixture.ts";
import type { Fixture } from "./fixture.ts";

let fixture: Fixture;
before(async () => {
  fixture = await makeFixture();
});
after(() => fixture.dispose());

const key = newSigningKey();
const entryOf = (number: number): Envelope => signObject("policy", { number }, key);

/** As another process sees it: what was committed, and in how many transactions. */
function committed(): { readonly revision: number; readonly size: number } {
  const db = new DatabaseSync(join(fixture.dir, "broker", "broker.db"), { readOnly: true });
  try {
    const state = db.prepare("SELECT revision, log_size FROM state").get();
    return { revision: Number(state?.["revision"]), size: Number(state?.["log_size"]) };
  } finally {
    db.close();
  }
}

async function outcomes(all: readonly Promise<void>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(all);
  return settled.map((one) => (one.status === "fulfilled" ? "durable" : String(one.reason)));
}

function refuse(): never {
  throw new PpmlError("release.policy", "it changed");
}

describe("entries that come at once", () => {
  test("T171: are one transaction in their order, and each is durable when it is told so", async () => {
    const { commits } = fixture.state;
    const was = committed();
    const entries = [1, 2, 3, 4, 5].map(entryOf);
    let told = 0;
    await Promise.all(
      entries.map(async (entry) => {
        await commits.append(entry);
        assert.equal(committed().size, was.size + entries.length);
        told += 1;
      }),
    );
    assert.equal(told, entries.length);
    assert.equal(committed().revision, was.revision + 1);
    const { entries: log } = await logEntries(fixture);
    assert.deepEqual(log.slice(was.size), entries);
  });

  test("lose the one whose check refuses, which alone is told", async () => {
    const { commits } = fixture.state;
    const { size } = committed();
    const [first, last] = [entryOf(6), entryOf(8)];
    const all = [commits.append(first), commits.append(entryOf(7), refuse), commits.append(last)];
    const [one, two, three] = await outcomes(all);
    assert.deepEqual([one, three], ["durable", "durable"]);
    assert.match(two ?? "", /it changed/);
    const { entries: log } = await logEntries(fixture);
    assert.deepEqual(log.slice(size), [first, last]);
  });

  test("T171: are all refused where the transaction fails, and later ones are not", async () => {
    const { commits } = fixture.state;
    const { size } = committed();
    for (const fault of [new Error("a fault"), new PpmlError("broker.state", "a fault")]) {
      const fail = (): void => {
        throw fault;
      };
      const all = [commits.append(entryOf(9)), commits.append(entryOf(10), fail)];
      for (const told of await outcomes(all)) assert.match(told, /a fault/);
      assert.equal(committed().size, size);
    }
    await commits.append(entryOf(11));
    assert.equal(committed().size, size + 1);
  });
});
