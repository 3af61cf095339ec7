import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TwinService } from "../service.ts";
import type { FrontAuthority } from "./certificates.ts";
import { isKnownHost } from "./domains.ts";

/** All of the twin listens here and nowhere else. */
const LOOPBACK = "127.0.0.1";
const MAX_CONNECTIONS = 1024;
const KEEP_ALIVE_MS = 120_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** What the front is made of. */
export type FrontOptions = {
  readonly authority: FrontAuthority;
  readonly services: readonly TwinService[];
  /** Answers requests that come to the proxy itself: a managed identity's endpoint. */
  readonly direct: (request: IncomingMessage, response: ServerResponse) => void;
  /** Looks at each request before its service: true where it answered (or broke) it itself. */
  readonly intercept: (
    service: TwinService,
    exchange: { readonly request: IncomingMessage; readonly response: ServerResponse },
  ) => boolean;
  /** The proxy's and the TLS server's ports; 0 takes free ones. */
  readonly ports: { readonly proxy: number; readonly tls: number };
  readonly log: (line: string) => void;
};

/** A front that listens. */
export type Front = {
  /** Of the CONNECT proxy, for HTTPS_PROXY. */
  readonly proxyPort: number;
  /** Of the TLS server behind it, for programs that know no proxies: they send the host as SNI. */
  readonly tlsPort: number;
  readonly close: () => Promise<void>;
};

/**
 * Listens on loopback: a CONNECT proxy that ends the TLS of Azure's host names here and refuses all
 * others, and the same TLS server on a port of its own. Bodies stream both ways; nothing is kept.
 * @see RFC 9110 section 9.3.6
 */
export async function openFront(options: FrontOptions): Promise<Front> {
  const { authority, log } = options;
  const tls = createTlsServer({
    SNICallback: (name, done) => {
      const host = name.toLowerCase();
      if (isKnownHost(host)) done(null, authority.contextOf(host));
      else done(new Error("not a host of Azure that the double knows"));
    },
    minVersion: "TLSv1.2",
    // ALPN of HTTP/1.1 alone: what Azure's SDKs speak.
    ALPNProtocols: ["http/1.1"],
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  tls.on("request", (request, response) => serve(options, { request, response }));
  // A client that does not trust the CA, or went away: its own message says so.
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  const tunnels = new Set<Socket>();
  const proxy = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    if (request.url?.startsWith("/") === true) return options.direct(request, response);
    log(`refused ${request.method ?? ""} ${(request.url ?? "").slice(0, 200)}: not over TLS`);
    response.writeHead(403, { "content-type": "text/plain" });
    response.end("The double of Azure passes nothing on: HTTPS to Azure's hosts only.\n");
  });
  proxy.on("connect", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const host = connectHost(request.url ?? "");
    socket.on("error", () => socket.destroy());
    if (host === null || !(socket instanceof Socket)) {
      log(
        `refused CONNECT ${(request.url ?? "").slice(0, 200)}: not a host of Azure that it knows`,
      );
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
      return;
    }
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    if (head.byteLength > 0) socket.unshift(head);
    socket.setTimeout(0);
    tunnels.add(socket);
    socket.once("close", () => tunnels.delete(socket));
    tls.emit("connection", socket);
  });
  for (const server of [tls, proxy]) setLimits(server);
  const [proxyPort, tlsPort] = await Promise.all([
    listen(proxy, options.ports.proxy),
    listen(tls, options.ports.tls),
  ]);
  return {
    proxyPort,
    tlsPort,
    close: async () => {
      const closed = [once(tls, "close"), once(proxy, "close")];
      for (const server of [tls, proxy]) {
        server.close();
        server.closeAllConnections();
      }
      for (const socket of tunnels) socket.destroy();
      await Promise.all(closed);
    },
  };
}

function serve(
  options: FrontOptions,
  exchange: { readonly request: IncomingMessage; readonly response: ServerResponse },
): void {
  const { request, response } = exchange;
  const host = (request.headers.host ?? "").toLowerCase().replace(/:443$/, "");
  const service = options.services.find((candidate) => candidate.serves(host));
  // Who hangs up in the middle breaks its own call, and nothing else.
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  if (service === undefined) {
    options.log(`${request.method ?? ""} ${host}: no service of the double answers for this host`);
    response.writeHead(isKnownHost(host) ? 501 : 421, { "content-type": "application/json" });
    const message = `The double of Azure has no service for ${host.slice(0, 100)}: it is not installed, or not built.`;
    response.end(JSON.stringify({ error: { code: "NotImplementedByTwin", message } }));
    request.resume();
    return;
  }
  if (options.intercept(service, exchange)) return;
  service.handle(request, response);
}

/** The host of CONNECT's authority-form where it is Azure's, on port 443; else null. */
function connectHost(target: string): string | null {
  const [, host = ""] = /^([^:]+):443$/.exec(target.toLowerCase()) ?? [];
  return isKnownHost(host) ? host : null;
}

function setLimits(server: Server): void {
  server.maxConnections = MAX_CONNECTIONS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  // A gibibyte over a slow disk takes longer than Node's five minutes.
  server.requestTimeout = 0;
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, LOOPBACK);
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}
