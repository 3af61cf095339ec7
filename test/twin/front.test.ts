import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connect as tlsConnect, rootCertificates } from "node:tls";
import { addFault, FAULTS } from "../../src/twin/front/faults.ts";
import type { Fault } from "../../src/twin/front/faults.ts";
import type { Twin } from "../../src/twin/start.ts";
import type { TwinServiceMaker } from "../../src/twin/service.ts";
import { runInTwin, runningTwin } from "./running.ts";

/** Answers with the length and digest of the body, without keeping it. */
const digesting: TwinServiceMaker = () => ({
  name: "blob",
  serves: (host) => host.endsWith(".blob.core.windows.net"),
  handle: (request, response) => {
    const hash = createHash("sha256");
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      length += chunk.byteLength;
    });
    request.on("end", () => response.end(JSON.stringify({ length, sha256: hash.digest("hex") })));
  },
});

test("a long body streams through the proxy whole", async (t) => {
  const twin = await runningTwin(t, { makers: [digesting] });
  const said = await runInTwin(
    twin,
    `import { createHash, randomBytes } from "node:crypto";
     const chunk = randomBytes(1 << 20), hash = createHash("sha256"), count = 64;
     async function* body() { for (let i = 0; i < count; i += 1) { hash.update(chunk); yield chunk; } }
     const before = process.memoryUsage.rss();
     const answer = await fetch("https://a.blob.core.windows.net/c/b", { method: "PUT", body: body(), duplex: "half" });
     const { length, sha256 } = await answer.json();
     console.log(JSON.stringify({ status: answer.status, length, same: sha256 === hash.digest("hex") }));`,
  );
  assert.deepEqual(
    JSON.parse(said.stdout),
    { status: 200, length: 64 << 20, same: true },
    said.stderr,
  );
});

test("T250: a host that is not Azure's is refused by the proxy, and logged", async (t) => {
  const twin = await runningTwin(t);
  const ask = async (target: string): Promise<string> => {
    const socket = connect(twin.running.proxyPort, "127.0.0.1");
    socket.end(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    const [data] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return data.toString().split("\r\n")[0] ?? "";
  };
  for (const target of [
    "example.com:443",
    "login.microsoftonline.com.example.com:443",
    "evilvault.azure.net.example:443",
    "notlogin.microsoftonline.co:443",
    "management.azure.com:80",
    "127.0.0.1:443",
    "[::1]:443",
    "metadata.google.internal:443",
  ]) {
    assert.equal(await ask(target), "HTTP/1.1 403 Forbidden", target);
    assert.ok(
      twin.log.some((line) => line.includes(`refused CONNECT ${target}`)),
      target,
    );
  }
  assert.equal(await ask("management.azure.com:443"), "HTTP/1.1 200 Connection established");
});

test("a known host without a service answers 501 and says so", async (t) => {
  const twin = await runningTwin(t, { makers: [] });
  const said = await runInTwin(
    twin,
    `const answer = await fetch("https://kv.vault.azure.net/keys");
     console.log(answer.status, (await answer.json()).error.code);`,
  );
  assert.equal(said.stdout.trim(), "501 NotImplementedByTwin", said.stderr);
});

test("T251: only loopback is listened on", async (t) => {
  const twin = await runningTwin(t);
  const others = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === "IPv4");
  for (const port of [twin.running.proxyPort, twin.running.tlsPort]) {
    for (const { address } of others) {
      const socket = connect(port, address);
      const outcome = await Promise.race([
        once(socket, "connect").then(() => "connected"),
        once(socket, "error").then(() => "refused"),
      ]).catch(() => "refused");
      socket.destroy();
      assert.equal(outcome, "refused", `${address}:${port}`);
    }
    // What the kernel says, where it says it.
    const lines = readFileSync("/proc/net/tcp", "utf8").split("\n");
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    const listening = lines.filter((line) => line.includes(`:${hex} 00000000:0000 0A`));
    assert.ok(listening.length > 0);
    for (const line of listening) assert.match(line, new RegExp(`0100007F:${hex}`));
  }
});

test("T252: the twin's CA is trusted by nothing by itself, and may sign for Azure's names alone", async (t) => {
  const twin = await runningTwin(t);
  const ca = readFileSync(join(twin.base.folder, "tls/ca.pem"), "utf8");
  const attempt = async (servername: string, roots: readonly string[]): Promise<string> => {
    const socket = tlsConnect({
      port: twin.running.tlsPort,
      host: "127.0.0.1",
      servername,
      ca: [...roots],
    });
    const outcome = await Promise.race([
      once(socket, "secureConnect").then(() => "trusted"),
      once(socket, "error").then(([error]: unknown[]) =>
        error instanceof Error && "code" in error ? String(error.code) : "error",
      ),
    ]).catch((error: unknown) =>
      error instanceof Error && "code" in error ? String(error.code) : "error",
    );
    socket.destroy();
    return outcome;
  };
  assert.equal(await attempt("management.azure.com", [ca]), "trusted");
  assert.equal(await attempt("kv1.vault.azure.net", [ca]), "trusted");
  assert.notEqual(await attempt("management.azure.com", rootCertificates), "trusted");
  assert.notEqual(await attempt("www.example.com", [ca]), "trusted");
  assert.equal(statSync(join(twin.base.folder, "tls/ca.json")).mode & 0o777, 0o600);
});

const add = (twin: Twin, fault: Partial<Fault>): void =>
  addFault(
    twin.base.state,
    {
      service: "entra",
      method: "*",
      path: "",
      status: 503,
      remaining: 1,
      retryAfterSeconds: null,
      ...fault,
    },
    Date.now(),
  );

describe("faults on demand", () => {
  const url = "https://login.microsoftonline.com/common/discovery/instance";
  const ask = async (twin: Twin): Promise<string> => {
    const said = await runInTwin(
      twin,
      `const signal = AbortSignal.timeout(500);
       await fetch("${url}", { signal }).then(({ status }) => console.log(status),
         (error) => console.log(error.name, error.cause?.code ?? ""));`,
    );
    return said.stdout.trim();
  };

  test("a status, a connection that breaks and an answer that never comes, each once", async (t) => {
    const twin = await runningTwin(t);
    add(twin, { status: 503 });
    add(twin, { status: "reset" });
    add(twin, { status: "timeout" });
    add(twin, { method: "POST", status: 429 });
    assert.equal(await ask(twin), "503");
    assert.match(await ask(twin), /^TypeError (?:UND_ERR_SOCKET|ECONNRESET)/);
    assert.match(await ask(twin), /^TimeoutError/);
    // The one for another method waits.
    assert.equal(await ask(twin), "200");
    assert.equal(twin.base.state.list(FAULTS).length, 1);
  });

  test("an expired token is refused by the service, and the SDK's next one is not", async (t) => {
    const twin = await runningTwin(t);
    add(twin, { status: "expired-token" });
    const said = await runInTwin(
      twin,
      `import { DefaultAzureCredential } from "@azure/identity";
       const scope = "https://management.azure.com/.default";
       for (let i = 0; i < 2; i += 1) {
         const { token } = await new DefaultAzureCredential().getToken(scope);
         const answer = await fetch("https://management.azure.com/subscriptions?api-version=2022-12-01",
           { headers: { authorization: "Bearer " + token } });
         console.log(answer.status);
       }`,
    );
    assert.equal(said.stdout, "401\n200\n", said.stderr);
  });
});
