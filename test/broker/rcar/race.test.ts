import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createBrokerApp } from "../../../src/broker/broker-app.ts";
import { CommitQueue } from "../../../src/broker/commit-queue.ts";
import { applyPolicy } from "../fixture.ts";
import type { Fixture } from "../fixture.ts";
import { vaultWith } from "../vault-with.ts";
import { attest, begin, directChannel, handshake, resource } from "./guest.ts";
import {
  denied,
  guestOf,
  guestPolicyOf,
  makeResourceFixture,
  PATH,
  postResource,
  refused,
  releases,
  resourceOf,
} from "./resource-fixture.ts";

/** Does something before each entry. */
class SlowCommits extends CommitQueue {
  before: () => Promise<unknown> = () => Promise.resolve();
  override async append(...entry: Parameters<CommitQueue["append"]>): Promise<void> {
    await this.before();
    await super.append(...entry);
  }
}

let fixture: Fixture;
before(async () => {
  fixture = await makeResourceFixture();
});
after(() => fixture.dispose());

describe("while the vault opens a guest's resource", () => {
  test("T172: another policy or another content stops the release, and the log says why", async () => {
    const changes = [
      async () => applyPolicy(fixture, guestPolicyOf(fixture, { version: 2 })),
      async () => {
        const reply = await postResource(fixture, await resourceOf(fixture, { version: 2 }));
        assert.equal(reply.status, 200, reply.message);
      },
    ];
    for (const change of changes) {
      let isDone = false;
      const { vault } = fixture;
      const { app } = await fixture.openAgain(
        vaultWith(vault, {
          unwrap: async (request) => {
            const secret = await vault.unwrap(request);
            if (!isDone) await change();
            isDone = true;
            return secret;
          },
        }),
      );
      const guest = guestOf(fixture, { channel: directChannel(app) });
      const { cookie } = await handshake(guest);
      refused(await resource(guest, PATH, { cookie }), denied);
      const last = (await releases(fixture)).at(-1);
      assert.equal(last?.decision, "denied");
      assert.match(String(last.refusal?.message), /changed meanwhile/);
      // Nothing changes the second time.
      assert.equal((await resource(guest, PATH, { cookie })).status, 200);
    }
  });
});

describe("while a guest's token is made", () => {
  test("T172: another policy in force stops it, and the log says why", async () => {
    const { state } = await fixture.openAgain();
    const commits = new SlowCommits(state.db, state.log);
    const logger = { call: () => undefined, failure: () => undefined };
    const app = createBrokerApp({ state: { ...state, commits }, logger });
    const guest = guestOf(fixture, { channel: directChannel(app) });
    const session = await begin(guest);
    let version = 2;
    commits.before = () => {
      commits.before = () => Promise.resolve();
      // By another process, so to say: a connection of its own.
      return applyPolicy(fixture, guestPolicyOf(fixture, { version: (version += 1) }));
    };
    refused(await attest(guest, session), denied);
    refused(await resource(guest, PATH, { cookie: session.cookie }), /^broker\.session/);
    const last = (await releases(fixture)).at(-1);
    assert.deepEqual([last?.decision, last?.request.kind], ["denied", "attestation"]);
    assert.match(String(last?.refusal?.message), /changed meanwhile/);
    await handshake(guest);
  });
});
