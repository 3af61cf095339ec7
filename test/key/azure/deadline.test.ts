import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { createDefaultHttpClient } from "@azure/core-rest-pipeline";
import type { HttpClient, PipelineRequest } from "@azure/core-rest-pipeline";
import { deadlineOf, withDeadline } from "../../../src/azure/deadline.ts";
import { AzureVault } from "../../../src/key/azure/azure-vault.ts";
import { keyVaultTwin } from "../../twin/keyvault/fixture.ts";
import type { KeyVaultTwin } from "../../twin/keyvault/fixture.ts";
import { failureOf } from "../suite.ts";

const DEADLINE_MS = 100;

describe("a vault that gives no answer", () => {
  let twin: KeyVaultTwin;
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket));
  let silentUrl = "";
  before(async () => {
    twin = await keyVaultTwin();
    twin.vault("kvd");
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    twin.dispose();
  });

  /** A vault whose network swallows those calls that `isLost` says, over a socket that is real. */
  const open = (isLost: (request: PipelineRequest) => boolean) => {
    const calls: string[] = [];
    const known = twin.connect(
      twin.principal([{ role: "Key Vault Crypto Officer", vault: "kvd" }]),
      { maxRetries: 4 },
    );
    const network = createDefaultHttpClient();
    const lossy: HttpClient = {
      sendRequest: async (request) => {
        const { url } = request;
        calls.push(`${request.method} ${new URL(url).pathname}`);
        if (!isLost(request)) return known.clientOptions.httpClient.sendRequest(request);
        request.url = silentUrl;
        request.allowInsecureConnection = true;
        try {
          return await network.sendRequest(request);
        } finally {
          request.url = url;
        }
      },
    };
    const httpClient = withDeadline(lossy, { deadlineMs: () => DEADLINE_MS });
    const connection = { ...known, clientOptions: { ...known.clientOptions, httpClient } };
    const url = "https://kvd.vault.azure.net";
    return { vault: new AzureVault({ url, mode: "simulation", connection }), calls, url };
  };

  test("one answer that is lost costs one try", async () => {
    let lost = 1;
    const { vault, calls } = open(({ url }) => url.includes("/keys?") && lost-- > 0);
    assert.deepEqual(await vault.listKeks(), []);
    assert.equal(calls.filter((call) => call === "GET /keys").length >= 2, true, calls.join(" "));
  });

  test("a call ends after two tries, as unreachable, with what to do", async () => {
    const { vault, calls, url } = open(() => true);
    const failure = await failureOf(vault.showKek(`${url}/keys/sim-a`));
    assert.equal(failure.code, "azure.unreachable");
    assert.match(
      failure.message,
      /no answer in 0\.1 s from kvd\.vault\.azure\.net: check the network.* run it again$/,
    );
    assert.equal(calls.length, 2, calls.join(" "));
  });

  test("a key is not made twice because an answer was lost", async () => {
    const { vault, calls } = open(({ method, url }) => method === "POST" && /create/.test(url));
    const failure = await failureOf(vault.createKek({ name: "once", kind: "unwrap-only" }));
    assert.equal(failure.code, "azure.unreachable");
    assert.match(failure.message, /may have been done all the same/);
    assert.equal(calls.filter((call) => call.startsWith("POST ")).length, 1, calls.join(" "));
  });

  test("who waits for a slow call is told of its host, once, until it ends", async () => {
    const told: string[] = [];
    const client = withDeadline(createDefaultHttpClient(), {
      deadlineMs: () => 400,
      slowMs: 50,
      onWait: (host) => {
        told.push(host);
        return { [Symbol.dispose]: () => told.push("end") };
      },
    });
    const { connection } = { connection: twin.connect(twin.principal([])) };
    const { credential, clientOptions } = connection;
    const slow: HttpClient = {
      sendRequest: (request) => {
        request.url = silentUrl;
        request.allowInsecureConnection = true;
        return client.sendRequest(request);
      },
    };
    const vault = new AzureVault({
      url: "https://kvd.vault.azure.net",
      mode: "simulation",
      connection: {
        credential,
        clientOptions: { ...clientOptions, httpClient: slow },
      },
    });
    const kekId = "https://kvd.vault.azure.net/keys/sim-a";
    await Promise.all([failureOf(vault.showKek(kekId)), failureOf(vault.showKek(kekId))]);
    assert.deepEqual(told, ["127.0.0.1", "end"]);
  });
});

test("a try at Key Vault and at Entra ID ends within half a minute, others within two", () => {
  for (const host of ["a.vault.azure.net", "a.managedhsm.azure.net", "login.microsoftonline.com"])
    assert.equal(deadlineOf(`https://${host}/x`), 30_000);
  assert.equal(deadlineOf("https://management.azure.com/x"), 120_000);
});
