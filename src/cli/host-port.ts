import { isIP } from "node:net";

/** Where something listens. */
export type HostPort = { readonly host: string; readonly port: number };

/** Parses `HOST:PORT`, an IPv6 address in brackets; for flags. */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3] ?? Number.NaN);
  const isHost = match?.[1] === undefined ? /^[A-Za-z0-9.-]{1,253}$/.test(host) : isIP(host) === 6;
  if (isHost && port <= 65_535) return { host, port };
  throw new RangeError("expected HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443");
}
