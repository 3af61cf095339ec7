import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isPpmlError } from "../../src/base/index.ts";
import type { ErrorCode } from "../../src/base/index.ts";
import { listenOnTls } from "../../src/broker/listen-tls.ts";
import type { TlsListener } from "../../src/broker/listen-tls.ts";
import { openTlsIdentity } from "../../src/broker/tls-identity.ts";
import type { TlsIdentity } from "../../src/broker/tls-identity.ts";
import { openBrokerClient } from "../../src/launch/index.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import { applyPolicy, makeFixture, policyOf, requestOf } from "../broker/fixture.ts";
import type { Fixture } from "../broker/fixture.ts";

let fixture: Fixture;
let folder: string;
let tls: TlsIdentity;
let listener: TlsListener;
before(async () => {
  fixture = await makeFixture();
  await applyPolicy(fixture, policyOf(fixture));
  folder = await mkdtemp(join(tmpdir(), "ppml-pin-"));
  tls = await openTlsIdentity({ folder, host: "127.0.0.1", nowMs: Date.now() });
  listener = await listenOnTls(fixture.app, { host: "127.0.0.1", port: 0, tls });
});
after(async () => {
  await listener.close();
  await fixture.dispose();
  await rm(folder, { recursive: true, force: true });
});

async function refuses(work: Promise<unknown>, code: ErrorCode, pattern: RegExp): Promise<void> {
  await assert.rejects(work, (error) => isPpmlError(error, code) && pattern.test(error.message));
}

describe("the launcher's client over TLS", () => {
  test("a job's keys come over TLS as over the socket, batched in one call", async () => {
    const url = `https://127.0.0.1:${listener.port}`;
    const client = openBrokerClient({ url, spkiSha256: tls.spkiSha256 });
    const { nonce } = await client.challenge();
    const asked = await requestOf(fixture, { nonce });
    const { jwe } = await client.release(asked.request);
    const grant = await openGrant({
      jwe,
      recipientKey: asked.tee.encryption,
      releaseRoot: fixture.state.db.identity.releaseRoot,
      expected: {
        nonce,
        requestKind: "job",
        requestDigest: asked.jobDigest,
        mode: "simulation",
      },
      nowMs: fixture.time.nowMs,
    });
    assert.equal(grant.grant.keys.length, 1);
    await refuses(client.policy("none"), "release.policy", /no policy none/);
  });

  test("T159: a broker with another key than the pinned one gets no byte of the request", async () => {
    const url = `https://127.0.0.1:${listener.port}`;
    const client = openBrokerClient({ url, spkiSha256: "ab".repeat(32) });
    await refuses(client.info(), "broker.unavailable", /not the pinned one/);
  });

  test("what is no https URL with a pin is refused before anything is sent", async () => {
    const { spkiSha256 } = tls;
    const port = listener.port;
    for (const url of [
      `http://127.0.0.1:${port}`,
      `https://127.0.0.1:${port}/v1`,
      `https://user@127.0.0.1:${port}`,
      "127.0.0.1",
    ])
      await refuses(openBrokerClient({ url, spkiSha256 }).info(), "config.invalid", /https/);
    const url = `https://127.0.0.1:${port}`;
    await refuses(openBrokerClient({ url, spkiSha256: "AB" }).info(), "config.invalid", /hex/);
  });

  test("a server that is none, and one that stays silent, are broker.unavailable", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as AddressInfo;
    const { spkiSha256 } = tls;
    const url = `https://127.0.0.1:${port}`;
    const client = openBrokerClient({ url, spkiSha256, timeoutMs: 200 });
    await refuses(client.info(), "broker.unavailable", /in time/);
    silent.close();
    const closed = openBrokerClient({ url, spkiSha256, timeoutMs: 2000 });
    await refuses(closed.info(), "broker.unavailable", /is it running/);
  });
});
