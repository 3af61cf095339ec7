import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMaaJwksSource } from "../../../src/attest/collateral/maa-jwks.ts";
import { createSimulationPki } from "../../../src/attest/sim/pki.ts";
import { simulatedPlatformOf } from "../../../src/attest/sim/platform.ts";
import { verifySimulatedMaaToken } from "../../../src/attest/sim/verify-sim-maa.ts";
import { parseCompactJws } from "../../../src/attest/token/compact-jws.ts";
import { maaSigningKey } from "../../../src/attest/verify/maa-jwks.ts";
import { verifyMaaToken } from "../../../src/attest/verify/maa-token.ts";
import { parseCertificate } from "../../../src/attest/x509/certificate.ts";
import { ECDSA_P384_SHA384, verifyChain } from "../../../src/attest/x509/chain.ts";
import { sha256, toBase64Url, toHex, utf8 } from "../../../src/base/index.ts";
import { createMaaAuthority } from "../../../src/twin/maa/authority.ts";
import { createMaaDouble } from "../../../src/twin/maa/maa-double.ts";
import { policyHashOf } from "../../../src/twin/maa/token.ts";
import { measurement, NOW_MS } from "../../attest/fixture.ts";
import {
  app,
  authority,
  demandsOf,
  evidenceOf,
  failures,
  goodBody,
  hostData,
  ISSUER,
  post,
  reportOf,
  runtimeBytes,
} from "./fixture.ts";
import type { Json } from "./fixture.ts";

const tokenOf = async (body: Json = goodBody): Promise<string> => {
  const { status, json } = await post(body);
  assert.equal(status, 200, JSON.stringify(json));
  assert.deepEqual(Object.keys(json), ["token"]);
  return String(json["token"]);
};

const refuses = async (body: unknown, expected: RegExp, path?: string): Promise<void> => {
  const { status, json } = await post(body, path);
  assert.equal(status, 400);
  assert.deepEqual(Object.keys(json), ["error"], "MAA's body of errors");
  const { code, message } = json["error"] as { code: string; message: string };
  assert.equal(code, "InvalidParameter");
  assert.match(message, expected);
};

const codeOf = async (
  path: string,
  init: RequestInit = { method: "POST", body: "{}" },
): Promise<[status: number, code: string]> => {
  const response = await app.request(path, init);
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code];
};

const padded = (text: string): string => text.padEnd(Math.ceil(text.length / 4) * 4, "=");

test("simulated Evidence gets a token that verifies where its issuer is pinned", async () => {
  const token = await tokenOf();
  const verified = await verifySimulatedMaaToken(token, await demandsOf());
  assert.deepEqual(
    { simulated: verified.simulated, profile: verified.profile },
    { simulated: true, profile: "sim" },
  );
  const { tee, issuer, nonce } = verified.evidence;
  assert.deepEqual({ issuer, nonce }, { issuer: ISSUER, nonce: "nonce-1" });
  assert.ok(tee.attestationType === "sevsnpvm");
  assert.deepEqual(tee.launchMeasurement, measurement);
  assert.deepEqual(tee.hostData, hostData);
  assert.equal(tee.debuggable, false);
  assert.deepEqual(tee.tcb, { bootloader: 10, tee: 0, snp: 23, microcode: 84 });
  const { providers, ...demands } = await demandsOf();
  const [provider] = providers;
  assert.ok(provider);
  for (const others of [[], [{ ...provider, issuer: "https://other.invalid" }]])
    await assert.rejects(verifySimulatedMaaToken(token, { ...demands, providers: others }), {
      code: "attest.not_verified",
      message: /got one of https:\/\/maa.simulation.invalid/,
    });
});

test("T88: production refuses the double's token by issuer, by claim and by key", async () => {
  const token = await tokenOf();
  const demands = await demandsOf();
  await assert.rejects(verifyMaaToken(token, demands), {
    code: "attest.not_verified",
    message: /expected a token of a provider in Azure/,
  });
  // Even under the issuer of a real provider, which the double cannot be given.
  const issuer = "https://sharedweu.weu.attest.azure.net";
  const payload = { ...parseCompactJws(token, "it").payload, iss: issuer };
  const resigned = await signAs({ ...authority, issuer }, payload);
  const providers = demands.providers.map((provider) => ({ ...provider, issuer }));
  await assert.rejects(verifyMaaToken(resigned, { ...demands, providers }), {
    code: "attest.simulated",
    message: /claim ppml/,
  });
  const unmarked = await signAs({ ...authority, issuer }, { ...payload, ppml: undefined });
  await assert.rejects(verifyMaaToken(unmarked, { ...demands, providers }), {
    code: "attest.simulated",
    message: /got one of a simulation/,
  });
  await assert.rejects(verifySimulatedMaaToken(resigned, { ...demands, providers }), {
    code: "attest.simulated",
  });
  await assert.rejects(
    verifySimulatedMaaToken(
      await signAs(authority, { ...payload, iss: ISSUER, ppml: { simulated: false } }),
      demands,
    ),
    { code: "attest.simulated" },
  );
});

test("the double cannot be given an issuer in Azure, or one that is no host", () => {
  for (const issuer of [
    "https://sharedweu.weu.attest.azure.net",
    "https://x.attest.azure.us",
    "https://vault.azure.net",
    "http://maa.invalid",
    "https://maa.invalid/",
    "maa",
  ])
    assert.throws(() => createMaaAuthority({ issuer, nowMs: NOW_MS }), { code: "attest.invalid" });
});

test("a token has MAA's header, names and eight hours", async () => {
  const { header, payload } = parseCompactJws(await tokenOf(), "it");
  assert.deepEqual(header, {
    alg: "RS256",
    jku: `${ISSUER}/certs`,
    kid: authority.keyId,
    typ: "JWT",
  });
  assert.equal(payload["iss"], ISSUER);
  assert.equal(Number(payload["exp"]) - Number(payload["iat"]), 28_800);
  assert.equal(payload["iat"], payload["nbf"]);
  assert.match(String(payload["jti"]), /^[0-9a-f]{64}$/);
  assert.equal(payload["x-ms-ver"], "1.0");
  assert.equal(payload["x-ms-sevsnpvm-launchmeasurement"], toHex(measurement));
  assert.deepEqual(payload["x-ms-runtime"], JSON.parse(new TextDecoder().decode(runtimeBytes)));
  assert.deepEqual(payload["ppml"], { simulated: true });
  assert.notEqual(
    payload["jti"],
    parseCompactJws(await tokenOf(), "it").payload["jti"],
    "each token has an id of its own",
  );
});

test("/certs has MAA's form, and the key's certificate chains to the marked root", async () => {
  const response = await app.request("/certs");
  const { keys } = (await response.json()) as { keys: { x5c: string[]; kid: string }[] };
  assert.deepEqual(Object.keys(keys[0] ?? {}).sort(), ["kid", "kty", "x5c"]);
  const [leaf, root] = authority.certificates.map((der) => parseCertificate(der));
  assert.ok(leaf && root);
  verifyChain({ certificates: [root, leaf], algorithm: ECDSA_P384_SHA384, nowMs: NOW_MS });
  for (const { commonName } of [leaf, root]) assert.match(commonName, /NOT HARDWARE/);
  const [provider] = (await demandsOf()).providers;
  assert.ok(provider);
  const find = (simulated: boolean) =>
    maaSigningKey({ jwks: provider.jwks, keyId: authority.keyId, simulated, nowMs: NOW_MS });
  assert.ok(find(true).equals(leaf.publicKey));
  assert.throws(() => find(false), { code: "attest.simulated" });
});

test("its keys are fetched by the same code as Azure's", async () => {
  const source = createMaaJwksSource({
    issuers: [ISSUER],
    cache: null,
    maxAgeMs: 1000,
    ports: {
      fetch: async (url, init) => app.request(new URL(url).pathname, init),
      now: () => NOW_MS,
      random: () => 0,
      pause: async () => undefined,
    },
  });
  assert.equal((await source.load(ISSUER, authority.keyId)).keys[0]?.kid, authority.keyId);
});

test("the discovery document names the issuer, its keys and RS256 alone", async () => {
  const response = await app.request("/.well-known/openid-configuration");
  const document = (await response.json()) as Json;
  assert.equal(document["issuer"], ISSUER);
  assert.equal(document["jwks_uri"], `${ISSUER}/certs`);
  assert.deepEqual(document["id_token_signing_alg_values_supported"], ["RS256"]);
});

describe("the double verifies for real", () => {
  test("a report with a flipped byte is refused", async () => {
    const wire = evidenceOf();
    const bytes = Buffer.from(wire.evidence, "base64url");
    for (const at of [0x50, 0x90, 0x2a0]) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const report = reportOf({ ...wire, evidence: toBase64Url(changed) });
      await refuses({ ...goodBody, report }, /not signed by the key/);
    }
  });
  test("Evidence of another simulation's chip is refused", async () => {
    const other = createSimulationPki({ nowMs: NOW_MS });
    const reportData = new Uint8Array(64);
    reportData.set(sha256(runtimeBytes));
    const wire = simulatedPlatformOf(other).attest({ measurement, reportData });
    await refuses({ ...goodBody, report: reportOf(wire) }, /is not signed by the key of/);
  });
  test("runtime data that the Evidence does not bind is refused", async () => {
    const data = toBase64Url(utf8('{"keys":[]}'));
    await refuses({ ...goodBody, runtimeData: { data, dataType: "JSON" } }, /runtimeData: its SHA/);
  });
  test("initial data is compared with the host data", async () => {
    const data = utf8("the policy of the container");
    const initTimeData = { data: toBase64Url(data), dataType: "Binary" };
    await tokenOf({ ...goodBody, initTimeData });
    const wrong = { data: toBase64Url(utf8("another")), dataType: "Binary" };
    await refuses({ ...goodBody, initTimeData: wrong }, /initTimeData: its SHA-256/);
  });
  test("certificates that are missing, too many, swapped or no PEM are refused", async () => {
    const wire = evidenceOf();
    const swapped = {
      ...wire,
      collateral: { ask: wire.collateral["vcek"] ?? "", vcek: wire.collateral["ask"] ?? "" },
    };
    await refuses({ ...goodBody, report: reportOf(swapped) }, /certificate/);
    for (const chain of ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n"]) {
      const VcekCertChain = toBase64Url(utf8(chain));
      await refuses({ ...goodBody, report: reportOf(wire, { VcekCertChain }) }, /PEM/);
    }
  });
});

test("a request with a draft policy gets an unsigned token, which nobody accepts", async () => {
  const policy = "version= 1.0; authorizationrules { => permit(); }; issuancerules { };";
  const token = await tokenOf({ ...goodBody, draftPolicyForAttestation: policy });
  const { header, payload, signature } = parseCompactJws(token, "it");
  assert.equal(header["alg"], "none");
  assert.equal(signature.byteLength, 0);
  assert.equal(payload["x-ms-policy-hash"], policyHashOf(policy));
  const demands = await demandsOf();
  const providers = demands.providers.map((provider) => ({
    ...provider,
    policy: { hashes: [policyHashOf(policy)] },
  }));
  await assert.rejects(verifySimulatedMaaToken(token, { ...demands, providers }), {
    code: "attest.not_verified",
    message: /got alg none/,
  });
});

test("the policy's hash is Azure's double encoding", () => {
  const policy = "version= 1.0;";
  const inner = Buffer.from(policy, "utf8").toString("base64url");
  assert.equal(policyHashOf(policy), toBase64Url(sha256(Buffer.from(inner, "ascii"))));
});

describe("a request that is not MAA's is refused with MAA's errors", () => {
  test("without an api-version, with an unknown one, and an unknown route", async () => {
    assert.deepEqual(await codeOf("/attest/SevSnpVm"), [400, "MissingApiVersionParameter"]);
    assert.deepEqual(await codeOf("/attest/SevSnpVm?api-version=1999"), [
      400,
      "UnsupportedApiVersionValue",
    ]);
    assert.deepEqual(await codeOf("/attest/Tpm?api-version=2025-06-01"), [404, "NotFound"]);
    assert.deepEqual(await codeOf("/attest/SevSnpVm", {}), [404, "NotFound"]);
  });
  test("bodies of no such form", async () => {
    const runtimeData = { data: toBase64Url(runtimeBytes), dataType: "JSON" };
    for (const [body, message] of [
      ["{", /not valid JSON/],
      ['{"report":"AA","report":"AA"}', /not valid JSON/],
      ["null", /expected object/],
      [{ runtimeData }, /report/],
      [{ ...goodBody, report: "***" }, /report/],
      [{ ...goodBody, report: "AB" }, /report is not base64url/],
      [{ ...goodBody, report: toBase64Url(utf8("no JSON")) }, /not valid JSON/],
      [{ ...goodBody, quote: "AA" }, /quote/],
      [{ ...goodBody, runtimeData: { ...runtimeData, dataType: "json" } }, /dataType/],
    ] as const)
      await refuses(body, message);
  });
  test("runtime data of type JSON that is no JSON object", async () => {
    for (const text of ["[]", "text", '{"a":1,"a":2}']) {
      const bytes = utf8(text);
      const body = {
        report: reportOf(evidenceOf(bytes)),
        runtimeData: { data: toBase64Url(bytes), dataType: "JSON" },
      };
      await refuses(body, /x-ms-runtime: the data of type JSON is not/);
    }
  });
  test("a body that is too large", async () => {
    const body = `{"report":"${"A".repeat(2 * 1024 * 1024)}"}`;
    assert.deepEqual(
      await codeOf("/attest/SevSnpVm?api-version=2025-06-01", { method: "POST", body }),
      [413, "RequestBodyTooLarge"],
    );
  });
  test("kinds that the simulation makes no Evidence of", async () => {
    for (const kind of ["TdxVm", "SgxEnclave"])
      await refuses(
        { quote: "AAAA" },
        /the simulation makes no Evidence of this kind/,
        `/attest/${kind}?api-version=2025-06-01`,
      );
  });
});

test("padded base64url is taken too, as from Azure's Go clients", async () => {
  const runtimeData = { data: padded(toBase64Url(runtimeBytes)), dataType: "JSON" };
  const wire = evidenceOf();
  const report = padded(reportOf({ ...wire, evidence: padded(wire.evidence) }));
  await tokenOf({ ...goodBody, report, runtimeData });
});

test("a failure of the double itself is told to its owner and answered with a bare 500", async () => {
  const broken = createMaaDouble({
    authority,
    verifiers: {
      SevSnpVm: () => {
        throw new TypeError("a fault of ours");
      },
      TdxVm: null,
      SgxEnclave: null,
    },
    clock: () => NOW_MS,
    random: (length) => new Uint8Array(length),
    onFailure: (error) => failures.push(error),
  });
  const response = await broken.request("/attest/SevSnpVm?api-version=2025-06-01", {
    method: "POST",
    body: JSON.stringify(goodBody),
  });
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /fault/);
  assert.match(String(failures.at(-1)), /a fault of ours/);
});

/** A token of other claims under an authority's key. */
async function signAs(signer: typeof authority, payload: Json): Promise<string> {
  const { CompactSign } = await import("jose");
  return new CompactSign(utf8(JSON.stringify(payload)))
    .setProtectedHeader({
      alg: "RS256",
      jku: `${signer.issuer}/certs`,
      kid: signer.keyId,
      typ: "JWT",
    })
    .sign(signer.privateKey);
}
