import type { IncomingMessage, ServerResponse } from "node:http";
import { z } from "zod";
import { PpmlError } from "../../base/index.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";

/** What a fault does: an HTTP status, or what no status says. */
export const FAULT_KINDS = ["timeout", "reset", "expired-token"] as const;

const faultSchema = z.strictObject({
  /** The name of the service: entra, arm, keyvault, maa, blob, dfs. */
  service: z.string(),
  /** In capitals, or "*". */
  method: z.string().regex(/^(?:[A-Z]+|\*)$/),
  /** A regular expression over host, path and query: "kv1.vault.azure.net/keys/". */
  path: z.string().max(500),
  status: z.union([z.int().min(400).max(599), z.enum(FAULT_KINDS)]),
  /** How many more calls it meets. */
  remaining: z.int().min(1).max(1_000_000),
  /** Sent as Retry-After; null where it is not sent. */
  retryAfterSeconds: z.int().min(0).max(3600).nullable(),
});
export type Fault = z.infer<typeof faultSchema>;

/** Faults on demand that still wait for their calls, oldest first. */
export const FAULTS = defineKind("fault", faultSchema);

/** A call, as a fault is matched against it. */
export type FaultCall = {
  readonly service: string;
  readonly method: string;
  /** Host, path and query. */
  readonly target: string;
};

/** Keeps a fault for the calls to come. @throws twin.fault where it is not a valid one */
export function addFault(state: TwinState, fault: Fault, nowMs: number): void {
  const parsed = faultSchema.safeParse(fault);
  if (!parsed.success || !isRegExp(fault.path))
    throw new PpmlError(
      "twin.fault",
      `expected a fault with a status from 400 to 599 or one of ${FAULT_KINDS.join(", ")}, a count from 1, and a path that is a regular expression`,
    );
  state.transaction(() => {
    // In the order in which they were asked for, within a millisecond too.
    const last = Number(state.list(FAULTS).at(-1)?.id ?? 0);
    const number = Math.max(last + 1, nowMs * 1000);
    state.put(FAULTS, String(number).padStart(20, "0"), parsed.data);
  });
}

/**
 * Takes one call off the first fault that is for it, or gives null. Entra ID's `expired-token` is for
 * no call: it is taken where a token is issued.
 */
export function takeFault(state: TwinState, call: FaultCall): Fault | null {
  const isFor = ({ service, method, path, status }: Fault): boolean =>
    service === call.service &&
    (service !== "entra" || status !== "expired-token") &&
    (method === "*" || method === call.method) &&
    new RegExp(path, "i").test(call.target);
  return takeFirst(state, isFor);
}

/** Takes an `expired-token` fault of Entra ID: the next token is one that has expired. */
export function takeExpiredToken(state: TwinState): boolean {
  return takeFirst(state, isExpiredToken) !== null;
}

function isExpiredToken({ service, status }: Fault): boolean {
  return service === "entra" && status === "expired-token";
}

/** Does what a fault says to a call; false where there is none for it. */
export function interceptWithFaults(
  state: TwinState,
  call: Pick<FaultCall, "service"> & {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
  },
): boolean {
  const { request, response, service } = call;
  const target = `${request.headers.host ?? ""}${request.url ?? ""}`;
  const fault = takeFault(state, { service, method: request.method ?? "", target });
  if (fault === null) return false;
  request.resume();
  if (fault.status === "reset") request.socket.destroy();
  // "timeout": no answer comes; the client gives up when it will.
  else if (fault.status !== "timeout") refuse(response, fault);
  return true;
}

/** The body that a fault answers, in ARM's form. */
export function faultBody({ status }: Fault): {
  readonly error: { readonly code: string; readonly message: string };
} {
  const [code, message] =
    status === 429
      ? [
          "TooManyRequests",
          "The limit of calls is reached. Try again after the time in Retry-After.",
        ]
      : status === 503
        ? ["ServerBusy", "The server is busy. Try again."]
        : status === "expired-token"
          ? ["ExpiredAuthenticationToken", "The access token has expired."]
          : ["InjectedFault", "A fault on demand of the double of Azure."];
  return { error: { code, message: `${message} (Fault on demand.)` } };
}

function refuse(response: ServerResponse, fault: Fault): void {
  const headers = {
    "content-type": "application/json",
    ...(fault.retryAfterSeconds === null ? {} : { "retry-after": String(fault.retryAfterSeconds) }),
  };
  response.writeHead(fault.status === "expired-token" ? 401 : Number(fault.status), headers);
  response.end(JSON.stringify(faultBody(fault)));
}

function takeFirst(state: TwinState, isFor: (fault: Fault) => boolean): Fault | null {
  if (!state.has(FAULTS)) return null;
  return state.transaction(() => {
    const found = state.list(FAULTS).find(({ document }) => isFor(document));
    if (found === undefined) return null;
    const { id, document } = found;
    if (document.remaining === 1) state.remove(FAULTS, id);
    else state.put(FAULTS, id, { ...document, remaining: document.remaining - 1 });
    return document;
  });
}

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text, "i") instanceof RegExp;
  } catch {
    return false;
  }
}
