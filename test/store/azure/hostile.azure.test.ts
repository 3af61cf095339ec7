import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { createDefaultHttpClient, createHttpHeaders } from "@azure/core-rest-pipeline";
import type { HttpClient, PipelineRequest } from "@azure/core-rest-pipeline";
import { openAzureStore } from "../../../src/store/azure/azure-store.ts";
import type { Store } from "../../../src/store/index.ts";
import { bytes, namesOf } from "../store-suite.ts";
import { LAKE, QUICK } from "./lake.ts";

type Answer = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text?: string;
  readonly bytes?: Uint8Array;
};

/** A store whose storage answers as it likes. */
function storeOf(answer: (request: PipelineRequest, call: number) => Answer): Store {
  let calls = 0;
  const httpClient: HttpClient = {
    sendRequest: async (request) => {
      calls += 1;
      const { status = 200, headers = {}, text, bytes: body } = answer(request, calls);
      return {
        request,
        status,
        headers: createHttpHeaders({ "content-type": "application/xml", ...headers }),
        ...(text === undefined ? {} : { bodyAsText: text }),
        ...(body === undefined ? {} : { readableStreamBody: Readable.from([Buffer.from(body)]) }),
      };
    },
  };
  return openAzureStore(LAKE, access(httpClient));
}

async function getToken() {
  return { token: "t", expiresOnTimestamp: Date.now() + 3_600_000 };
}

function access(httpClient: HttpClient) {
  return { credential: { getToken }, clientOptions: { httpClient }, retries: QUICK };
}

const ETAG = '"0x1"';
const head = (size: number): Answer => ({
  headers: { etag: ETAG, "content-length": String(size) },
});

function listing(items: string, marker: string): string {
  return `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://x" ContainerName="data"><Blobs>${items}</Blobs><NextMarker>${marker}</NextMarker></EnumerationResults>`;
}
const blob = (name: string, extra = ""): string =>
  `<Blob><Name>${name}</Name><Properties><Etag>0x1</Etag><Content-Length>5</Content-Length>${extra}</Properties></Blob>`;

describe("hostile storage", () => {
  test("T300: a range of another length than was asked for is an error, short or long", async () => {
    for (const length of [0, 4, 6, 100_000]) {
      const store = storeOf(({ method }) =>
        method === "HEAD"
          ? head(5)
          : { status: 206, headers: { etag: ETAG }, bytes: new Uint8Array(length) },
      );
      await using source = await store.source("object");
      await assert.rejects(source.read(0, 5), { code: "store.io" }, String(length));
    }
  });

  test("T301: a version without an etag or a size, or with one that is none, is an error", async () => {
    for (const headers of [
      { "content-length": "5" },
      { etag: "", "content-length": "5" },
      { etag: "x".repeat(10_000), "content-length": "5" },
      { etag: ETAG },
      { etag: ETAG, "content-length": "-5" },
      { etag: ETAG, "content-length": "99999999999999999999" },
      { etag: ETAG, "content-length": "five" },
    ])
      await assert.rejects(storeOf(() => ({ headers })).head("object"), { code: "store.io" });
  });

  test("T302: a listing that goes in circles, or never gives an object, ends in an error", async () => {
    const circle = storeOf(() => ({ text: listing(blob("a"), "again") }));
    await assert.rejects(namesOf(circle), { code: "store.io", message: /repeats itself/ });
    const empty = storeOf((_, call) => ({ text: listing("", `page-${call}`) }));
    await assert.rejects(namesOf(empty), { code: "store.io", message: /empty/ });
  });

  test("T303: a listing of names that were not asked for, or without sizes, is an error", async () => {
    const outside = openFolder(() => ({ text: listing(blob("elsewhere/a"), "") }));
    await assert.rejects(namesOf(outside), { code: "store.io", message: /not asked for/ });
    const store = storeOf(() => ({
      text: listing("<Blob><Name>a</Name><Properties><Etag>0x1</Etag></Properties></Blob>", ""),
    }));
    await assert.rejects(namesOf(store), { code: "store.io", message: /size/ });
  });

  test("T304: answers that are no XML, or XML of another form, are errors", async () => {
    for (const text of [
      "",
      "not xml",
      "<EnumerationResults><Blobs>",
      '<?xml version="1.0"?><Other/>',
      "<a>".repeat(50_000),
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><EnumerationResults><Blobs>${blob("&b;")}</Blobs></EnumerationResults>`,
    ]) {
      const store = storeOf(() => ({ text }));
      const names = await namesOf(store).catch((error: unknown) => error);
      const isRefused = names instanceof Error && "code" in names;
      // What is left of a document type is text, never what its entities would become.
      assert.ok(
        isRefused || JSON.stringify(names).length < 100,
        `${text.slice(0, 60)}: ${String(names)}`,
      );
    }
  });

  test("T305: an answer without an end is cut off, and nobody waits for it", async () => {
    const piece = Buffer.alloc(1_000_000, " ");
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": "application/xml" });
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) {}
      };
      response.on("drain", more);
      more();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const plain = createDefaultHttpClient();
    const store = openAzureStore(
      LAKE,
      access({
        sendRequest: (request) => {
          request.allowInsecureConnection = true;
          request.url = `http://127.0.0.1:${port}/`;
          return plain.sendRequest(request);
        },
      }),
    );
    await assert.rejects(namesOf(store), { message: /an answer of more than/ });
    server.closeAllConnections();
    server.close();
  });

  test("a commit that answers without an etag is not taken for one that happened", async () => {
    const store = storeOf(({ url }) => ({
      status: 201,
      headers: url.includes("blocklist") ? {} : { etag: ETAG },
    }));
    await assert.rejects(store.put("object", [bytes("x")]), { code: "store.io" });
  });

  test("blocks that do not add up to the object are not used again", async () => {
    const copied: string[] = [];
    const store = storeOf((request) => {
      if (request.method === "GET")
        return {
          headers: { etag: ETAG, "x-ms-blob-content-length": "5000" },
          text: '<?xml version="1.0"?><BlockList><CommittedBlocks><Block><Name>QUFB</Name><Size>4000</Size></Block></CommittedBlocks></BlockList>',
        };
      const source = request.headers.get("x-ms-source-range");
      if (source !== undefined) copied.push(source);
      return { status: 201, headers: { etag: '"0x2"' } };
    });
    const parts = [{ keep: { offset: 0, length: 5000 } }];
    await store.replace("object", { ifMatch: ETAG, parts });
    assert.deepEqual(copied, ["bytes=0-4999"]);
  });
});

function openFolder(answer: () => Answer): Store {
  const httpClient: HttpClient = {
    sendRequest: async (request) => {
      const { text = "" } = answer();
      return {
        request,
        status: 200,
        headers: createHttpHeaders({ "content-type": "application/xml" }),
        bodyAsText: text,
      };
    },
  };
  return openAzureStore(`${LAKE}/folder`, access(httpClient));
}
