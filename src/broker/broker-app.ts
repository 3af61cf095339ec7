import { Hono } from "hono";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { z } from "zod";
import { isPpmlError, PpmlError, toTimestamp } from "../base/index.ts";
import type { ErrorCode, ErrorDetail } from "../base/index.ts";
import type { ManifestFloor } from "../format/grant.ts";
import { parseJson } from "../format/jcs.ts";
import { checkManifest, manifestSchema } from "../format/manifest.ts";
import {
  challengeRequestSchema,
  ownerReleaseRequestSchema,
  receiptRequestSchema,
  releaseRequestSchema,
  signedObjectRequestSchema,
} from "../format/protocol.ts";
import type { ManifestResponse } from "../format/protocol.ts";
import { datasetIdSchema, parseWith } from "../format/schema.ts";
import { verifyObject } from "../format/signed-object.ts";
import type { Envelope } from "../format/signed-object.ts";
import { issuerOf } from "../release/policy.ts";
import type { BrokerState } from "./broker-state.ts";
import { recordFloorEvent, recordPolicyEvent, recordResourceEvent } from "./events.ts";
import { floorOf, raiseFloor } from "./floors.ts";
import { makeNonce } from "./nonces.ts";
import { policyInForce, storePolicy, verifyNewPolicy } from "./policies.ts";
import { acceptReceipt } from "./receipt-route.ts";
import { addRcarRoutes, RCAR_PREFIX, rcarMessage, rcarRefusal } from "./rcar/rcar-routes.ts";
import { releaseToJob, releaseToOwner } from "./release-route.ts";
import { entryOf, listResources, storeResource, verifyResource } from "./resources.ts";
import { statusOf } from "./statuses.ts";

const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** What the broker tells its process log of one call: never a body, never a key. */
export type CallRecord = {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly code: ErrorCode | null;
  readonly durationMs: number;
};

/** Where the broker's own failures and calls go. */
export type BrokerLogger = {
  readonly call: (record: CallRecord) => void;
  readonly failure: (error: unknown) => void;
};

/** Makes the broker's HTTP application over its state. @see docs/protocol.md */
export function createBrokerApp(options: {
  readonly state: BrokerState;
  readonly logger: BrokerLogger;
}): Hono {
  const { state, logger } = options;
  const app = new Hono();
  const codes = new WeakMap<Request, ErrorCode>();
  app.use(async (c, next) => {
    const start = state.clock();
    await next();
    const { method, routePath } = { method: c.req.method, routePath: c.req.path.slice(0, 100) };
    const code = codes.get(c.req.raw) ?? null;
    const durationMs = state.clock() - start;
    logger.call({ method, path: routePath, status: c.res.status, code, durationMs });
  });
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new PpmlError("format.too_large", `expected at most ${MAX_BODY_BYTES} bytes`);
      },
    }),
  );
  addReleaseRoutes(app, state);
  addOwnerRoutes(app, state);
  addLogRoutes(app, state);
  addRcarRoutes(app, state);
  app.notFound((c) => {
    const message = `the broker has no ${c.req.method} ${c.req.path.slice(0, 100)}`;
    if (c.req.path.startsWith(RCAR_PREFIX))
      return rcarRefusal(c, { code: "broker.invalid_request", message, status: 404 });
    return respond(c, 404, { code: "broker.invalid_request", message, detail: {} });
  });
  app.onError((error, c) => {
    const status = isPpmlError(error) ? statusOf(error.code) : null;
    if (!isPpmlError(error) || status === null) {
      logger.failure(error);
      codes.set(c.req.raw, isPpmlError(error) ? error.code : "base.internal");
      // Nothing of the reason, which may name paths: a client need not be on this machine.
      const isState = isPpmlError(error, "broker.state");
      const message = `the broker ${isState ? "cannot use its database" : "failed"}; its own log says why`;
      const code = isState ? "broker.state" : "base.internal";
      if (c.req.path.startsWith(RCAR_PREFIX)) return rcarRefusal(c, { code, message, status: 500 });
      const remedy = "`ppml doctor` in the broker's project looks at its files";
      return respond(c, 500, { code, message, detail: isState ? { remedy } : {} });
    }
    codes.set(c.req.raw, error.code);
    if (c.req.path.startsWith(RCAR_PREFIX)) return refuseGuest(c, error);
    const { code, message, detail } = error;
    return respond(c, status, { code, message, detail });
  });
  return app;
}

/** 401 for every refusal, 404 for the path of no resource: what CoCo's guests know. */
function refuseGuest(c: Context, error: PpmlError): Response {
  const status = error.detail["noSuchPath"] === true ? 404 : 401;
  return rcarRefusal(c, { code: error.code, message: rcarMessage(error), status });
}

function addReleaseRoutes(app: Hono, state: BrokerState): void {
  const { mode, owner, releaseRoot, logKey, earKey } = state.db.identity;
  app.get("/v1/info", (c) =>
    c.json({ v: 1, mode, issuer: issuerOf(mode), releaseRoot, logKey, earKey, owner }),
  );
  app.post("/v1/challenge", async (c) => {
    await body(c, challengeRequestSchema);
    const { nonce, expiresMs } = makeNonce(state.db, {
      nowMs: state.clock(),
      random: state.random,
    });
    return c.json({ v: 1, mode, nonce, expiresAt: toTimestamp(expiresMs) });
  });
  app.post("/v1/release", async (c) => {
    const request = await body(c, releaseRequestSchema);
    return c.json({ v: 1, jwe: await releaseToJob(state, request) });
  });
  app.post("/v1/owner-release", async (c) => {
    const { request } = await body(c, ownerReleaseRequestSchema);
    return c.json({ v: 1, jwe: await releaseToOwner(state, request) });
  });
  app.post("/v1/receipts", async (c) => {
    const request = await body(c, receiptRequestSchema);
    return c.json({ v: 1, inclusion: acceptReceipt(state, request) });
  });
}

function addOwnerRoutes(app: Hono, state: BrokerState): void {
  app.post("/v1/policies", async (c) => {
    const { object } = await body(c, signedObjectRequestSchema);
    const policy = verifyNewPolicy(state.db, object);
    state.db.transaction(() => {
      if (storePolicy(state.db, policy)) recordPolicyEvent(state, policy);
    });
    return c.json({ v: 1, object: policyInForce(state.db, policy.payload.name).envelope });
  });
  app.get("/v1/policies/:name", (c) =>
    c.json({ v: 1, object: policyInForce(state.db, c.req.param("name")).envelope }),
  );
  app.post("/v1/resources", async (c) => {
    const { object } = await body(c, signedObjectRequestSchema);
    const resource = verifyResource(state.db, object);
    state.db.transaction(() => {
      if (storeResource(state.db, resource)) recordResourceEvent(state, resource);
    });
    return c.json({ v: 1, resources: [entryOf(resource)] });
  });
  app.get("/v1/resources", (c) => c.json({ v: 1, resources: listResources(state.db) }));
  app.post("/v1/manifests", async (c) => {
    const { object } = await body(c, signedObjectRequestSchema);
    return c.json(acceptOwnersManifest(state, object));
  });
  app.get("/v1/manifests/:datasetId", (c) => {
    const datasetId = parseWith(datasetIdSchema, c.req.param("datasetId"), {
      what: "the dataset's id",
      code: "broker.invalid_request",
    });
    return c.json(manifestResponse(floorOf(state.db, datasetId), false));
  });
}

function acceptOwnersManifest(state: BrokerState, envelope: Envelope): ManifestResponse {
  const { db } = state;
  const signers = [db.identity.owner];
  const manifest = verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers });
  checkManifest(manifest.payload);
  const { datasetId, version } = manifest.payload;
  const raised = db.transaction(() => {
    const change = { datasetId, version, manifestDigest: manifest.digest, delegate: null };
    const isNew = raiseFloor(db, change);
    if (isNew) recordFloorEvent(state, { manifest, by: "owner" });
    return isNew;
  });
  return manifestResponse(floorOf(db, datasetId), raised);
}

function manifestResponse(floor: ManifestFloor, raised: boolean): ManifestResponse {
  const { datasetId, minVersion: version, minDigest: digest, signers } = floor;
  return { v: 1, datasetId, version, digest, signers: [...signers], raised };
}

function addLogRoutes(app: Hono, state: BrokerState): void {
  const { log, clock } = state;
  app.get("/v1/log/head", (c) => c.json({ v: 1, head: log.head(clock()) }));
  app.get("/v1/log/proof", (c) =>
    c.json({ v: 1, inclusion: log.prove(indexOf(c, "index"), clock()) }),
  );
  app.get("/v1/log", (c) => {
    const from = indexOf(c, "from");
    // The entries first: the head is then never older than they are.
    const entries = log.page(from);
    return c.json({ v: 1, from, entries, head: log.head(clock()) });
  });
}

function indexOf(c: Context, name: string): number {
  const text = c.req.query(name) ?? "";
  if (!/^\d{1,15}$/.test(text))
    throw new PpmlError("broker.invalid_request", `expected ${name} as a number, such as 0`);
  return Number(text);
}

async function body<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  let value: unknown;
  try {
    value = parseJson(new Uint8Array(await c.req.arrayBuffer()), "the request");
  } catch (cause) {
    if (isPpmlError(cause, "format.too_large")) throw cause;
    throw new PpmlError("broker.invalid_request", "the request is not valid JSON", { cause });
  }
  return parseWith(schema, value, { what: "the request", code: "broker.invalid_request" });
}

function respond(
  c: Context,
  status: 400 | 403 | 404 | 409 | 413 | 500 | 503,
  error: { readonly code: ErrorCode; readonly message: string; readonly detail: ErrorDetail },
): Response {
  return c.json({ error }, status);
}
