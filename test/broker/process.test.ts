import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { isPpmlError } from "../../src/base/index.ts";
import type { ErrorCode } from "../../src/base/index.ts";
import { createBrokerApp } from "../../src/broker/broker-app.ts";
import type { CallRecord } from "../../src/broker/broker-app.ts";
import { listenOnSocket } from "../../src/broker/listen.ts";
import { MAX_OPEN_NONCES } from "../../src/broker/nonces.ts";
import { signObject } from "../../src/format/signed-object.ts";
import { openBrokerClient } from "../../src/launch/broker-client.ts";
import { socketConfigOf, startBroker } from "./broker-process.ts";
import { applyPolicy, call, makeFixture, policyOf, requestOf } from "./fixture.ts";
import type { Fixture } from "./fixture.ts";

let fixture: Fixture;
let socketDir: string;
before(async () => {
  fixture = await makeFixture();
  socketDir = join(fixture.dir, "run");
});
// A broker that ends takes its empty folder along.
beforeEach(() => {
  mkdirSync(socketDir, { mode: 0o700, recursive: true });
});
after(() => fixture.dispose());

async function refuses(code: ErrorCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => isPpmlError(error, code));
}

const configOf = (socketPath: string): Record<string, unknown> =>
  socketConfigOf(fixture, socketPath);

describe("the broker's process", () => {
  test("it serves its client over a socket, and ends when its input closes", async () => {
    const socketPath = join(socketDir, "one.sock");
    const { child, ready } = await startBroker(configOf(socketPath));
    assert.equal(ready.ready, true);
    const client = openBrokerClient({ socketPath });
    const info = await client.info();
    assert.deepEqual(info.owner, fixture.owner.publicJwk);
    assert.equal(info.mode, "simulation");
    const { nonce } = await client.challenge();
    assert.equal(nonce.length, 43);
    await client.applyPolicy(signObject("policy", policyOf(fixture), fixture.owner));
    assert.ok((await client.policy("analysis")).object);
    await refuses("release.policy", client.policy("other"));
    await refuses(
      "release.nonce",
      client.release((await requestOf(fixture, { nonce: "A".repeat(43) })).request),
    );
    const page = await client.log(0);
    assert.equal(page.entries.length, 1);
    assert.ok((await client.logHead()).head);
    assert.equal((await client.logProof(0)).inclusion.index, 0);
    await refuses("receipt.log", client.logProof(1));
    child.stdin?.end();
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, 0);
    await refuses("broker.unavailable", client.info());
  });

  test("a configuration that is not as documented ends it with one line that says why", async () => {
    const wrong = { ...configOf(join(socketDir, "two.sock")), more: 1 };
    const { child, ready } = await startBroker(wrong);
    assert.equal(ready.ready, false);
    assert.equal(ready.error?.code, "config.invalid");
    if (child.exitCode === null) await once(child, "exit");
    assert.equal(child.exitCode, 1);
  });

  test("a socket's folder that others may enter, or that is a link, is refused", async () => {
    const open = join(fixture.dir, "open");
    mkdirSync(open);
    chmodSync(open, 0o755);
    const link = join(fixture.dir, "link");
    symlinkSync(socketDir, link);
    const file = join(socketDir, "file.sock");
    writeFileSync(file, "");
    for (const path of [
      join(open, "a.sock"),
      join(link, "a.sock"),
      join(fixture.dir, "none", "a.sock"),
      file,
    ])
      await refuses("broker.state", listenOnSocket(fixture.app, path));
  });

  test("a dead broker's socket is replaced, a living one's is not", async () => {
    const socketPath = join(socketDir, "three.sock");
    const { child } = await startBroker(configOf(socketPath));
    child.kill("SIGKILL");
    await once(child, "exit");
    const listener = await listenOnSocket(fixture.app, socketPath);
    await refuses("broker.state", listenOnSocket(fixture.app, socketPath));
    await listener.close();
  });
});

describe("the broker's edges", () => {
  test("requests of another form are refused, by name of the wrong member", async () => {
    const wrong: readonly (readonly [string, unknown])[] = [
      ["/v1/challenge", {}],
      ["/v1/challenge", { v: 1, more: 1 }],
      ["/v1/challenge", "{"],
      ["/v1/challenge", "[".repeat(1000)],
      ["/v1/release", { v: 1 }],
      ["/v1/owner-release", { v: 1, request: {} }],
      ["/v1/receipts", null],
      ["/v1/policies", { v: 1, object: "x" }],
    ];
    for (const [path, body] of wrong) {
      const answer = await call(fixture.app, path, body);
      const deep = typeof body === "string" && body.startsWith("[[");
      assert.equal(answer.code, deep ? "format.too_large" : "broker.invalid_request", path);
      assert.equal(answer.status, deep ? 413 : 400);
    }
    for (const path of ["/v1/log", "/v1/log?from=-1", "/v1/log?from=x", "/v1/log/proof"])
      assert.equal((await call(fixture.app, path)).code, "broker.invalid_request", path);
    assert.equal((await call(fixture.app, "/v1/none")).status, 404);
  });

  test("a body over 16 MiB is refused", async () => {
    const answer = await call(fixture.app, "/v1/manifests", "x".repeat(16 * 1024 * 1024 + 1));
    assert.equal(answer.code, "format.too_large");
    assert.equal(answer.status, 413);
  });

  test("the broker's own failures say nothing to the caller", async () => {
    const { failures, state } = fixture;
    const vault = { ...state.vault, unwrapAll: () => Promise.reject(new Error("secret path")) };
    const logger = { call: () => undefined, failure: (error: unknown) => failures.push(error) };
    const broken = createBrokerApp({ state: { ...state, vault }, logger });
    await applyPolicy(fixture, policyOf(fixture, { name: "other" }));
    const asked = await requestOf(fixture);
    const answer = await call(broken, "/v1/release", asked.request);
    assert.equal(answer.status, 500);
    assert.equal(answer.code, "base.internal");
    assert.ok(!JSON.stringify(answer.body).includes("secret path"));
    assert.equal(failures.length, 1);
  });

  test("the process log gets five fields of a call, and nothing of its body", async () => {
    const records: CallRecord[] = [];
    const logger = { call: (record: CallRecord) => records.push(record), failure: () => undefined };
    const app = createBrokerApp({ state: fixture.state, logger });
    await call(app, "/v1/challenge", { v: 1 });
    await call(app, "/v1/policies/none?x=secret");
    assert.deepEqual(records, [
      { method: "POST", path: "/v1/challenge", status: 200, code: null, durationMs: 0 },
      {
        method: "GET",
        path: "/v1/policies/none",
        status: 404,
        code: "release.policy",
        durationMs: 0,
      },
    ]);
  });

  test("no more than 10,000 nonces are open at once, and old ones make room", async () => {
    const { state, time } = fixture;
    state.db.transaction(() => {
      for (let index = 0; index < MAX_OPEN_NONCES; index += 1)
        state.db.put("nonces", [`n${index}`, time.nowMs + 1000]);
    });
    const answer = await call(fixture.app, "/v1/challenge", { v: 1 });
    assert.equal(answer.code, "broker.busy");
    assert.equal(answer.status, 503);
    time.nowMs += 120_000;
    assert.equal((await call(fixture.app, "/v1/challenge", { v: 1 })).status, 200);
  });
});

describe("the broker's client", () => {
  test("answers of another form, unknown errors, floods and silence are all broker.unavailable", async () => {
    const socketPath = join(socketDir, "odd.sock");
    const answers: Record<string, (end: (status: number, body: string) => void) => void> = {
      "/v1/info": (end) => end(200, '{"v":1}'),
      "/v1/log/head": (end) => end(200, "no json"),
      "/v1/policies/a": (end) => end(403, '{"error":{"code":"x.y","message":"m","detail":{}}}'),
      "/v1/policies/b": (end) => end(500, "{}"),
      "/v1/log?from=0": (end) => end(200, " ".repeat(33 * 1024 * 1024)),
      "/v1/log?from=1": () => undefined,
    };
    const server = createServer((request, response) => {
      answers[request.url ?? ""]?.((status, body) => {
        response.writeHead(status).end(body);
      });
    });
    server.listen(socketPath);
    await once(server, "listening");
    try {
      const client = openBrokerClient({ socketPath, timeoutMs: 2000 });
      await refuses("broker.unavailable", client.info());
      await refuses("broker.unavailable", client.logHead());
      await refuses("broker.unavailable", client.policy("a"));
      await refuses("broker.unavailable", client.policy("b"));
      await refuses("broker.unavailable", client.log(0));
      const impatient = openBrokerClient({ socketPath, timeoutMs: 100 });
      await refuses("broker.unavailable", impatient.log(1));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
