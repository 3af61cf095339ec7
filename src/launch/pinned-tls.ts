import { isIP } from "node:net";
import { connect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { equalBytes, fromHex, PpmlError, sha256 } from "../base/index.ts";

/** A broker on TCP: its place, and SHA-256 (hex) of the public key that its certificate has to have. */
export type PinnedBroker = { readonly url: string; readonly spkiSha256: string };

/**
 * Connects by TLS 1.3 to a server whose key is pinned: nothing is sent before the key was compared.
 * Names and issuers do not count; the pin is the whole trust.
 * Rejects with broker.unavailable, and config.invalid where the URL or the pin has another form.
 */
export async function connectPinned(
  broker: PinnedBroker,
  options: { readonly signal: AbortSignal },
): Promise<TLSSocket> {
  const { host, port, pin } = parsePinned(broker);
  const socket = connect({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: "TLSv1.3",
    // The pin replaces the roots; it is compared before the socket is given to anybody.
    rejectUnauthorized: false,
  });
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const fail = (what: string, cause?: unknown): void => {
    socket.destroy();
    reject(new PpmlError("broker.unavailable", `the broker at ${broker.url}: ${what}`, { cause }));
  };
  const abort = (): void => fail("no answer in time");
  options.signal.addEventListener("abort", abort, { once: true });
  socket.once("error", (cause) => fail("no TLS 1.3 connection: is it running?", cause));
  socket.once("secureConnect", () => {
    const certificate = socket.getPeerX509Certificate();
    const spki = certificate?.publicKey.export({ format: "der", type: "spki" });
    if (spki !== undefined && equalBytes(sha256(spki), pin)) resolve(socket);
    else fail("its key is not the pinned one: compare it with what the broker printed");
  });
  return await promise.finally(() => options.signal.removeEventListener("abort", abort));
}

function parsePinned(broker: PinnedBroker): {
  readonly host: string;
  readonly port: number;
  readonly pin: Uint8Array;
} {
  const url = URL.canParse(broker.url) ? new URL(broker.url) : null;
  if (
    url === null ||
    url.protocol !== "https:" ||
    url.href !== `${url.origin}/` ||
    !/^[0-9a-f]{64}$/.test(broker.spkiSha256)
  )
    throw new PpmlError(
      "config.invalid",
      "expected the broker's place as https://HOST:PORT and its key's SHA-256 as 64 hex digits",
    );
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { host, port: url.port === "" ? 443 : Number(url.port), pin: fromHex(broker.spkiSha256) };
}
