import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseProject } from "../../src/cli/config/parse.ts";
import { emptyTemplate } from "../../src/cli/templates/empty.ts";
import { projectHead } from "../../src/cli/templates/template.ts";
import { jwkOf, providerKey } from "../attest/maa-fixture.ts";
import { runInProcess, temporaryFolder } from "./ppml.ts";

const GOOD =
  projectHead({ name: "demo", mode: "production", root: "file" }) + emptyTemplate().sections;
const HASH = "A".repeat(43);
const pinned = (...providers: readonly string[]): string => {
  const state = "  state: .ppml/broker\n";
  assert.equal(GOOD.split(state).length, 2);
  const lines = providers.map((one) => `    - ${one}\n`).join("");
  return GOOD.replace(state, `${state}  maaProviders:\n${lines}`);
};

test("providers of MAA are pinned by issuer and policy, their keys fetched or in a file", () => {
  const config = parseProject(
    pinned(
      "{ issuer: https://sharedweu.weu.attest.azure.net, policy: shared-provider }",
      `{ issuer: https://contoso.weu.attest.azure.net, policy: [${HASH}], keysFile: certs.json }`,
    ),
    "f",
  );
  assert.deepEqual(config.broker.maaProviders, [
    { issuer: "https://sharedweu.weu.attest.azure.net", policy: "shared-provider" },
    { issuer: "https://contoso.weu.attest.azure.net", policy: [HASH], keysFile: "certs.json" },
  ]);
});

test("a provider that is not in Azure, not pinned by its policy, or pinned twice is refused", () => {
  const contoso = `{ issuer: https://contoso.weu.attest.azure.net, policy: [${HASH}] }`;
  for (const [provider, message] of [
    [`{ issuer: https://evil.example, policy: [${HASH}] }`, /issuer: expected a provider in Azure/],
    [contoso.replace(".net,", ".net/,"), /issuer: expected a provider in Azure/],
    [contoso.replace("https", "http"), /issuer: expected a provider in Azure/],
    ["{ issuer: https://contoso.weu.attest.azure.net }", /policy/],
    [contoso.replace(`[${HASH}]`, "any"), /policy/],
    [contoso.replace(HASH, "abc"), /SHA-256 in base64url/],
    [contoso.replace(`[${HASH}]`, "[]"), /policy/],
    [
      contoso.replace(`[${HASH}]`, "shared-provider"),
      /policy: this is none of Azure's shared providers.*pin its hash/,
    ],
    [contoso.replace("}", ", keys: x }"), /unknown key/],
    [contoso.replace("}", ", keysFile: ../certs.json }"), /inside the project's folder/],
  ] as const)
    assert.throws(() => parseProject(pinned(provider), "f"), { code: "config.invalid", message });
  assert.throws(() => parseProject(pinned(contoso, contoso), "f"), {
    code: "config.invalid",
    message: /maaProviders\[1\]\.issuer: this provider is pinned twice/,
  });
});

test("the broker starts with the providers of ppml.yaml, and not where their keys' file is missing", async (context) => {
  const cwd = temporaryFolder(context);
  assert.equal((await runInProcess(["init", "--template", "empty"], { cwd })).code, 0);
  const path = join(cwd, "ppml.yaml");
  const state = "  state: .ppml/broker\n";
  const provider = `{ issuer: https://contoso.weu.attest.azure.net, policy: [${HASH}], keysFile: certs.json }`;
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(state, `${state}  maaProviders:\n    - ${provider}\n`));
  const refused = await runInProcess(["audit", "tail", "--json"], { cwd });
  assert.equal(refused.code, 1);
  assert.match(
    refused.stdout,
    /"attest\.collateral"[^]*certs\.json cannot be read: there is no such file/,
  );
  const keys = [jwkOf(providerKey.publicKey)];
  writeFileSync(join(cwd, "certs.json"), JSON.stringify({ keys }));
  const started = await runInProcess(["audit", "tail", "--json"], { cwd });
  assert.equal(started.code, 0, started.stdout);
});
