import { Hono } from "hono";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Clock } from "../../base/index.ts";
import { certsOf } from "./authority.ts";
import type { MaaAuthority } from "./authority.ts";
import { invalidParameter, MaaRefusal } from "./refusal.ts";
import { parseAttestRequest } from "./request.ts";
import type { EvidenceVerifier } from "./snp.ts";
import { issueMaaToken } from "./token.ts";

const MAX_BODY_BYTES = 2 * 1024 * 1024;
const API_VERSIONS = ["2020-10-01", "2022-08-01", "2025-06-01"];
const KINDS = ["SevSnpVm", "TdxVm", "SgxEnclave"] as const;

/** The verifier of each kind of Evidence; null where the simulation makes none. */
export type MaaVerifiers = Readonly<Record<(typeof KINDS)[number], EvidenceVerifier | null>>;

/** What the double runs on. */
export type MaaDoubleOptions = {
  readonly authority: MaaAuthority;
  readonly verifiers: MaaVerifiers;
  readonly clock: Clock;
  /** Gives that many random bytes. */
  readonly random: (length: number) => Uint8Array;
  /** Told of the double's own failures, which are answered with a bare 500. */
  readonly onFailure: (error: unknown) => void;
};

/**
 * A local double of Microsoft Azure Attestation: MAA's routes, rules and forms over simulated
 * Evidence. It verifies for real; what it lacks is hardware, and its tokens say so.
 * @see azure-rest-api-specs, attestation 2025-06-01, routes; docs/attestation.md
 */
export function createMaaDouble(options: MaaDoubleOptions): Hono {
  const { authority } = options;
  const app = new Hono();
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new MaaRefusal(413, "RequestBodyTooLarge", { message: "the request is too large" });
      },
    }),
  );
  app.get("/certs", (c) => c.json(certsOf(authority)));
  app.get("/.well-known/openid-configuration", (c) => c.json(configurationOf(authority.issuer)));
  for (const kind of KINDS)
    app.post(`/attest/${kind}`, async (c) => c.json({ token: await attest(c, kind, options) }));
  app.notFound((c) => {
    const message = `there is no ${c.req.method} ${c.req.path.slice(0, 100)}`;
    return c.json(new MaaRefusal(404, "NotFound", { message }).body(), 404);
  });
  app.onError((error, c) => {
    if (error instanceof MaaRefusal) return c.json(error.body(), error.status);
    options.onFailure(error);
    const body = { error: { code: "InternalServerError", message: "the double failed" } };
    return c.json(body, 500);
  });
  return app;
}

async function attest(
  c: Context,
  kind: (typeof KINDS)[number],
  options: MaaDoubleOptions,
): Promise<string> {
  requireApiVersion(c.req.query("api-version"));
  const request = parseAttestRequest(kind, new Uint8Array(await c.req.arrayBuffer()));
  const verify = options.verifiers[kind];
  if (verify === null)
    throw invalidParameter(`${kind}: the simulation makes no Evidence of this kind`);
  const nowMs = options.clock();
  return issueMaaToken({
    authority: options.authority,
    request,
    attested: verify(request.evidence, nowMs),
    random: options.random(32),
    nowMs,
  });
}

/** @see Microsoft Azure REST API Guidelines, "API versioning" */
function requireApiVersion(version: string | undefined): void {
  if (version === undefined)
    throw new MaaRefusal(400, "MissingApiVersionParameter", {
      message: "The api-version query parameter (?api-version=) is required for all requests.",
    });
  if (!API_VERSIONS.includes(version))
    throw new MaaRefusal(400, "UnsupportedApiVersionValue", {
      message: `Unsupported api-version '${version.slice(0, 20)}'. The supported api-versions are '${API_VERSIONS.join("', '")}'.`,
    });
}

function configurationOf(issuer: string): Readonly<Record<string, unknown>> {
  return {
    issuer,
    jwks_uri: `${issuer}/certs`,
    response_types_supported: ["token", "none"],
    id_token_signing_alg_values_supported: ["RS256"],
    claims_supported: [
      "exp",
      "iat",
      "iss",
      "jti",
      "nbf",
      "nonce",
      "x-ms-attestation-type",
      "x-ms-inittime",
      "x-ms-policy-hash",
      "x-ms-runtime",
      "x-ms-ver",
      "ppml",
    ],
  };
}
