import { generateKeyPairSync, randomBytes } from "node:crypto";
import { CompactEncrypt, CompactSign } from "jose";
import {
  concatBytes,
  fromUtf8,
  PpmlError,
  sha256,
  toBase64Url,
  toHex,
  toTimestamp,
  utf8,
} from "../../src/base/index.ts";
import { parseProject } from "../../src/cli/config/parse.ts";
import { peopleTemplate } from "../../src/cli/templates/people.ts";
import { quickstartTemplate } from "../../src/cli/templates/quickstart.ts";
import { projectHead } from "../../src/cli/templates/template.ts";
import {
  encodeGrantBundle,
  type Grant,
  GRANT_JWE_TYPE,
  GRANT_JWS_TYPE,
  parseGrantBundle,
  type ReleaseKey,
} from "../../src/format/grant.ts";
import { encodeJcs, parseCanonicalJson, parseJson } from "../../src/format/jcs.ts";
import { jobSchema } from "../../src/format/job.ts";
import { ecPublicJwkOf, ecPublicKeyOf, jwkThumbprint } from "../../src/format/jwk.ts";
import { checkManifest, manifestSchema } from "../../src/format/manifest.ts";
import {
  ownerReleaseRequestSchema,
  receiptRequestSchema,
  releaseRequestSchema,
  releaseResponseSchema,
  signedObjectRequestSchema,
} from "../../src/format/protocol.ts";
import { parseWith } from "../../src/format/schema.ts";
import { parseEnvelope, signObject, verifyObject } from "../../src/format/signed-object.ts";
import { openGrant } from "../../src/open/open-grant.ts";
import { parseReceiptFile, verifyReceiptFile } from "../../src/receipt/index.ts";
import { parsePolicyFile } from "../../src/release/policy.ts";
import { evaluateSkr } from "../../src/release/skr/evaluate-skr.ts";
import { parseSkrPolicy } from "../../src/format/skr/skr-policy.ts";
import {
  applyPolicy,
  type Fixture,
  jobOf,
  makeFixture,
  manifestOf,
  newSigningKey,
  NOW_MS,
  policyOf,
  requestOf,
} from "../../test/broker/fixture.ts";
import { granted, receiptRequest } from "../../test/broker/result-sample.ts";
import { type FuzzTarget, parses } from "./target.ts";

type Sample = {
  readonly policy: unknown;
  readonly job: unknown;
  readonly manifest: unknown;
  readonly request: unknown;
  readonly receipt: Awaited<ReturnType<typeof receiptRequest>>;
  readonly simulationRoot: Uint8Array;
  readonly owner: Fixture["owner"];
};

/** One of each message, as a broker and a TEE really exchange them. */
async function makeSample(): Promise<Sample> {
  const fixture = await makeFixture();
  try {
    const policy = policyOf(fixture);
    await applyPolicy(fixture, policy);
    const { request } = await requestOf(fixture);
    const receipt = await receiptRequest(fixture, await granted(fixture));
    const job = jobOf(fixture);
    const manifest = manifestOf(fixture);
    const { simulationRoot, owner } = fixture;
    return { policy, job, manifest, request, receipt, simulationRoot, owner };
  } finally {
    await fixture.dispose();
  }
}

/** A target whose input is JSON: the seeds are values of the sample. */
function json(
  name: string,
  seeds: (sample: Sample) => readonly unknown[],
  run: (value: unknown) => unknown,
): FuzzTarget {
  return parses(
    name,
    async () => seeds(await makeSample()).map((value) => encodeJcs(value)),
    (input) => run(parseJson(input)),
  );
}

const WIRE = [
  releaseRequestSchema,
  receiptRequestSchema,
  ownerReleaseRequestSchema,
  releaseResponseSchema,
  signedObjectRequestSchema,
];

/** JSON in all its roles: canonical JSON, signed objects, messages, grants, policies, ppml.yaml. */
export const MESSAGE_TARGETS: readonly FuzzTarget[] = [
  parses(
    "jcs",
    async () => Object.values(await makeSample()).flatMap((value) => safeJcs(value)),
    (input) => {
      const value = parseCanonicalJson(input);
      const again = encodeJcs(value);
      if (fromUtf8(again) !== fromUtf8(input)) throw new Error("canonical JSON has another form");
      return again;
    },
  ),
  json(
    "job",
    ({ job }) => [job],
    (value) => parseWith(jobSchema, value, { what: "job" }),
  ),
  json(
    "manifest",
    ({ manifest }) => [manifest],
    (value) => {
      const manifest = parseWith(manifestSchema, value, { what: "manifest" });
      checkManifest(manifest);
      return manifest;
    },
  ),
  json("policy", ({ policy }) => [policyFileOf(policy)], parsePolicyFile),
  json(
    "skr-policy",
    ({ policy }) => [releaseOf(policy)],
    (value) => {
      const policy = parseSkrPolicy(value);
      return evaluateSkr(policy, { authority: "https://issuer", claims: { a: { b: 1 } } });
    },
  ),
  // Every schema sees every message: at least one has to refuse it by itself.
  json(
    "wire-messages",
    ({ request, receipt }) => [request, receipt],
    (value) => {
      const outcomes = WIRE.map((schema) => schema.safeParse(value).success);
      if (!outcomes.includes(true)) throw new PpmlError("format.invalid", "no message");
      return outcomes;
    },
  ),
  {
    name: "signed-object",
    prepare: async () => {
      const { job, owner } = await makeSample();
      const seeds = [1, 2].map((version) =>
        encodeJcs(signObject("job", { ...(job as object), name: `job-${version}` }, owner)),
      );
      return {
        seeds,
        promise: "authentic",
        run: (input) =>
          verifyObject({
            kind: "job",
            schema: jobSchema,
            envelope: parseEnvelope(parseJson(input)),
            signers: [owner.publicJwk],
          }).payload,
      };
    },
  },
  {
    name: "receipt",
    prepare: async () => {
      const { receipt, simulationRoot } = await makeSample();
      return {
        seeds: [encodeJcs({ v: 1, receipt: receipt.receipt, inclusion: null })],
        promise: "authentic",
        run: async (input) => {
          const file = parseReceiptFile(parseJson(input));
          const report = await verifyReceiptFile({
            file,
            roots: { logKey: null, simulationRoot, maaProviders: [], appraisal: null },
            nowMs: NOW_MS,
          });
          // Not accepted is a verdict, and as good as a refusal here.
          if (!report.accepted) throw new PpmlError("receipt.invalid", "not accepted");
          return file.receipt.payload;
        },
      };
    },
  },
  { name: "grant", prepare: prepareGrant },
  parses(
    "grant-bundle",
    () => {
      const certificate = signObject(
        "release-key",
        releaseKeyOf(newSigningKey().publicJwk),
        newSigningKey(),
      );
      return [encodeGrantBundle({ certificate, jws: "a.b.c" }, new Uint8Array(64))];
    },
    parseGrantBundle,
  ),
  parses(
    "project-file",
    () =>
      [quickstartTemplate(), peopleTemplate(3)].map(({ sections }) =>
        utf8(projectHead({ name: "demo", mode: "simulation", root: "file" }) + sections),
      ),
    // As the loader does: text that is not UTF-8 is refused before it is parsed.
    (input) => parseProject(Buffer.from(input).toString("utf8"), "ppml.yaml"),
  ),
];

function safeJcs(value: unknown): readonly Uint8Array[] {
  return value !== null &&
    typeof value === "object" &&
    !("privateKey" in value) &&
    !(value instanceof Uint8Array)
    ? [encodeJcs(value)]
    : [];
}

function policyFileOf(policy: unknown): unknown {
  const { version: _, ...file } = policy as Record<string, unknown>;
  return file;
}

function releaseOf(policy: unknown): unknown {
  return (policy as { readonly release: unknown }).release;
}

function releaseKeyOf(jwk: ReleaseKey["jwk"]): ReleaseKey {
  const notBefore = toTimestamp(NOW_MS - 1000);
  return { v: 1, mode: "simulation", jwk, notBefore, notAfter: toTimestamp(NOW_MS + 86_400_000) };
}

/** A JWE as the broker makes it; what is taken out of it is the grant and the keys. */
async function prepareGrant(): ReturnType<FuzzTarget["prepare"]> {
  const [root, releaseKey] = [newSigningKey(), newSigningKey()];
  const recipientKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const recipient = ecPublicJwkOf(recipientKey);
  const keys = new Uint8Array(32).fill(1);
  const expected = {
    nonce: toBase64Url(randomBytes(32)),
    requestKind: "job" as const,
    requestDigest: "ab".repeat(32),
    mode: "simulation" as const,
  };
  const grant: Grant = {
    v: 1,
    mode: "simulation",
    nonce: expected.nonce,
    request: { kind: "job", digest: expected.requestDigest },
    policy: { name: "analysis", digest: "cd".repeat(32) },
    recipient: jwkThumbprint(recipient),
    keys: [{ id: toBase64Url(randomBytes(16)), kekId: "kek:a", kekVersion: "00".repeat(16) }],
    keysDigest: toHex(sha256(keys)),
    floors: [],
    logIndex: 3,
    issuedAt: toTimestamp(NOW_MS),
    expiresAt: toTimestamp(NOW_MS + 300_000),
  };
  const jws = await new CompactSign(encodeJcs(grant))
    .setProtectedHeader({ alg: "ES256", kid: releaseKey.keyId, typ: GRANT_JWS_TYPE })
    .sign(releaseKey.privateKey);
  const certificate = signObject("release-key", releaseKeyOf(releaseKey.publicJwk), root);
  const jwe = await new CompactEncrypt(encodeGrantBundle({ certificate, jws }, keys))
    .setProtectedHeader({
      alg: "ECDH-ES+A256KW",
      enc: "A256GCM",
      kid: grant.recipient,
      typ: GRANT_JWE_TYPE,
    })
    .encrypt(ecPublicKeyOf(recipient));
  return {
    seeds: [utf8(jwe)],
    promise: "authentic",
    run: async (input) => {
      using opened = await openGrant({
        jwe: Buffer.from(input).toString("latin1"),
        recipientKey,
        releaseRoot: root.publicJwk,
        expected,
        nowMs: NOW_MS,
      });
      const released = [...opened.keys.values()].map((key) =>
        key.expose((bytes) => Uint8Array.from(bytes)),
      );
      return concatBytes(encodeJcs(opened.grant), ...released);
    },
  };
}
