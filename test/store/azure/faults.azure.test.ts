import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createHttpHeaders, RestError } from "@azure/core-rest-pipeline";
import type { PipelineRequest, PipelineResponse } from "@azure/core-rest-pipeline";
import { containerOf } from "../../../src/store/azure/access.ts";
import { openAzureStore } from "../../../src/store/azure/azure-store.ts";
import { parseAbfsUri } from "../../../src/store/azure/uri.ts";
import type { Store } from "../../../src/store/index.ts";
import { bytes, namesOf, textOf } from "../store-suite.ts";
import { JOB, LAKE, OWNER, READER, startLake } from "./lake.ts";
import type { Lake } from "./lake.ts";

let lake: Lake;
let store: Store;
let count = 0;
before(async () => {
  lake = await startLake();
  await containerOf(parseAbfsUri(LAKE), lake.accessOf(OWNER)).create();
});
after(() => lake.close());
afterEach(() => {
  lake.fault = null;
});

function open(objectId = OWNER): Store {
  count += 1;
  store = openAzureStore(`${LAKE}/faults-${count}`, lake.accessOf(objectId));
  lake.seen.length = 0;
  return store;
}

function answer(request: PipelineRequest, status: number, code: string): PipelineResponse {
  const headers = createHttpHeaders({ "x-ms-error-code": code, "content-type": "application/xml" });
  const bodyAsText = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`;
  return { request, status, headers, bodyAsText };
}

const lost = (request: PipelineRequest): RestError =>
  new RestError("socket hang up", { code: "ECONNRESET", request });
const isCommit = ({ url }: PipelineRequest): boolean => url.includes("comp=blocklist");

/** Fails each different request once: busy, throttled, or without any answer, in turn. */
function failEachOnce(): void {
  const met = new Set<string>();
  lake.fault = (request) => {
    const key = `${request.method} ${request.url} ${request.headers.get("range") ?? ""}`;
    if (met.has(key)) return null;
    met.add(key);
    if (met.size % 3 === 0) return Promise.reject(lost(request));
    const isBusy = met.size % 3 === 1;
    const code = isBusy ? "ServerBusy" : "TooManyRequests";
    return Promise.resolve(answer(request, isBusy ? 503 : 429, code));
  };
}

describe("faults of the network and the service", () => {
  test("what the service is too busy for, or the network loses, is asked again until it is done", async () => {
    open();
    failEachOnce();
    const content = new Uint8Array(20_000_000).map((_, i) => i * 31);
    const { etag } = await store.put("a/object", [content], { ifNoneMatch: true });
    const head = new Uint8Array(100);
    const parts = [{ bytes: head }, { keep: { offset: 100, length: 19_999_900 } }];
    await store.replace("a/object", { ifMatch: etag, parts });
    content.set(head);
    assert.deepEqual(await namesOf(store), ["a/object"]);
    await using source = await store.source("a/object");
    assert.ok(Buffer.from(await source.read(0, source.size)).equals(content));
    await store.delete("a/object");
    assert.equal(await store.head("a/object"), null);
  });

  test("a commit whose answer is lost is found, and not made twice", async () => {
    open();
    let commits = 0;
    lake.fault = (request, send) => {
      if (!isCommit(request) || request.method !== "PUT") return null;
      commits += 1;
      return send().then(() => Promise.reject(lost(request)));
    };
    const put = await store.put("object", [bytes("content")], { ifNoneMatch: true });
    assert.equal(commits, 1);
    assert.deepEqual(await store.head("object"), { name: "object", ...put });
  });

  test("a commit that never arrived is made again, and still under its condition", async () => {
    open();
    let commits = 0;
    const other = openAzureStore(store.uri, lake.accessOf(OWNER));
    lake.fault = (request) => {
      if (!isCommit(request) || request.method !== "PUT" || commits > 0) return null;
      commits += 1;
      return Promise.reject(lost(request));
    };
    await store.put("object", [bytes("mine")], { ifNoneMatch: true });
    assert.equal(await textOf(store, "object"), "mine");
    commits = 0;
    // Somebody else puts the object between the first try and the second.
    lake.fault = (request) => {
      if (!isCommit(request) || request.method !== "PUT" || commits > 0) return null;
      commits += 1;
      return other.put("second", [bytes("theirs")]).then(() => Promise.reject(lost(request)));
    };
    await assert.rejects(store.put("second", [bytes("mine")], { ifNoneMatch: true }), {
      code: /^store\.(?:exists|conflict)$/,
    });
    assert.equal(await textOf(store, "second"), "theirs");
  });

  test("a network that stays away is told as such, after bounded tries", async () => {
    open();
    let tries = 0;
    lake.fault = (request) => {
      tries += 1;
      return Promise.reject(lost(request));
    };
    await assert.rejects(store.head("object"), {
      code: "azure.unreachable",
      message: /check the network/,
    });
    assert.equal(tries, 6);
  });

  test("a service that stays busy is told as such", async () => {
    open();
    lake.fault = (request) => Promise.resolve(answer(request, 429, "TooManyRequests"));
    await assert.rejects(store.put("object", [bytes("x")]), { code: "azure.throttled" });
    lake.fault = (request) => Promise.resolve(answer(request, 503, "ServerBusy"));
    await assert.rejects(namesOf(store), { code: "azure.failed", message: /ServerBusy/ });
  });

  test("a login that has expired, and a role that is missing, are told apart", async () => {
    open(JOB);
    await assert.rejects(store.put("object", [bytes("x")]), {
      code: "azure.denied",
      message: /role/,
    });
    open();
    lake.fault = (request) => Promise.resolve(answer(request, 401, "InvalidAuthenticationInfo"));
    await assert.rejects(store.head("object"), { code: "azure.login", message: /az login/ });
  });

  test("a filesystem that is not there is told with the command that makes it", async () => {
    const absent = openAzureStore(LAKE.replace("data@", "absent@"), lake.accessOf(OWNER));
    for (const attempt of [
      () => absent.put("object", [bytes("x")]),
      () => absent.head("object"),
      () => absent.source("object"),
      () => namesOf(absent),
    ])
      await assert.rejects(attempt, (error: unknown) => {
        assert.ok(error instanceof Error && "code" in error && "detail" in error);
        assert.equal(error.code, "azure.not_found");
        assert.match(JSON.stringify(error.detail), /ppml data mkfs abfss:\/\/absent@/);
        return true;
      });
  });

  test("readers may read and not write", async () => {
    open();
    await store.put("object", [bytes("content")]);
    lake.roles.set(READER, "reader");
    const reader = openAzureStore(store.uri, lake.accessOf(READER));
    assert.equal(await textOf(reader, "object"), "content");
    assert.deepEqual(await namesOf(reader), ["object"]);
    for (const attempt of [
      () => reader.put("object", [bytes("x")]),
      () => reader.delete("object"),
      () => reader.put("new", [bytes("x")], { ifNoneMatch: true }),
    ])
      await assert.rejects(attempt, { code: "azure.denied" });
    assert.equal(await textOf(store, "object"), "content");
  });
});

describe("writers and readers at once", () => {
  test("of two writers without a condition, each one's object is whole, and the slower one is told", async () => {
    open();
    for (let round = 0; round < 4; round += 1) {
      const texts = ["a", "b", "c"].map((one) => one.repeat(400_000));
      const done = await Promise.allSettled(
        texts.map((text) => store.put("object", [bytes(text)])),
      );
      const stored = await textOf(store, "object");
      assert.ok(texts.includes(stored));
      assert.equal(done[texts.indexOf(stored)]?.status, "fulfilled");
      for (const one of done)
        if (one.status === "rejected") assert.equal(one.reason.code, "store.conflict");
    }
  });

  test("a reader keeps to the version that it opened: after a change it reads nothing", async () => {
    open();
    const { etag } = await store.put("object", [bytes("first")]);
    await using source = await store.source("object");
    assert.equal(Buffer.from(await source.read(0, 5)).toString(), "first");
    await store.put("object", [bytes("other")], { ifMatch: etag });
    await assert.rejects(source.read(0, 5), { code: "store.conflict" });
    await store.delete("object");
    await assert.rejects(source.read(0, 5), { code: "store.conflict" });
  });

  test("what is under way is bounded in bytes, over all uploads of a store", async () => {
    open();
    let now = 0;
    let most = 0;
    lake.fault = (request) => {
      if (!request.url.includes("comp=block&")) return null;
      now += request.body instanceof Uint8Array ? request.body.byteLength : 0;
      most = Math.max(most, now);
      const wait = new Promise((resolve) => setTimeout(resolve, 5));
      return wait.then(() => {
        now -= request.body instanceof Uint8Array ? request.body.byteLength : 0;
        const headers = createHttpHeaders({ "content-length": "0" });
        return { request, status: 201, headers };
      });
    };
    const chunk = new Uint8Array(4 * 1024 * 1024);
    const chunks = Array.from({ length: 50 }, () => chunk);
    await Promise.allSettled(["a", "b", "c"].map((name) => store.put(name, chunks)));
    assert.ok(most > 8 * 1024 * 1024 && most <= 64 * 1024 * 1024, String(most));
  });
});

const moved = (): number => lake.seen.reduce((sum, { body }) => sum + body.byteLength, 0);

describe("what a new version moves", () => {
  test("a rewritten head moves no other byte: whole blocks are committed again", async () => {
    open();
    const content = new Uint8Array(30_000_000).fill(3);
    const { etag } = await store.put("object", [content], { headBytes: 4096 });
    lake.seen.length = 0;
    const parts = [
      { bytes: new Uint8Array(4096) },
      { keep: { offset: 4096, length: 30_000_000 - 4096 } },
    ];
    await store.replace("object", { ifMatch: etag, parts });
    assert.ok(moved() < 6000, String(moved()));
    assert.ok(lake.seen.every(({ method, url }) => method !== "GET" || url.includes("blocklist")));
    assert.ok(!lake.seen.some(({ method, url }) => method === "PUT" && !/comp=/.test(url)));
  });

  test("a new end under another name is copied inside the service", async () => {
    open();
    const { etag } = await store.put("object", [new Uint8Array(20_000_000).fill(5)]);
    lake.seen.length = 0;
    const parts = [{ keep: { offset: 0, length: 19_000_000 } }, { bytes: bytes("end") }];
    await store.replace("object", { ifMatch: etag, parts, as: "new/object" });
    assert.ok(moved() < 1000, String(moved()));
    assert.equal((await store.head("new/object"))?.size, 19_000_003);
  });

  test("where the service cannot copy, the bytes go through this process", async () => {
    open();
    const content = new Uint8Array(9_000_000).map((_, i) => i * 3);
    const { etag } = await store.put("object", [content]);
    lake.fault = (request) =>
      request.headers.get("x-ms-copy-source") === undefined
        ? null
        : Promise.resolve(answer(request, 404, "CannotVerifyCopySource"));
    const parts = [{ keep: { offset: 5, length: 8_999_000 } }];
    await store.replace("object", { ifMatch: etag, parts, as: "copy" });
    await using source = await store.source("copy");
    const wanted = content.subarray(5, 8_999_005);
    assert.ok(Buffer.from(await source.read(0, source.size)).equals(wanted));
  });

  test("a version that changes while it is copied makes no new one", async () => {
    open();
    const { etag } = await store.put("object", [bytes("0123456789")]);
    const other = openAzureStore(store.uri, lake.accessOf(OWNER));
    let done = false;
    lake.fault = (request, send) => {
      if (done || request.headers.get("x-ms-copy-source") === undefined) return null;
      done = true;
      return other.put("object", [bytes("abcdefghij")]).then(send);
    };
    const parts = [{ keep: { offset: 0, length: 9 } }];
    await assert.rejects(store.replace("object", { ifMatch: etag, parts, as: "copy" }), {
      code: "store.conflict",
    });
    assert.equal(await store.head("copy"), null);
  });
});
