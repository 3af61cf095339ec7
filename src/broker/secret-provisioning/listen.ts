import { constants } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { readRaTlsCertificate } from "../../attest/evidence/ra-tls.ts";
import type { RaTlsEvidence } from "../../attest/evidence/ra-tls.ts";
import { isPpmlError, PpmlError } from "../../base/index.ts";
import type { Clock, Secret } from "../../base/index.ts";
import { encodeSecretResponse, isWholeRequest } from "./messages.ts";

const MAX_CONNECTIONS = 256;

/** How long a client may take: for the handshake, and then for its request; in milliseconds. */
export type ClientLimits = {
  readonly handshakeTimeoutMs: number;
  readonly requestTimeoutMs: number;
};

export const CLIENT_LIMITS: ClientLimits = { handshakeTimeoutMs: 10_000, requestTimeoutMs: 10_000 };

/** What the server is and whom it asks. */
export type SecretProvisioningOptions = {
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** The server's certificates in PEM, leaf first; clients check them against SECRET_PROVISION_CA_CHAIN_PATH. */
  readonly certificates: string;
  readonly privateKey: KeyObject;
  /**
   * Decides on a client that has the key of an RA-TLS certificate whose quote binds that key; the
   * quote itself is not verified yet. Gives the secret, which is disposed of here, or rejects.
   */
  readonly decide: (evidence: RaTlsEvidence) => Promise<Secret>;
  /** Told of every client that got nothing. */
  readonly onRefused: (error: PpmlError) => void;
  readonly now: Clock;
  readonly limits?: ClientLimits;
};

/** A server that listens; `close` ends it and its open connections. */
export type SecretProvisioning = {
  readonly port: number;
  readonly close: () => Promise<void>;
};

/**
 * Listens for unmodified clients of Gramine's secret provisioning: TLS 1.2 or newer, an RA-TLS
 * certificate of the client, one request, one secret. Whoever is refused is cut off without a word:
 * the protocol has none. Sessions are not resumed, as that would skip the certificate.
 * @throws broker.state where it cannot listen
 * @see docs/protocol.md section "Secret provisioning"
 */
export async function listenForSecretProvisioning(
  options: SecretProvisioningOptions,
): Promise<SecretProvisioning> {
  const { limits = CLIENT_LIMITS } = options;
  const sockets = new Set<Socket>();
  const server = createServer({
    cert: options.certificates,
    key: options.privateKey.export({ format: "pem", type: "pkcs8" }),
    minVersion: "TLSv1.2",
    requestCert: true,
    // Clients' certificates are self-signed: what is in them decides.
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: limits.handshakeTimeoutMs,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", (cause, socket) => {
    // Node leaves the connection of a handshake that took too long open.
    socket.destroy();
    options.onRefused(refusedBecause("no TLS handshake", cause));
  });
  server.on("secureConnection", (socket) => {
    // A connection that breaks closes, and that is what is waited for.
    socket.on("error", () => socket.destroy());
    serve(socket, options, limits).catch((error: unknown) => {
      socket.destroy();
      options.onRefused(isPpmlError(error) ? error : refusedBecause("the decision failed", error));
    });
  });
  server.listen(options.port, options.host);
  try {
    await once(server, "listening");
  } catch (cause) {
    throw new PpmlError(
      "broker.state",
      `cannot listen for secret provisioning on ${options.host}:${options.port}: take a free port, or an address of this machine`,
      { cause },
    );
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function serve(
  socket: TLSSocket,
  options: SecretProvisioningOptions,
  limits: ClientLimits,
): Promise<void> {
  const evidence = evidenceOf(socket, options.now());
  await readRequest(socket, limits.requestTimeoutMs);
  using secret = await options.decide(evidence);
  const response = secret.expose(encodeSecretResponse);
  try {
    await send(socket, response, limits.requestTimeoutMs);
  } finally {
    response.fill(0);
  }
}

function evidenceOf(socket: TLSSocket, nowMs: number): RaTlsEvidence {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || socket.isSessionReused())
    throw refusedBecause("the client showed no certificate");
  return readRaTlsCertificate(new Uint8Array(certificate.raw), { nowMs });
}

function readRequest(socket: TLSSocket, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let received = Buffer.alloc(0);
  const take = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    try {
      if (isWholeRequest(received)) resolve();
    } catch (error) {
      reject(error);
    }
  };
  const left = (): void => reject(refusedBecause("the client left before its request was whole"));
  // The whole request has to come in this time: a client cannot keep it open byte by byte.
  const timer = setTimeout(() => {
    reject(refusedBecause(`the client sent no whole request within ${timeoutMs} ms`));
  }, timeoutMs);
  socket.on("data", take).on("close", left).on("end", left);
  return promise.finally(() => {
    clearTimeout(timer);
    // Nothing more is read: what a client sends behind its request fills no memory here.
    socket.off("data", take).off("close", left).off("end", left).pause();
  });
}

/** Ends the connection behind the response; a client that does not take it is cut off. */
function send(socket: TLSSocket, response: Uint8Array, timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const left = (): void => reject(refusedBecause("the client left before it took its secret"));
  const timer = setTimeout(() => {
    reject(refusedBecause(`the client did not take its secret within ${timeoutMs} ms`));
  }, timeoutMs);
  socket.once("close", left);
  socket.end(response, (error?: Error | null) => {
    if (error === undefined || error === null) resolve();
    else left();
  });
  return promise.finally(() => clearTimeout(timer));
}

function refusedBecause(what: string, cause?: unknown): PpmlError {
  return new PpmlError(
    "broker.invalid_request",
    `secret provisioning: ${what}`,
    cause === undefined ? {} : { cause },
  );
}
