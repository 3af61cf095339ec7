import { setTimeout as sleep } from "node:timers/promises";
import { concatBytes, PpmlError } from "../../base/index.ts";
import type { Clock } from "../../base/index.ts";

/** What a request goes through: the platform's `fetch`, and in tests a service of ours. */
export type HttpFetch = (url: string, init: RequestInit) => Promise<Response>;

/** What requests need of the world. */
export type HttpPorts = {
  readonly fetch: HttpFetch;
  readonly now: Clock;
  /** A number from 0 up to 1, for jitter alone. */
  readonly random: () => number;
  readonly pause: (ms: number) => Promise<void>;
};

/** Bounds of one request with its repetitions. */
export type HttpLimits = {
  /** Longest wait for one answer with its body, in milliseconds. */
  readonly timeoutMs: number;
  /** How often it is asked, 1 or more. */
  readonly attempts: number;
  /** Longest pause between attempts in milliseconds, also where Retry-After asks for more. */
  readonly maxPauseMs: number;
};

/** One request; repeating it has to be harmless. */
export type HttpRequest = {
  readonly url: string;
  /** Names the thing that is asked for in errors: "the PCK CRL". */
  readonly what: string;
  readonly maxBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON with POST; GET where it is left out. */
  readonly json?: unknown;
  /** A status by which this service too says: later, and how long to wait where it does not say. */
  readonly later?: { readonly status: number; readonly afterMs: number };
  /** What to do where it is not given, in place of what is said of collateral. */
  readonly advice?: string;
};

/** A whole answer of status 200. */
export type HttpAnswer = { readonly headers: Headers; readonly body: Uint8Array };

export const HTTP_LIMITS: HttpLimits = { timeoutMs: 20_000, attempts: 4, maxPauseMs: 15_000 };

const FIRST_PAUSE_MS = 500;
const MAX_REDIRECTS = 3;

/** The world as it is. */
export const systemHttp: HttpPorts = {
  fetch: (url, init) => fetch(url, init),
  now: Date.now,
  random: Math.random,
  pause: (ms) => sleep(ms),
};

/** What one attempt came to: an answer, an end, or a reason to ask again. */
type Outcome =
  | { readonly kind: "answer"; readonly answer: HttpAnswer }
  | {
      readonly kind: "refused";
      readonly why: string;
      readonly status: number | null;
      readonly cause?: unknown;
    }
  | {
      readonly kind: "again";
      readonly why: string;
      readonly status: number | null;
      readonly afterMs: number | null;
      readonly cause?: unknown;
    };

/**
 * Asks for one thing: status 200 with at most `maxBytes`, no redirect away from the origin, within
 * the time. No answer, 408, 429, 5xx and cut bodies are asked for again with growing random pauses,
 * and not before Retry-After; a service whose certificate does not verify is not.
 * Rejects with attest.fetch; `detail.status` is the last HTTP status.
 * @see RFC 9110 sections 10.2.3 (Retry-After), 15.4 (redirection)
 */
export async function requestBytes(
  ports: HttpPorts,
  request: HttpRequest,
  limits: HttpLimits = HTTP_LIMITS,
): Promise<HttpAnswer> {
  for (let tried = 1; ; tried += 1) {
    const outcome = await attempt(ports, request, limits);
    if (outcome.kind === "answer") return outcome.answer;
    const pauseMs = outcome.kind === "again" ? pauseOf(outcome.afterMs, tried, ports) : 0;
    if (outcome.kind === "refused" || tried >= limits.attempts || pauseMs > limits.maxPauseMs)
      throw failed(request, outcome, tried);
    await ports.pause(pauseMs);
  }
}

/** Retry-After is a floor; the jitter comes on top, so that many who wait do not come at once. */
function pauseOf(afterMs: number | null, tried: number, ports: HttpPorts): number {
  const growing = FIRST_PAUSE_MS * 2 ** (tried - 1) * ports.random();
  return afterMs === null ? growing : afterMs + FIRST_PAUSE_MS * ports.random();
}

async function attempt(
  ports: HttpPorts,
  request: HttpRequest,
  limits: HttpLimits,
): Promise<Outcome> {
  const signal = AbortSignal.timeout(limits.timeoutMs);
  try {
    return await withTime(signal, ask(ports, request, signal));
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    if (!signal.aborted) return connectionFailed(cause);
    const why = `no whole answer within ${limits.timeoutMs} ms`;
    return { kind: "again", why, status: null, afterMs: null, cause };
  }
}

/** Codes of a certificate that does not verify: asking again gives the same one. @see Node "TLS", X509 certificate error codes */
const CERTIFICATE_ERROR =
  /^(?:(?:DEPTH_ZERO_)?SELF_SIGNED_CERT|UNABLE_TO_(?:GET_ISSUER|VERIFY_LEAF)|CERT_|INVALID_(?:CA|PURPOSE)|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME)/;

function connectionFailed(cause: unknown): Outcome {
  const inner: unknown = cause instanceof Error ? cause.cause : null;
  // llhttp's errors have the member without a value.
  const found = inner instanceof Error && "code" in inner ? inner.code : null;
  const code = typeof found === "string" ? found : null;
  if (code !== null && CERTIFICATE_ERROR.test(code)) {
    const why = `its TLS certificate is of no authority that is known here, or not its own (${code})`;
    return { kind: "refused", why, status: null, cause };
  }
  const why = `no answer: the connection failed or was cut${code === null ? "" : ` (${code})`}`;
  return { kind: "again", why, status: null, afterMs: null, cause };
}

/** A fetch that minds no signal ends in time all the same. */
function withTime<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    work.then(resolve, reject);
  });
}

async function ask(ports: HttpPorts, request: HttpRequest, signal: AbortSignal): Promise<Outcome> {
  const init: RequestInit = {
    method: request.json === undefined ? "GET" : "POST",
    headers: {
      ...request.headers,
      ...(request.json === undefined ? {} : { "content-type": "application/json" }),
    },
    redirect: "manual",
    signal,
    ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
  };
  let url = new URL(request.url);
  for (let followed = 0; ; followed += 1) {
    const response = await ports.fetch(url.href, init);
    const target = redirectOf(response, url);
    if (target === null) return readAnswer(response, request, ports);
    await response.body?.cancel();
    if (target.origin !== url.origin)
      return refused(response, `it redirects to another host, ${target.origin}`);
    if (followed === MAX_REDIRECTS) return refused(response, "it redirects in circles");
    url = target;
  }
}

function redirectOf(response: Response, from: URL): URL | null {
  const location = response.headers.get("location");
  if (response.status < 300 || response.status > 399 || location === null) return null;
  return URL.parse(location, from.href) ?? new URL("invalid://location");
}

async function readAnswer(
  response: Response,
  request: HttpRequest,
  ports: HttpPorts,
): Promise<Outcome> {
  const { status, headers } = response;
  if (status !== 200) {
    await response.body?.cancel();
    const why = `it answered ${status}`;
    const later = request.later?.status === status ? request.later : null;
    if (status !== 408 && status !== 429 && status < 500 && later === null)
      return refused(response, why);
    const afterMs = retryAfterMs(headers, ports.now()) ?? later?.afterMs ?? null;
    return { kind: "again", why, status, afterMs };
  }
  const announced = announcedLength(headers);
  if (announced !== null && announced > request.maxBytes) {
    await response.body?.cancel();
    return refused(response, `its answer of ${announced} bytes is over ${request.maxBytes}`);
  }
  const body = await readBounded(response, request.maxBytes);
  if (body === null) return refused(response, `its answer is over ${request.maxBytes} bytes`);
  if (announced !== null && body.byteLength < announced) {
    const why = `its answer was cut: ${body.byteLength} of ${announced} bytes`;
    return { kind: "again", why, status, afterMs: null };
  }
  return { kind: "answer", answer: { headers, body } };
}

/** Content-Length, where the body comes as it is; one that was compressed is longer than announced. */
function announcedLength(headers: Headers): number | null {
  const text = headers.get("content-length");
  if (text === null || headers.has("content-encoding") || !/^\d{1,15}$/.test(text)) return null;
  return Number(text);
}

/** Null where the body is longer than `maxBytes`; it is not read on then. */
async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the body.
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return concatBytes(...chunks);
}

/** Retry-After is seconds or a date. */
function retryAfterMs(headers: Headers, nowMs: number): number | null {
  const text = headers.get("retry-after");
  if (text === null) return null;
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

function refused(response: Response, why: string): Outcome {
  return { kind: "refused", why, status: response.status };
}

function failed(
  request: HttpRequest,
  outcome: Exclude<Outcome, { readonly kind: "answer" }>,
  tried: number,
): PpmlError {
  const { host } = new URL(request.url);
  const asked = tried === 1 ? "" : ` (asked ${tried} times)`;
  const usual =
    outcome.kind === "again" ? "try again later, or give the collateral as files" : "check the URL";
  const { advice = usual } = request;
  return new PpmlError(
    "attest.fetch",
    `${host} did not give ${request.what}: ${outcome.why}${asked}; ${advice}`,
    {
      detail: { host, status: outcome.status, attempts: tried },
      ...("cause" in outcome ? { cause: outcome.cause } : {}),
    },
  );
}
