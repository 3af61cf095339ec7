import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { Secret } from "../../src/base/index.ts";
import type { WrappedLocalKey } from "../../src/format/kek.ts";
import { openSealedFile } from "../../src/open/open-file.ts";
import { sealFileTo } from "../../src/seal/seal-file.ts";
import { openAzureStore } from "../../src/store/azure/azure-store.ts";
import { makeFilesystem } from "../../src/store/azure/file-system.ts";
import { tokenAccess } from "../../src/store/azure/token-access.ts";
import { parseAbfsUri } from "../../src/store/azure/uri.ts";
import { openLocalSource } from "../../src/store/index.ts";
import type { Store } from "../../src/store/index.ts";
import { ownerTokenFile } from "../../src/twin/environment.ts";
import type { Twin } from "../../src/twin/start.ts";
import { makeScratch } from "../compute/fixture.ts";
import { makeAccount } from "../twin/adls/account.ts";
import { runInTwin, runningTwin } from "../twin/running.ts";

const HERE = join(import.meta.dirname, "hadoop");
const ACCOUNT = "lake1";
const LAKE = `abfss://data@${ACCOUNT}.dfs.core.windows.net`;
const CONTENT = new Uint8Array(20_000_000).map((_, i) => (i * 31) % 251);
const DATASET_ID = "5a".repeat(16);
const WRAPPED: WrappedLocalKey = {
  id: Buffer.alloc(16, 1).toString("base64url"),
  kekId: "test",
  kekVersion: "0".repeat(32),
  wrapped: Buffer.alloc(384, 2).toString("base64url"),
};

const scratch = makeScratch();
let twin: Twin & { readonly log: string[] };
let store: Store;
before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  makeAccount(twin, { account: ACCOUNT, sharedKey: false });
  const access = await accessOfOwner();
  await makeFilesystem(parseAbfsUri(LAKE), access);
  store = openAzureStore(LAKE, access);
});
after(() => scratch[Symbol.dispose]());

/** The login of the twin's owner, in this process: a token, the proxy and the double's CA. */
async function accessOfOwner() {
  const { stdout, stderr } = await runInTwin(
    twin,
    `import { DefaultAzureCredential } from "@azure/identity";
     const { token } = await new DefaultAzureCredential().getToken("https://storage.azure.com/.default");
     console.log(token);`,
  );
  assert.match(stdout, /^ey/, stderr);
  const certificates = [readFileSync(twin.environment["NODE_EXTRA_CA_CERTS"] ?? "", "utf8")];
  const proxy = { host: "http://127.0.0.1", port: twin.running.proxyPort };
  const expiresMs = Date.now() + 600_000;
  return tokenAccess({ token: stdout.trim(), expiresMs, network: { proxy, certificates } });
}

/** Hadoop's jars, fetched once by the pom and kept. */
function hadoopJars(): string {
  const pom = readFileSync(join(HERE, "pom.xml"));
  const version = createHash("sha256").update(pom).digest("hex").slice(0, 16);
  const folder = join(homedir(), ".cache", "ppml", `hadoop-abfs-${version}`);
  if (existsSync(folder)) return folder;
  const made = `${folder}.${process.pid}`;
  mkdirSync(made, { recursive: true });
  const { status, stdout } = spawnSync(
    "mvn",
    [
      "-q",
      "-B",
      "-f",
      join(HERE, "pom.xml"),
      "dependency:copy-dependencies",
      `-DoutputDirectory=${made}`,
    ],
    { encoding: "utf8" },
  );
  assert.equal(status, 0, stdout);
  if (existsSync(folder)) rmSync(made, { recursive: true });
  else renameSync(made, folder);
  return folder;
}

/** A trust store with the double's CA alone. */
function trustStore(): string {
  const path = join(scratch.path, "trust.p12");
  if (existsSync(path)) return path;
  const ca = twin.environment["NODE_EXTRA_CA_CERTS"] ?? "";
  const { status, stderr } = spawnSync(
    "keytool",
    [
      "-importcert",
      "-noprompt",
      "-alias",
      "twin",
      "-file",
      ca,
      "-keystore",
      path,
      "-storetype",
      "PKCS12",
      "-storepass",
      "changeit",
    ],
    { encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  return path;
}

/** Runs the program on Hadoop's driver, by OAuth with the twin's federated token. */
async function hadoop(...args: readonly string[]): Promise<string> {
  const { tenantId } = twin;
  const settings = {
    "fs.azure.account.auth.type": "OAuth",
    "fs.azure.account.oauth.provider.type":
      "org.apache.hadoop.fs.azurebfs.oauth2.WorkloadIdentityTokenProvider",
    "fs.azure.account.oauth2.msi.tenant": tenantId,
    "fs.azure.account.oauth2.client.id": twin.environment["AZURE_CLIENT_ID"] ?? "",
    "fs.azure.account.oauth2.token.file": ownerTokenFile(twin.base.folder),
    "fs.azure.account.hns.enabled": "true",
    "fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
    "fs.azure.io.retry.max.retries": "2",
  };
  const child = spawn(
    "java",
    [
      "-Dhttps.proxyHost=127.0.0.1",
      `-Dhttps.proxyPort=${twin.running.proxyPort}`,
      `-Djavax.net.ssl.trustStore=${trustStore()}`,
      "-Djavax.net.ssl.trustStorePassword=changeit",
      "-cp",
      join(hadoopJars(), "*"),
      join(HERE, "AbfsFiles.java"),
      ...args,
      ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  assert.equal(code, 0, `${stderr}\n${twin.log.slice(-5).join("\n")}`);
  return stdout;
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("Hadoop's ABFS driver, unmodified, over OAuth", () => {
  test("lists and reads what we uploaded, byte for byte", async () => {
    await store.put("plain/a b/ü.bin", [CONTENT]);
    await store.put("plain/small", [Buffer.from("a small object\n")]);
    const lines = (await hadoop("list", `${LAKE}/plain`)).trim().split("\n").sort();
    assert.deepEqual(lines, [
      `15 ${sha256(Buffer.from("a small object\n"))} /plain/small`,
      `20000000 ${sha256(CONTENT)} /plain/a b/ü.bin`,
    ]);
  });

  test("copies a sealed file by its own writes, and the copy opens", async () => {
    using key = Secret.take(new Uint8Array(32).fill(7));
    const path = join(scratch.path, "input");
    writeFileSync(path, CONTENT);
    await using plaintext = await openLocalSource(path, { name: "input", followLink: false });
    const sealed = await sealFileTo(
      { store, name: "sealed/original" },
      { plaintext, datasetId: DATASET_ID, localKey: { key, wrapped: WRAPPED } },
    );
    const said = await hadoop("copy", `${LAKE}/sealed/original`, `${LAKE}/sealed/copy`);
    assert.equal(Number(said), sealed.length);
    await using source = await store.source("sealed/copy");
    const opened = await openSealedFile({
      source,
      localKeyFor: () => key,
      expected: { ...sealed, datasetId: DATASET_ID },
    });
    const hash = createHash("sha256");
    for await (const chunk of opened.stream()) hash.update(chunk);
    assert.equal(hash.digest("hex"), sha256(CONTENT));
  });
});
