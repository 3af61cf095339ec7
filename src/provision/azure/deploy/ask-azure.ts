import { isRestError, type PipelinePolicy, type RestError } from "@azure/core-rest-pipeline";
import { toAzureFailure } from "../../../azure/index.ts";
import { PpmlError } from "../../../base/index.ts";
import { parseFailure } from "./arm-failure.ts";
import type { ArmFailure } from "./arm-port.ts";
import { remedyFor, rootCauses } from "./remedies.ts";

/**
 * Runs a call of an SDK, and says in its error what was asked, what ARM says at the bottom of its
 * answer, and what to do about each.
 * @throws provision.busy provision.failed, or what `toAzureFailure` makes
 */
export async function askAzure<T>(what: string, call: () => PromiseLike<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isRestError(error)) throw toAzureFailure(error, { what });
    if (error.statusCode === 409)
      throw new PpmlError(
        "provision.busy",
        `cannot ${what}: another change of the same resources is running (${error.code ?? "409"}): wait for it with \`ppml azure status\`, then try again`,
        { cause: error },
      );
    const failure = failureOf(error);
    // Login, network and throttling are told by their status; what a template lacks only by its text.
    if (failure === null || !tellsMore(error, failure)) throw toAzureFailure(error, { what });
    throw failureError(what, failure, error);
  }
}

/** The error of what ARM refused: a line and a remedy for each cause. */
export function failureError(what: string, failure: ArmFailure, cause?: unknown): PpmlError {
  const causes = rootCauses(failure);
  const lines = causes.map((one) => `${one.code}: ${one.message}\n    ${remedyFor(one)}`);
  return new PpmlError("provision.failed", `cannot ${what}:\n  ${lines.join("\n  ")}`, {
    cause,
    detail: { failures: causes.map(({ code, message }) => ({ code, message })) },
  });
}

function tellsMore({ statusCode = 0 }: RestError, failure: ArmFailure): boolean {
  return statusCode === 400 || (statusCode === 403 && failure.details.length > 0);
}

/** Bodies of the last refusals by their request: some SDKs leave them out of their errors. */
const refusals = new Map<string, string>();
const MAX_REFUSALS = 16;

/** A policy for the clients of SDKs: keeps what a refusal says, for `askAzure`. */
export const keepRefusals: PipelinePolicy = {
  name: "ppmlKeepRefusals",
  async sendRequest(request, next) {
    const response = await next(request);
    if (response.status >= 400 && typeof response.bodyAsText === "string") {
      refusals.set(request.requestId, response.bodyAsText);
      for (const oldest of [...refusals.keys()].slice(0, -MAX_REFUSALS)) refusals.delete(oldest);
    }
    return response;
  },
};

function failureOf({ request, response }: RestError): ArmFailure | null {
  try {
    const kept = refusals.get(request?.requestId ?? "");
    const body: unknown = JSON.parse(response?.bodyAsText ?? kept ?? "null");
    if (typeof body !== "object" || body === null) return null;
    return parseFailure(Reflect.get(body, "error") ?? body);
  } catch {
    return null; // no JSON: a proxy's page
  }
}
