import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createPrivateKey, randomUUID } from "node:crypto";
import { before, describe, test } from "node:test";
import { SignJWT } from "jose";
import {
  FEDERATION_AUDIENCE,
  issueServiceAccountToken,
} from "../../src/twin/entra/service-account.ts";
import { createTwinAuthority } from "../../src/twin/authority.ts";
import { createEntraDouble } from "../../src/twin/entra/entra-double.ts";
import { managedIdentityEnvironment, ownerTokenFile } from "../../src/twin/environment.ts";
import {
  addPrincipal,
  newPrincipal,
  OWNER_ISSUER,
  OWNER_SUBJECT,
  storedSecret,
} from "../../src/twin/first-start.ts";
import { createSigningKey, openSigningKey } from "../../src/twin/signing-key.ts";
import { OIDC_ISSUERS } from "../../src/twin/state-kinds.ts";
import type { Twin } from "../../src/twin/start.ts";
import { runInTwin, runningTwin } from "./running.ts";

const SECRET = "a secret of a test, ~8Q";
const OTHER_ISSUER = "https://eastus.oic.prod-aks.azure.com/other/";

let twin: Twin & { readonly log: string[] };
let clientId = "";

before(async (context) => {
  assert.ok("after" in context);
  twin = await runningTwin(context);
  const { state } = twin.base;
  const made = newPrincipal({ tenantId: twin.tenantId, displayName: "job" });
  clientId = made.clientId;
  state.put(OIDC_ISSUERS, OTHER_ISSUER, { issuer: OTHER_ISSUER, ...(await createSigningKey()) });
  addPrincipal(state, {
    ...made,
    secrets: [storedSecret(SECRET, Date.now() + 60_000), storedSecret("old", Date.now() - 1)],
    federatedCredentials: [
      { issuer: OWNER_ISSUER, subject: OWNER_SUBJECT, audiences: [FEDERATION_AUDIENCE] },
    ],
  });
});

/** Posts to the token endpoint. */
async function askToken(
  form: Readonly<Record<string, string>>,
  tenant = twin.tenantId,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const { state, clock, log } = twin.base;
  const key = await openSigningKey(state, "entra");
  const app = createEntraDouble({ state, key, clock, log, issuesExpired: () => false });
  const response = await app.request(`/${tenant}/oauth2/v2.0/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({
      grant_type: "client_credentials",
      client_id: clientId,
      scope: "https://vault.azure.net/.default",
      ...form,
    }).toString(),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async function assertionWith(changes: {
  readonly issuer?: string;
  readonly subject?: string;
  readonly audience?: string;
  readonly expiresMs?: number;
}): Promise<Readonly<Record<string, string>>> {
  const nowMs = Date.now();
  const token = await issueServiceAccountToken(twin.base.state, {
    issuer: OWNER_ISSUER,
    subject: OWNER_SUBJECT,
    audience: FEDERATION_AUDIENCE,
    nowMs: nowMs - 120_000,
    expiresMs: nowMs + 60_000,
    ...changes,
  });
  return { client_assertion_type: JWT_BEARER, client_assertion: token };
}

describe("official credentials, unmodified, through the proxy", () => {
  test("T256: official credentials get tokens that no Azure takes: another issuer, and a mark", async () => {
    const said = await runInTwin(
      twin,
      `import { ClientSecretCredential, DefaultAzureCredential, WorkloadIdentityCredential } from "@azure/identity";
       const claims = ({ token }) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
       const scope = "https://vault.azure.net/.default";
       const tenant = process.env.AZURE_TENANT_ID;
       for (const credential of [
         new WorkloadIdentityCredential(),
         new DefaultAzureCredential(),
         new ClientSecretCredential(tenant, process.env.CLIENT, process.env.SECRET),
       ]) console.log(JSON.stringify(claims(await credential.getToken(scope))));`,
      { CLIENT: clientId, SECRET },
    );
    assert.equal(said.code, 0, said.stderr);
    const [workload, first, secret] = said.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const claims of [workload, first, secret]) {
      assert.deepEqual(claims?.["ppml"], { simulated: true });
      assert.equal(claims?.["iss"], `https://sts.simulation.invalid/${twin.tenantId}/`);
      assert.equal(claims?.["aud"], "https://vault.azure.net");
      assert.equal(claims?.["tid"], twin.tenantId);
    }
    assert.equal(workload?.["appid"], twin.environment["AZURE_CLIENT_ID"]);
    assert.equal(first?.["appid"], twin.environment["AZURE_CLIENT_ID"]);
    assert.equal(secret?.["appid"], clientId);
  });

  test("a managed identity gets a token by App Service's endpoint, and not without its header", async () => {
    const identity = addPrincipal(twin.base.state, {
      ...newPrincipal({ tenantId: twin.tenantId, displayName: "identity" }),
      kind: "managed-identity",
      resourceId:
        "/subscriptions/x/resourceGroups/y/providers/Microsoft.ManagedIdentity/userAssignedIdentities/z",
    });
    const program = `import { ManagedIdentityCredential } from "@azure/identity";
      const { token } = await new ManagedIdentityCredential({ clientId: process.env.AZURE_CLIENT_ID })
        .getToken("https://storage.azure.com/.default");
      console.log(JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString()).oid);`;
    const { clientId: id } = identity;
    const asIdentity = (identityHeader: string): Pick<Twin, "environment"> => ({
      environment: managedIdentityEnvironment(twin.environment, {
        clientId: id,
        running: { ...twin.running, identityHeader },
      }),
    });
    const good = await runInTwin(asIdentity(twin.running.identityHeader), program);
    assert.equal(good.stdout.trim(), identity.objectId, good.stderr);
    const bad = await runInTwin(asIdentity("00"), program);
    assert.notEqual(bad.code, 0);
  });

  test("the owner's federated token is in a file of mode 0600 and in no variable", () => {
    const file = ownerTokenFile(twin.base.folder);
    const token = readFileSync(file, "utf8");
    assert.equal(twin.environment["AZURE_FEDERATED_TOKEN_FILE"], file);
    for (const value of Object.values(twin.environment)) assert.ok(!value.includes(token));
    assert.equal(twin.environment["AZURE_CLIENT_SECRET"], undefined);
  });
});

describe("what Entra ID's double refuses", () => {
  test("a good secret and a good assertion are not refused", async () => {
    assert.equal((await askToken({ client_secret: SECRET })).status, 200);
    assert.equal((await askToken(await assertionWith({}))).status, 200);
  });

  const refusals: readonly [
    string,
    number,
    () => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>,
  ][] = [
    ["a wrong secret", 7000215, () => ({ client_secret: "wrong" })],
    ["an expired secret", 7000222, () => ({ client_secret: "old" })],
    ["no credential", 7000218, () => ({})],
    ["an unknown application", 700016, () => ({ client_secret: SECRET, client_id: randomUUID() })],
    [
      "an unknown resource",
      500011,
      () => ({ client_secret: SECRET, scope: "https://example.com/.default" }),
    ],
    [
      "a scope that is no resource's default",
      70011,
      () => ({ client_secret: SECRET, scope: "openid" }),
    ],
    ["a grant for users", 70003, () => ({ grant_type: "password", username: "u", password: "p" })],
    ["another issuer", 700211, () => assertionWith({ issuer: OTHER_ISSUER })],
    [
      "another subject",
      700213,
      () => assertionWith({ subject: "system:serviceaccount:twin:other" }),
    ],
    [
      "a subject in other letters",
      700213,
      () => assertionWith({ subject: OWNER_SUBJECT.toUpperCase() }),
    ],
    ["another audience", 700212, () => assertionWith({ audience: "api://other" })],
    ["an expired assertion", 700024, () => assertionWith({ expiresMs: Date.now() - 1000 })],
    [
      "an assertion that is no JWT",
      700027,
      () => ({ client_assertion_type: JWT_BEARER, client_assertion: "a.b.c" }),
    ],
    [
      "an assertion signed by another key",
      700027,
      async () => {
        const { privateKeyPem } = await createSigningKey();
        const token = await new SignJWT({})
          .setProtectedHeader({ alg: "RS256" })
          .setIssuer(OWNER_ISSUER)
          .setSubject(OWNER_SUBJECT)
          .setAudience(FEDERATION_AUDIENCE)
          .setExpirationTime("5m")
          .sign(createPrivateKey(privateKeyPem));
        return { client_assertion_type: JWT_BEARER, client_assertion: token };
      },
    ],
  ];
  for (const [what, code, form] of refusals)
    test(`${what} is refused with AADSTS${code}`, async () => {
      const { status, body } = await askToken(await form());
      assert.ok(status === 400 || status === 401);
      assert.deepEqual(body["error_codes"], [code]);
      assert.match(String(body["error_description"]), new RegExp(`^AADSTS${code}: `));
      assert.equal("access_token" in body, false);
    });

  test("another tenant is refused", async () => {
    const { status, body } = await askToken({ client_secret: SECRET }, randomUUID());
    assert.equal(status, 400);
    assert.deepEqual(body["error_codes"], [90002]);
  });

  test("an SDK says what the double said", async () => {
    const said = await runInTwin(
      twin,
      `import { ClientSecretCredential } from "@azure/identity";
       await new ClientSecretCredential(process.env.AZURE_TENANT_ID, process.env.CLIENT, "wrong")
         .getToken("https://vault.azure.net/.default").catch((error) => console.log(error.message));`,
      { CLIENT: clientId },
    );
    assert.match(said.stdout, /AADSTS7000215/, said.stderr);
  });
});

describe("what a service of the double is told of a token", () => {
  test("its principal, for its own audience alone, while it is in time and exists", async () => {
    const { body } = await askToken({ client_secret: SECRET });
    const authorization = `Bearer ${String(body["access_token"])}`;
    const { authority, state } = twin.base;
    const audiences = ["https://vault.azure.net"];
    const principal = await authority.principalOf({ authorization }, audiences);
    assert.equal(principal?.applicationId, clientId);
    assert.equal(
      await authority.principalOf({ authorization }, ["https://storage.azure.com"]),
      null,
    );
    assert.equal(await authority.principalOf({ authorization: undefined }, audiences), null);
    assert.equal(
      await authority.principalOf({ authorization: `${authorization}x` }, audiences),
      null,
    );
    const later = createTwinAuthority({
      state,
      key: await openSigningKey(state, "entra"),
      clock: () => Date.now() + 3_601_000,
    });
    assert.equal(await later.principalOf({ authorization }, audiences), null);
  });
});
