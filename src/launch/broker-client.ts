import { request as httpRequest } from "node:http";
import type { RequestOptions } from "node:http";
import type { z } from "zod";
import { ERROR_CODES, fromUtf8, PpmlError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";
import {
  challengeResponseSchema,
  errorResponseSchema,
  infoResponseSchema,
  logEntriesResponseSchema,
  logHeadResponseSchema,
  logProofResponseSchema,
  manifestResponseSchema,
  policyResponseSchema,
  receiptResponseSchema,
  releaseResponseSchema,
  resourcesResponseSchema,
} from "../format/protocol.ts";
import type {
  BrokerInfo,
  ChallengeResponse,
  Inclusion,
  ManifestResponse,
  ReleaseRequest,
} from "../format/protocol.ts";
import type { ManifestFloor } from "../format/grant.ts";
import type { ResourceEntry } from "../format/resource.ts";
import type { Envelope } from "../format/signed-object.ts";
import { connectPinned } from "./pinned-tls.ts";
import type { PinnedBroker } from "./pinned-tls.ts";

const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;

type Resources = { readonly resources: readonly ResourceEntry[] };
type Page = { readonly from: number; readonly entries: Envelope[]; readonly head: Envelope };

/**
 * The broker as its clients see it; every answer is checked for its form, not for its truth.
 * Each method rejects with the broker's own refusal, or with broker.unavailable.
 * @see docs/protocol.md
 */
export type BrokerClient = {
  readonly info: () => Promise<BrokerInfo>;
  /** A nonce for one release: 32 bytes, base64url, good for 120 s. */
  readonly challenge: () => Promise<ChallengeResponse>;
  readonly release: (request: ReleaseRequest) => Promise<{ readonly jwe: string }>;
  /** `request`: a signed object of kind owner-request. */
  readonly ownerRelease: (request: Envelope) => Promise<{ readonly jwe: string }>;
  /** Puts the owner's signed policy in force. */
  readonly applyPolicy: (policy: Envelope) => Promise<{ readonly object: Envelope }>;
  /** The policy in force. @throws release.policy where there is none */
  readonly policy: (name: string) => Promise<{ readonly object: Envelope }>;
  /** Raises a dataset's floor to the owner's signed manifest. */
  readonly raiseFloor: (manifest: Envelope) => Promise<ManifestResponse>;
  /** A dataset's floor; version 0 where no manifest was ever signed. */
  readonly floor: (datasetId: string) => Promise<ManifestFloor>;
  /** Puts the owner's signed resource in its place, or its removal. */
  readonly putResource: (resource: Envelope) => Promise<Resources>;
  /** All resources by path, removed ones included; never their content. */
  readonly resources: () => Promise<Resources>;
  readonly postReceipt: (request: {
    readonly v: 1;
    readonly receipt: Envelope;
    readonly manifest: Envelope;
  }) => Promise<{ readonly inclusion: Inclusion }>;
  /** Log entries from that number on; fewer than there are where a page is full. */
  readonly log: (from: number) => Promise<Page>;
  readonly logProof: (index: number) => Promise<{ readonly inclusion: Inclusion }>;
  readonly logHead: () => Promise<{ readonly head: Envelope }>;
};

/** Where a broker is: on a Unix socket, or on TCP with a pinned key. */
export type BrokerPlace = { readonly socketPath: string } | PinnedBroker;

type Target = BrokerPlace & {
  /** For one whole call; 30 s where it is not given. */
  readonly timeoutMs?: number;
};

/** Makes a client for the broker of that place; nothing is sent before a call. */
export function openBrokerClient(options: Target): BrokerClient {
  const get = <T>(path: string, schema: z.ZodType<T>): Promise<T> =>
    call(options, { method: "GET", path, body: null, schema });
  const post = <T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> =>
    call(options, { method: "POST", path, body, schema });
  return {
    info: () => get("/v1/info", infoResponseSchema),
    challenge: () => post("/v1/challenge", { v: 1 }, challengeResponseSchema),
    release: (request) => post("/v1/release", request, releaseResponseSchema),
    ownerRelease: (request) => post("/v1/owner-release", { v: 1, request }, releaseResponseSchema),
    applyPolicy: (object) => post("/v1/policies", { v: 1, object }, policyResponseSchema),
    policy: (name) => get(`/v1/policies/${encodeURIComponent(name)}`, policyResponseSchema),
    raiseFloor: (object) => post("/v1/manifests", { v: 1, object }, manifestResponseSchema),
    floor: async (datasetId) => {
      const floor = await get(`/v1/manifests/${datasetId}`, manifestResponseSchema);
      const { version: minVersion, digest: minDigest, signers } = floor;
      return { datasetId: floor.datasetId, minVersion, minDigest, signers };
    },
    putResource: (object) => post("/v1/resources", { v: 1, object }, resourcesResponseSchema),
    resources: () => get("/v1/resources", resourcesResponseSchema),
    postReceipt: (request) => post("/v1/receipts", request, receiptResponseSchema),
    log: (from) => get(`/v1/log?from=${from}`, logEntriesResponseSchema),
    logProof: (index) => get(`/v1/log/proof?index=${index}`, logProofResponseSchema),
    logHead: () => get("/v1/log/head", logHeadResponseSchema),
  };
}

type Call<T> = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body: unknown;
  readonly schema: z.ZodType<T>;
};

async function call<T>(target: Target, options: Call<T>): Promise<T> {
  const { status, bytes } = await exchange(target, options);
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw unavailable(options.path, `it answered ${status} without JSON`, cause);
  }
  if (status !== 200) throw refusalOf(value, status, options.path);
  const parsed = options.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join(".") ?? "";
  throw unavailable(options.path, `its answer has another form than the protocol's (at ${where})`);
}

async function exchange(
  target: Target,
  options: Pick<Call<unknown>, "method" | "path" | "body">,
): Promise<{ readonly status: number; readonly bytes: Uint8Array }> {
  const { method, path, body } = options;
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = target;
  const payload = body === null ? null : JSON.stringify(body);
  const signal = AbortSignal.timeout(timeoutMs);
  // A socket of its own for each call: there are few, and none outlives its call.
  const way = await wayTo(target, signal);
  return await new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const why = signal.aborted ? `no answer within ${timeoutMs} ms` : "is it running?";
      reject(cause instanceof PpmlError ? cause : unavailable(path, why, cause));
    };
    const headers =
      payload === null
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
    const request = httpRequest({ ...way, method, path, signal, headers }, (response) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      response.on("data", (chunk: Uint8Array) => {
        length += chunk.byteLength;
        if (length <= MAX_RESPONSE_BYTES) chunks.push(chunk);
        else {
          fail(unavailable(path, `its answer is longer than ${MAX_RESPONSE_BYTES} bytes`));
          request.destroy();
        }
      });
      response.on("error", fail);
      response.on("end", () => {
        const bytes = new Uint8Array(Buffer.concat(chunks));
        resolve({ status: response.statusCode ?? 0, bytes });
      });
    });
    request.on("error", fail);
    request.end(payload ?? undefined);
  });
}

/** How a request goes there; a TLS socket is connected, and its key compared, before. */
async function wayTo(place: BrokerPlace, signal: AbortSignal): Promise<RequestOptions> {
  if ("socketPath" in place) return { socketPath: place.socketPath, agent: false };
  const socket = await connectPinned(place, { signal });
  const { hostname, port } = new URL(place.url);
  // Without an agent: one would make connections of its own.
  return { createConnection: () => socket, hostname, port: port === "" ? 443 : port };
}

function refusalOf(value: unknown, status: number, path: string): PpmlError {
  const parsed = errorResponseSchema.safeParse(value);
  if (!parsed.success) return unavailable(path, `it answered ${status} without an error's form`);
  const { code, message, detail } = parsed.data.error;
  if (!isErrorCode(code)) return unavailable(path, `it answered ${status}: ${code}: ${message}`);
  return new PpmlError(code, message, { detail });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

function unavailable(path: string, why: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "broker.unavailable",
    `the broker did not answer ${path} as expected: ${why}`,
    {
      cause,
    },
  );
}
