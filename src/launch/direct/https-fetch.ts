import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import type { HttpFetch } from "../../attest/collateral/http.ts";
import type { HandedNetwork } from "../messages.ts";

/**
 * A `fetch` for a TEE, whose environment is empty: by the proxy and with the certificate roots that the
 * host names, or with the platform's own roots and no proxy. Only https; redirects are not followed.
 * What comes back is believed for its signatures, never for the connection.
 */
export function httpsFetch(network: HandedNetwork): HttpFetch {
  const proxy = network?.proxy ?? null;
  const agent = new Agent({
    ca: [...rootCertificates, ...(network?.certificates ?? [])],
    minVersion: "TLSv1.2",
    ...(proxy === null ? {} : { proxyEnv: { HTTPS_PROXY: `${proxy.host}:${proxy.port}` } }),
  });
  return (url, { method = "GET", headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const asked = request(url, {
        agent,
        method,
        headers: Object.fromEntries(new Headers(headers)),
        ...(signal === undefined || signal === null ? {} : { signal }),
      });
      asked.once("error", reject);
      asked.once("response", (answer) => {
        try {
          resolve(responseOf(answer));
        } catch (error) {
          // A status or a header that no answer has.
          answer.destroy();
          reject(error instanceof Error ? error : new TypeError("no answer of HTTP"));
        }
      });
      asked.end(typeof body === "string" ? body : undefined);
    });
}

function responseOf(answer: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers))
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  const status = answer.statusCode ?? 0;
  const body = [204, 205, 304].includes(status) ? null : Readable.toWeb(answer);
  // DOM's type of a stream and Node's are one thing under two names.
  return new Response(body as ReadableStream<Uint8Array> | null, { status, headers });
}
