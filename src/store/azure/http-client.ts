import { rootCertificates } from "node:tls";
import { toCompatResponse } from "@azure/core-http-compat";
import { createHttpHeaders, createPipelineRequest, RestError } from "@azure/core-rest-pipeline";
import type { HttpClient, PipelineRequest } from "@azure/core-rest-pipeline";
import type { IHttpClient, WebResource } from "@azure/storage-blob";

/** Longest answer that is read as a whole: a page of a listing or an error; objects are streamed. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
/** Time until the headers of an answer, the upload of a block included. */
const TIMEOUT_MS = 300_000;

/**
 * The connection's HTTP client in the form that the storage SDKs take, with bounds that they lack: an
 * answer that has no end, or never comes, ends in an error.
 * @param certificates roots in PEM that are accepted beside Node's own
 */
export function storageHttpClient(
  client: HttpClient,
  certificates: readonly string[] = [],
): IHttpClient {
  return {
    sendRequest: async (resource) => {
      const request = toRequest(resource);
      request.timeout = TIMEOUT_MS;
      // Followed also by a proxy's agent, which knows nothing of TLS settings.
      if (certificates.length > 0)
        request.requestOverrides = { ca: [...rootCertificates, ...certificates] };
      if (!isStreamed(request)) boundAnswer(request);
      // The SDK finds its operation by the request that it gave.
      return { ...toCompatResponse(await send(client, request)), request: resource };
    },
  };
}

/** The time-out shows as an abort, which the caller did not ask for. */
async function send(client: HttpClient, request: PipelineRequest) {
  try {
    return await client.sendRequest(request);
  } catch (error) {
    const isOurs = error instanceof Error && error.name === "AbortError";
    if (!isOurs || request.abortSignal?.aborted === true) throw error;
    throw new RestError(`no answer in ${TIMEOUT_MS / 1000} seconds`, {
      code: "ETIMEDOUT",
      request,
    });
  }
}

function isStreamed(request: PipelineRequest): boolean {
  return (request.streamResponseStatusCodes?.size ?? 0) > 0;
}

function boundAnswer(request: PipelineRequest): void {
  request.onDownloadProgress = ({ loadedBytes }) => {
    if (loadedBytes > MAX_ANSWER_BYTES)
      throw new RestError(`an answer of more than ${MAX_ANSWER_BYTES} bytes`, {
        code: "PARSE_ERROR",
        request,
      });
  };
}

/** What core-http-compat does itself, but does not export. */
function toRequest(resource: WebResource): PipelineRequest {
  const { requestId, abortSignal, body, proxySettings, streamResponseStatusCodes, agent } =
    resource;
  const request = createPipelineRequest({
    url: resource.url,
    method: resource.method,
    headers: createHttpHeaders(resource.headers.toJson({ preserveCase: true })),
    requestId,
    disableKeepAlive: resource.keepAlive === true,
    ...(abortSignal === undefined ? {} : { abortSignal }),
    ...(body === undefined ? {} : { body }),
    ...(proxySettings === undefined ? {} : { proxySettings }),
    ...(streamResponseStatusCodes === undefined ? {} : { streamResponseStatusCodes }),
  });
  // A proxy's; createPipelineRequest takes none.
  if (agent !== undefined) request.agent = agent;
  return request;
}
