import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { jwkThumbprint } from "../../../src/format/jwk.ts";
import type { EcPublicJwk } from "../../../src/format/schema.ts";
import { socketConfigOf, startBroker } from "../broker-process.ts";
import type { Fixture } from "../fixture.ts";
import { handshake, resource } from "./guest.ts";
import type { Channel } from "./guest.ts";
import { guestOf, makeResourceFixture, PATH, releases } from "./resource-fixture.ts";

const GUESTS = 8;

let fixture: Fixture;
let socketPath: string;
before(async () => {
  fixture = await makeResourceFixture();
  mkdirSync(join(fixture.dir, "run"), { mode: 0o700 });
  socketPath = join(fixture.dir, "run", "broker.sock");
});
after(() => fixture.dispose());

const socketChannel: Channel = ({ method, path, headers, body }) =>
  new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, method, headers, agent: false }, (response) => {
      const chunks: Uint8Array[] = [];
      response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const received = new Headers();
        for (const value of response.headers["set-cookie"] ?? [])
          received.append("set-cookie", value);
        const json = JSON.parse(text) as Record<string, unknown>;
        resolve({ status: response.statusCode ?? 0, headers: received, text, json });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body ?? undefined);
  });

/** Guests come, each with a key of its own, until the broker is gone; what they were answered is noted. */
async function keepComing(answered: string[]): Promise<void> {
  for (;;) {
    const guest = guestOf(fixture, { channel: socketChannel });
    const key = jwkThumbprint(guest.key.jwk as EcPublicJwk);
    try {
      const { cookie } = await handshake(guest);
      answered.push(`attestation ${key}`);
      const reply = await resource(guest, PATH, { cookie });
      assert.equal(reply.status, 200, reply.text);
      answered.push(`resource ${key}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return;
    }
  }
}

test("T171: a broker that is killed among many guests has logged all that it answered", async () => {
  const answered: string[] = [];
  for (const afterMs of [150, 290, 430]) {
    const were = answered.length;
    const { child, ready } = await startBroker(socketConfigOf(fixture, socketPath));
    assert.equal(ready.ready, true);
    const guests = Array.from({ length: GUESTS }, () => keepComing(answered));
    while (answered.length < were + 2 * GUESTS) await wait(10);
    await wait(afterMs);
    child.kill("SIGKILL");
    await Promise.all(guests);
  }
  // The log and its mark are whole: a broker opens them again.
  await fixture.openAgain();
  const logged = new Set<string>();
  for (const { decision, request: asked, encryptionKey } of await releases(fixture))
    if (decision === "granted") logged.add(`${asked.kind} ${encryptionKey}`);
  assert.ok(answered.length >= 6 * GUESTS);
  for (const answer of answered) assert.ok(logged.has(answer), `${answer} is not in the log`);
});
