import { once } from "node:events";
import { createServer } from "node:https";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { PpmlError } from "../base/index.ts";
import type { Listener } from "./listen.ts";
import type { TlsIdentity } from "./tls-identity.ts";

const MAX_CONNECTIONS = 512;
const MAX_HEADER_BYTES = 32 * 1024;
const MAX_HEADERS = 100;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_TIMEOUT_MS = 15_000;
/** How long calls may go on after the end was asked for. */
const GRACE_MS = 10_000;

/** A broker that listens on TCP. */
export type TlsListener = Listener & { readonly port: number };

/**
 * Lets the broker listen on TCP with TLS 1.3, and nothing below or beside it. `port` 0 takes a free one.
 * `close` takes no new connection, lets the calls under way end within ten seconds, then cuts them.
 * @throws broker.state where it cannot listen there
 */
export async function listenOnTls(
  app: Hono,
  options: { readonly host: string; readonly port: number; readonly tls: TlsIdentity },
): Promise<TlsListener> {
  const { host, port, tls } = options;
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: {
      cert: tls.certificatePem,
      key: tls.keyPem,
      minVersion: "TLSv1.3",
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: 5000,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  });
  server.maxConnections = MAX_CONNECTIONS;
  if ("maxHeadersCount" in server) server.maxHeadersCount = MAX_HEADERS;
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new PpmlError(
      "broker.state",
      `${host}:${port} cannot be listened on: take a free port, or an address of this machine`,
      { cause, detail: { host, port } },
    );
  }
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      const cut = setTimeout(() => {
        if ("closeAllConnections" in server) server.closeAllConnections();
      }, GRACE_MS);
      await closed;
      clearTimeout(cut);
    },
  };
}
