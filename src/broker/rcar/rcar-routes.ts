import type { Context, Hono } from "hono";
import type { z } from "zod";
import { isPpmlError, PpmlError } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import { requireCocoTee } from "../../attest/evidence/coco-evidence.ts";
import { TRUSTEE_PROFILE } from "../../attest/ear/ear.ts";
import { verifyEar } from "../../attest/ear/verify-ear.ts";
import { ecPublicKeyOf } from "../../format/jwk.ts";
import { parseJson } from "../../format/jcs.ts";
import {
  RCAR_COOKIE,
  RCAR_HASH,
  RCAR_VERSION,
  rcarAttestSchema,
  rcarAuthSchema,
} from "../../format/rcar.ts";
import { resourcePathSchema } from "../../format/resource.ts";
import { parseWith } from "../../format/schema.ts";
import { sealResourceAnswer } from "../../release/seal-resource-answer.ts";
import type { BrokerState } from "../broker-state.ts";
import { refusalReason } from "../refusal-reason.ts";
import { attestGuest } from "./attest-guest.ts";
import { releaseResource } from "./release-resource.ts";
import { SESSION_TTL_SECONDS } from "./sessions.ts";

/** The paths of CoCo's key broker service begin so. */
export const RCAR_PREFIX = "/kbs/";

/** CoCo's errors are URIs of this prefix. @see CoCo Trustee, kbs/src/error.rs */
const ERROR_TYPE = "https://github.com/confidential-containers/kbs/errors";

const MAX_BODY_BYTES = { auth: 16 * 1024, attest: 4 * 1024 * 1024 } as const;
const MAX_TOKEN_CHARACTERS = 64 * 1024;

/**
 * Adds the routes of CoCo's RCAR handshake: /kbs/v0/auth, /attest and /resource/REPO/TYPE/TAG.
 * @see docs/protocol.md "RCAR"; CoCo Trustee, kbs/docs/kbs_attestation_protocol.md
 */
export function addRcarRoutes(app: Hono, state: BrokerState): void {
  const { mode } = state.db.identity;
  app.post("/kbs/v0/auth", async (c) => {
    const request = await body(c, rcarAuthSchema, MAX_BODY_BYTES.auth);
    requireVersion(request.version);
    requireCocoTee(request.tee, { simulated: mode === "simulation" });
    requireHash(request["extra-params"]);
    const { id, nonce } = state.sessions.open({
      tee: request.tee,
      nowMs: state.clock(),
      random: state.random,
    });
    c.header(
      "set-cookie",
      `${RCAR_COOKIE}=${id}; Path=/kbs; Max-Age=${SESSION_TTL_SECONDS}; Secure; HttpOnly; SameSite=Strict`,
    );
    return c.json({ nonce, "extra-params": { "selected-hash-algorithm": RCAR_HASH } });
  });
  app.post("/kbs/v0/attest", async (c) => {
    const sessionId = cookieOf(c);
    if (sessionId === null)
      throw new PpmlError("broker.session", `expected the cookie ${RCAR_COOKIE} of /kbs/v0/auth`);
    const attest = await body(c, rcarAttestSchema, MAX_BODY_BYTES.attest);
    return c.json({ token: await attestGuest(state, { sessionId, attest }) });
  });
  app.get("/kbs/v0/resource/:repo/:type/:tag", async (c) => {
    const path = pathOf(c);
    const guest = state.sessions.guestOf(await sessionOf(c, state), state.clock());
    const purpose = "resource for a guest";
    const deliver = sealResourceAnswer;
    return c.json(await releaseResource(state, { guest, path, purpose, deliver }));
  });
}

/** A refusal in the form of CoCo's KBS: 401, or 404 for a path that there is not. */
export function rcarRefusal(
  c: Context,
  error: { readonly code: ErrorCode; readonly message: string; readonly status: 401 | 404 | 500 },
): Response {
  const { code, message, status } = error;
  const type = status === 404 ? "InvalidRequestPath" : TYPES[code.split(".")[0] ?? ""];
  return c.json(
    { type: `${ERROR_TYPE}/${type ?? "PluginInternalError"}`, detail: message },
    status,
  );
}

/** CoCo's names of errors, by the stage of ours. */
const TYPES: Readonly<Record<string, string>> = {
  attest: "AttestationError",
  broker: "AttestationError",
  format: "AttestationError",
  base: "AttestationError",
  release: "PolicyDeny",
  key: "PolicyDeny",
};

/**
 * What a guest is told of a refusal. Whether a resource exists and which policy refused why is for the
 * log: every refusal by a policy reads the same.
 */
export function rcarMessage(error: PpmlError): string {
  return /^(?:release\.(?!nonce|binding)|key\.|open\.)/.test(error.code)
    ? "release.denied: no policy allows this; the broker's log says why"
    : `${error.code}: ${refusalReason(error).message}`;
}

function requireVersion(version: string): void {
  if (version !== RCAR_VERSION)
    throw new PpmlError(
      "broker.invalid_request",
      `expected version ${RCAR_VERSION} of the KBS protocol, got ${version}: use a guest of that version`,
    );
}

function requireHash(params: z.infer<typeof rcarAuthSchema>["extra-params"]): void {
  const supported = params === "" ? undefined : params["supported-hash-algorithms"];
  if (supported !== undefined && !supported.includes(RCAR_HASH))
    throw new PpmlError(
      "broker.invalid_request",
      `expected ${RCAR_HASH} among the guest's hash algorithms`,
    );
}

function pathOf(c: Context): string {
  const { repo = "", type = "", tag = "" } = c.req.param();
  const parsed = resourcePathSchema.safeParse(`${repo}/${type}/${tag}`);
  // As it was sent: a part that was escaped is none of a resource's.
  if (parsed.success && c.req.path === `/kbs/v0/resource/${parsed.data}`) return parsed.data;
  throw new PpmlError("broker.invalid_request", "expected /kbs/v0/resource/REPO/TYPE/TAG", {
    detail: { noSuchPath: true },
  });
}

/** The session of the token, or of the cookie; where both are there they are of one session. */
async function sessionOf(c: Context, state: BrokerState): Promise<string> {
  const cookie = cookieOf(c);
  const authorization = c.req.header("authorization");
  if (authorization === undefined) {
    if (cookie !== null) return cookie;
    throw new PpmlError("broker.session", "expected a session's cookie or its token: attest first");
  }
  const token = /^Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/.exec(
    authorization,
  )?.[1];
  if (token === undefined || token.length > MAX_TOKEN_CHARACTERS)
    throw new PpmlError("broker.invalid_request", "expected `Authorization: Bearer` and a token");
  await requireOwnToken(state, token);
  const id = state.sessions.idOfToken(token);
  if (id === null || (cookie !== null && cookie !== id))
    throw new PpmlError(
      "broker.session",
      "the token is of no session that this broker holds: attest again",
    );
  return id;
}

async function requireOwnToken(state: BrokerState, token: string): Promise<void> {
  const { mode, earKey } = state.db.identity;
  await verifyEar(token, {
    keys: [{ algorithm: "ES256", publicKey: ecPublicKeyOf(earKey) }],
    profiles: [TRUSTEE_PROFILE],
    nonce: "by-age",
    maxAgeSeconds: SESSION_TTL_SECONDS,
    simulated: mode === "simulation",
    nowMs: state.clock(),
  });
}

/** The session's id of the cookie: null where there is none. Two of the name are refused. */
function cookieOf(c: Context): string | null {
  const values = (c.req.header("cookie") ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${RCAR_COOKIE}=`))
    .map((pair) => pair.slice(RCAR_COOKIE.length + 1));
  const [value, ...more] = values;
  if (value === undefined) return null;
  if (more.length > 0 || !/^[0-9a-f]{64}$/.test(value))
    throw new PpmlError("broker.session", `expected one cookie ${RCAR_COOKIE} of /kbs/v0/auth`);
  return value;
}

async function body<T>(c: Context, schema: z.ZodType<T>, maxBytes: number): Promise<T> {
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.byteLength > maxBytes)
    throw new PpmlError("format.too_large", `expected at most ${maxBytes} bytes`);
  let value: unknown;
  try {
    value = parseJson(bytes, "the request");
  } catch (cause) {
    if (isPpmlError(cause, "format.too_large")) throw cause;
    throw new PpmlError("broker.invalid_request", "the request is not valid JSON", { cause });
  }
  return parseWith(schema, value, { what: "the request", code: "broker.invalid_request" });
}
