import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import type { JsonWebKey } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fromUtf8 } from "../../src/base/index.ts";
import { errorResponseSchema, releaseRequestSchema } from "../../src/format/protocol.ts";
import {
  rcarAttestSchema,
  rcarAuthSchema,
  rcarErrorSchema,
  rcarResponseSchema,
} from "../../src/format/rcar.ts";
import type { EcPublicJwk } from "../../src/format/schema.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import { hexOf } from "./fixture.ts";
import { protocolVectors, skeletonOf } from "./protocol-vectors.ts";
import { openAnswer, runtimeDigest } from "./rcar/guest.ts";

const FOLDER = join(import.meta.dirname, "../vectors/protocol");

type Exchange = {
  readonly request: { readonly path: string; readonly body: unknown };
  readonly response: { readonly status: number; readonly body: Record<string, unknown> };
};
type Vector = {
  readonly nowMs: number;
  readonly exchanges: readonly Exchange[];
  readonly [member: string]: unknown;
};

function load(name: string): Vector {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")) as Vector;
}

const keyOf = (jwk: unknown) => createPrivateKey({ key: jwk as JsonWebKey, format: "jwk" });

describe("test/vectors/protocol", () => {
  test("every file is as today's broker answers: run `node tools/protocol-vectors.ts` where not", async () => {
    const vectors = await protocolVectors();
    const files = readdirSync(FOLDER).sort();
    assert.deepEqual(
      files,
      Object.keys(vectors)
        .map((name) => `${name}.json`)
        .sort(),
    );
    for (const [name, vector] of Object.entries(vectors))
      assert.deepEqual(skeletonOf(load(name)), skeletonOf(vector), name);
  });

  test("the stored release opens with its stored keys, to the stored grant and local keys", async () => {
    const vector = load("v1-release");
    const { body } = vector.exchanges[1]?.request ?? {};
    releaseRequestSchema.parse(body);
    const { encryption } = vector["tee"] as { readonly encryption: unknown };
    const { releaseRoot } = vector["pinned"] as { readonly releaseRoot: EcPublicJwk };
    const expected = vector["expected"] as Parameters<typeof openGrant>[0]["expected"];
    const opened = await openGrant({
      jwe: String(vector.exchanges[1]?.response.body["jwe"]),
      recipientKey: keyOf(encryption),
      releaseRoot,
      expected,
      nowMs: vector.nowMs,
    });
    assert.deepEqual(opened.grant, vector["grant"]);
    const keys = vector["keys"] as readonly { readonly id: string; readonly hex: string }[];
    assert.equal(keys.length, 3);
    for (const { id, hex } of keys) assert.equal(hexOf(opened.keys.get(id)), hex);
  });

  for (const name of ["rcar-p256", "rcar-p521", "rcar-rsa"])
    test(`the stored handshake ${name} binds its runtime data and opens with its key`, () => {
      const vector = load(name);
      const [auth, attest, resource] = vector.exchanges;
      assert.ok(auth !== undefined && attest !== undefined && resource !== undefined);
      rcarAuthSchema.parse(auth.request.body);
      const { "runtime-data": runtime } = rcarAttestSchema.parse(attest.request.body);
      rcarResponseSchema.parse(resource.response.body);
      const key = { privateKey: keyOf(vector["teeKey"]), jwk: runtime["tee-pubkey"] as JsonWebKey };
      assert.equal(runtimeDigest(runtime.nonce, key), vector["runtimeDataSha384"]);
      const reply = { status: 200, headers: new Headers(), text: "", json: resource.response.body };
      assert.equal(fromUtf8(openAnswer(key, reply)), vector["content"]);
    });

  test("the stored refusals have the form of their protocol", () => {
    for (const { response } of load("v1-refusals").exchanges) {
      assert.ok(response.status >= 400);
      errorResponseSchema.parse(response.body);
    }
    const statuses = load("rcar-refusals").exchanges.map(({ response }) => {
      rcarErrorSchema.parse(response.body);
      return response.status;
    });
    assert.deepEqual(statuses, [401, 401, 401, 404]);
  });
});
