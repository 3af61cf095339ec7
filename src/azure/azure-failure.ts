import { isRestError } from "@azure/core-rest-pipeline";
import type { RestError } from "@azure/core-rest-pipeline";
import { NO_ANSWER } from "./deadline.ts";
import { PpmlError, isPpmlError } from "../base/index.ts";
import type { ErrorCode } from "../base/index.ts";

const LONGEST_MESSAGE = 500;
const LOGIN_ERRORS = new Set([
  "AuthenticationError",
  "AggregateAuthenticationError",
  "AuthenticationRequiredError",
  "CredentialUnavailableError",
]);

/** Where the local double says what it lacks: its answers to HEAD have no body. */
const TWIN_MESSAGE = "ppml-twin-message";

/** What is asked of Azure, for the message: "read the key https://..."; never a secret. */
type Asked = { readonly what: string };

/**
 * An error of an Azure SDK as one of ours, with what to do about it. Others are passed through.
 * The service's own message is kept, cut and on one line: it may name resources, never secrets.
 */
export function toAzureFailure(error: unknown, { what }: Asked): Error {
  if (isPpmlError(error)) return error;
  if (!(error instanceof Error)) return new PpmlError("azure.failed", `cannot ${what}`);
  if (LOGIN_ERRORS.has(error.name))
    return new PpmlError(
      "azure.login",
      `cannot ${what}: there is no valid login at Azure (${oneLine(error.message)}): run \`az login\`, or check the workload identity`,
      { cause: error },
    );
  if (!isRestError(error)) return error;
  const status = error.statusCode;
  if (error.code === NO_ANSWER)
    return new PpmlError(
      "azure.unreachable",
      `cannot ${what}: ${oneLine(error.message)} from ${hostOf(error)}: check the network, the proxy and Azure's status, then run it again${mayBeDone(error)}`,
      { cause: error },
    );
  const service = oneLine(`${error.code ?? ""} ${serviceMessage(error)}`.trim());
  const { code, remedy } = judge(status);
  if (status === undefined)
    return new PpmlError(
      code,
      `cannot ${what}: the connection to ${hostOf(error)} failed or was cut (${service}): ${remedy}${mayBeDone(error)}`,
      { cause: error },
    );
  const came = `${status} ${service}`;
  return new PpmlError(code, `cannot ${what}: Azure answered ${came}: ${remedy}`, {
    cause: error,
    detail: { status, code: error.code ?? "" },
  });
}

function judge(status: number | undefined): { readonly code: ErrorCode; readonly remedy: string } {
  if (status === undefined)
    return {
      code: "azure.unreachable",
      remedy: "check the network, the name and the proxy, then run it again",
    };
  if (status === 401)
    return { code: "azure.login", remedy: "log in again with `az login`, to the right tenant" };
  if (status === 403)
    return { code: "azure.denied", remedy: "the identity lacks a role, or the network is closed" };
  if (status === 404) return { code: "azure.not_found", remedy: "check the name" };
  if (status === 409 || status === 412)
    return { code: "azure.conflict", remedy: "somebody else changed it, or its name is taken" };
  if (status === 429)
    return { code: "azure.throttled", remedy: "its limit is reached: try again later" };
  if (status === 501)
    return { code: "azure.failed", remedy: "what answered cannot do this: trying again is no use" };
  return { code: "azure.failed", remedy: "try again, or read the message" };
}

function mayBeDone({ request }: RestError): string {
  const isRead = request?.method === "GET" || request?.method === "HEAD";
  return isRead ? "" : "; what was asked may have been done all the same";
}

function hostOf({ request }: RestError): string {
  return request === undefined ? "Azure" : new URL(request.url).host;
}

function serviceMessage(error: RestError): string {
  const { details } = error;
  const ofTwin = error.response?.headers.get(TWIN_MESSAGE);
  if (ofTwin !== undefined) return decoded(ofTwin);
  if (typeof details === "object" && details !== null && "error" in details) {
    const inner = details.error;
    if (typeof inner === "object" && inner !== null && "message" in inner)
      return String(inner.message);
  }
  return error.message;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ").slice(0, LONGEST_MESSAGE);
}
