import assert from "node:assert/strict";
import { once } from "node:events";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Hono } from "hono";
import { HTTP_LIMITS, requestBytes, systemHttp } from "../../../src/attest/collateral/http.ts";
import type { HttpLimits, HttpRequest } from "../../../src/attest/collateral/http.ts";
import { issueCertificate } from "../../../src/attest/x509/issue-certificate.ts";
import { isPpmlError, utf8 } from "../../../src/base/index.ts";
import { NOW_MS } from "../fixture.ts";
import { portsOf } from "./http-ports.ts";
import { pem } from "./pem.ts";

const REQUEST: HttpRequest = {
  url: "https://pcs.example/thing?x=1",
  what: "the thing",
  maxBytes: 100,
};
const LIMITS: HttpLimits = { ...HTTP_LIMITS, timeoutMs: 200 };

function failed(message: RegExp, status: number | null, attempts: number) {
  return (error: unknown): boolean => {
    assert.ok(isPpmlError(error, "attest.fetch"), String(error));
    assert.match(error.message, message);
    assert.equal(error.detail["status"], status);
    assert.equal(error.detail["attempts"], attempts);
    return true;
  };
}

/** Answers in this order, the last one for ever. */
function answering(
  ...responses: (() => Response | Promise<Response>)[]
): ReturnType<typeof portsOf> {
  let at = 0;
  return portsOf({
    request: () => {
      const next = responses[Math.min(at, responses.length - 1)];
      at += 1;
      return next?.() ?? new Response(null, { status: 500 });
    },
  });
}

test("a whole answer of status 200 is given with its headers", async () => {
  const app = new Hono().get("/thing", (c) =>
    c.text(`x is ${c.req.query("x")}`, 200, { "x-chain": "a%20b" }),
  );
  const { headers, body } = await requestBytes(portsOf(app), REQUEST);
  assert.equal(headers.get("x-chain"), "a%20b");
  assert.deepEqual(body, utf8("x is 1"));
});

test("404 and other refusals are final, and named by host and status", async () => {
  for (const status of [400, 401, 403, 404, 410]) {
    const ports = answering(() => new Response("no", { status }));
    await assert.rejects(
      requestBytes(ports, REQUEST),
      failed(new RegExp(`pcs\\.example did not give the thing: it answered ${status}`), status, 1),
    );
    assert.deepEqual(ports.pauses, []);
  }
});

test("429 waits for Retry-After, in seconds or as a date, before it asks again", async () => {
  const seconds = answering(busy("3"), () => new Response("ok"));
  await requestBytes(seconds, REQUEST);
  assert.deepEqual(seconds.pauses, [3250]);
  const date = answering(busy(new Date(NOW_MS + 5000).toUTCString()), () => new Response("ok"));
  await requestBytes(date, REQUEST);
  assert.deepEqual(date.pauses, [5250]);
  const past = answering(
    busy(new Date(NOW_MS - 5000).toUTCString()),
    busy("soon"),
    () => new Response("ok"),
  );
  await requestBytes(past, REQUEST);
  assert.deepEqual(past.pauses, [250, 500]);
});

test("a Retry-After over the bound ends it at once", async () => {
  const ports = answering(
    () => new Response(null, { status: 429, headers: { "retry-after": "3600" } }),
  );
  await assert.rejects(
    requestBytes(ports, REQUEST),
    failed(/answered 429; try again later/, 429, 1),
  );
  assert.deepEqual(ports.pauses, []);
});

test("5xx is asked for again with growing pauses, a bounded number of times", async () => {
  const recovering = answering(
    () => new Response(null, { status: 500 }),
    () => new Response(null, { status: 503 }),
    () => new Response("ok"),
  );
  assert.deepEqual((await requestBytes(recovering, REQUEST)).body, utf8("ok"));
  assert.deepEqual(recovering.pauses, [250, 500]);
  const down = answering(() => new Response(null, { status: 502 }));
  await assert.rejects(
    requestBytes(down, REQUEST),
    failed(/answered 502 \(asked 4 times\)/, 502, 4),
  );
  assert.deepEqual(down.pauses, [250, 500, 1000]);
});

test("a connection that fails is tried again and its cause kept", async () => {
  const ports = answering(
    () => Promise.reject(new TypeError("fetch failed")),
    () => new Response("ok"),
  );
  assert.deepEqual((await requestBytes(ports, REQUEST)).body, utf8("ok"));
  const dead = answering(() => Promise.reject(new TypeError("fetch failed")));
  await assert.rejects(requestBytes(dead, REQUEST), (error: unknown) => {
    assert.ok(isPpmlError(error) && error.cause instanceof TypeError);
    return failed(/connection failed/, null, 4)(error);
  });
});

test("an answer that never comes, or never ends, is given up in its time", async () => {
  const limits = { ...LIMITS, attempts: 2 };
  const silent = answering(() => new Promise<Response>(() => undefined));
  await assert.rejects(requestBytes(silent, REQUEST, limits), failed(/within 200 ms/, null, 2));
  const endless = answering(
    () => new Response(new ReadableStream({ start: (stream) => stream.enqueue(utf8("a")) })),
  );
  await assert.rejects(requestBytes(endless, REQUEST, limits), failed(/within 200 ms/, null, 2));
});

test("a body over its bound is not read on, announced or not", async () => {
  let given = 0;
  const stream = (): ReadableStream =>
    new ReadableStream({
      pull: (controller) => {
        given += 1;
        controller.enqueue(new Uint8Array(60));
      },
    });
  const huge = answering(() => new Response(stream()));
  await assert.rejects(requestBytes(huge, REQUEST), failed(/over 100 bytes/, 200, 1));
  assert.ok(given < 6, String(given));
  const announced = answering(
    () => new Response(stream(), { headers: { "content-length": "101" } }),
  );
  await assert.rejects(requestBytes(announced, REQUEST), failed(/101 bytes is over 100/, 200, 1));
});

test("a body that is shorter than announced is asked for again", async () => {
  const ports = answering(
    cut,
    () => new Response("complete", { headers: { "content-length": "8" } }),
  );
  assert.deepEqual((await requestBytes(ports, REQUEST)).body, utf8("complete"));
  await assert.rejects(requestBytes(answering(cut), REQUEST), failed(/cut: 4 of 8 bytes/, 200, 4));
});

test("T103: a redirect to another host is refused; one on the same host is followed", async () => {
  for (const location of [
    "https://evil.example/thing",
    "http://pcs.example/thing",
    "//evil.example/",
    "https://pcs.example:444/",
    "http://",
  ])
    await assert.rejects(
      requestBytes(answering(to(location)), REQUEST),
      failed(/redirects to another host/, 302, 1),
    );
  const moved = answering(to("/moved"), () => new Response("ok"));
  assert.deepEqual((await requestBytes(moved, REQUEST)).body, utf8("ok"));
  assert.deepEqual(moved.urls, ["https://pcs.example/thing?x=1", "https://pcs.example/moved"]);
  await assert.rejects(
    requestBytes(answering(to("/moved")), REQUEST),
    failed(/in circles/, 302, 1),
  );
  await assert.rejects(
    requestBytes(
      answering(() => new Response(null, { status: 304 })),
      REQUEST,
    ),
    failed(/answered 304/, 304, 1),
  );
});

test("over a real connection: answers, a cut connection and a redirect are told apart", async () => {
  const server = createServer((request, response) => {
    if (request.url === "/cut") {
      response.writeHead(200, { "content-length": "50" });
      response.write("some");
      setTimeout(() => response.destroy(), 10);
    } else if (request.url === "/away")
      response.writeHead(301, { location: "http://localhost:1/" }).end();
    else if (request.url === "/folded")
      response.socket?.end("HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok");
    else if (request.url === "/post") request.pipe(response);
    else response.end("fine");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ports = { ...systemHttp, pause: async () => undefined };
  const ask = (path: string, json?: unknown) =>
    requestBytes(
      ports,
      { ...REQUEST, url: origin + path, ...(json === undefined ? {} : { json }) },
      { ...LIMITS, attempts: 2 },
    );
  try {
    assert.deepEqual((await ask("/")).body, utf8("fine"));
    assert.deepEqual((await ask("/post", { a: 1 })).body, utf8('{"a":1}'));
    await assert.rejects(ask("/cut"), failed(/connection failed or was cut|was cut/, null, 2));
    await assert.rejects(ask("/folded"), failed(/failed or was cut \(asked 2 times\)/, null, 2));
    await assert.rejects(ask("/away"), failed(/redirects to another host/, 301, 1));
  } finally {
    server.close();
    server.closeAllConnections();
  }
});

test("a service with a certificate of its own making is refused at once, and named", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = issueCertificate({
    subject: "PCCS",
    subjectKey: privateKey,
    issuer: "PCCS",
    issuerKey: privateKey,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 3_600_000,
    extensions: [],
  });
  const key = privateKey.export({ format: "pem", type: "pkcs8" });
  const server = createTlsServer({ key, cert: pem(certificate) }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const ports = { ...systemHttp, pause: async () => undefined };
  try {
    await assert.rejects(
      requestBytes(ports, { ...REQUEST, url }, HTTP_LIMITS),
      failed(/TLS certificate .*\(DEPTH_ZERO_SELF_SIGNED_CERT\)/, null, 1),
    );
  } finally {
    server.close();
  }
  await assert.rejects(
    requestBytes(ports, { ...REQUEST, url }, HTTP_LIMITS),
    failed(/failed or was cut \(ECONNREFUSED\)/, null, 4),
  );
});

function busy(after: string): () => Response {
  return () => new Response(null, { status: 429, headers: { "retry-after": after } });
}

function cut(): Response {
  return new Response("half", { headers: { "content-length": "8" } });
}

function to(location: string): () => Response {
  return () => new Response(null, { status: 302, headers: { location } });
}
