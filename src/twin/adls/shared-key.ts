import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** A request as far as its signature covers it. */
export type SignedRequest = {
  readonly method: string;
  /** Path and query as they were sent, percent-encoded. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders | OutgoingHttpHeaders;
};

const SIGNED_HEADERS = [
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-type",
  "date",
  "if-modified-since",
  "if-match",
  "if-none-match",
  "if-unmodified-since",
  "range",
];

/**
 * The `Authorization` value of a request under an account's key.
 * @see "Authorize with Shared Key" of the Azure Storage REST API, versions from 2015-02-21 on
 */
export function sharedKeyAuthorization(
  request: SignedRequest,
  account: { readonly name: string; readonly key: Uint8Array },
): string {
  const signature = createHmac("sha256", account.key)
    .update(stringToSign(request, account.name), "utf8")
    .digest("base64");
  return `SharedKey ${account.name}:${signature}`;
}

/** Whether a request is signed with one of an account's keys. */
export function isSharedKeyOf(
  request: SignedRequest,
  account: { readonly name: string; readonly keys: readonly Uint8Array[] },
): boolean {
  const given = Buffer.from(textOf(request.headers["authorization"]));
  return account.keys.some((key) => {
    const wanted = Buffer.from(sharedKeyAuthorization(request, { name: account.name, key }));
    return given.byteLength === wanted.byteLength && timingSafeEqual(given, wanted);
  });
}

function stringToSign(request: SignedRequest, account: string): string {
  const { method, headers, target } = request;
  const standard = SIGNED_HEADERS.map((name) => {
    const value = textOf(headers[name]);
    // "If the content length is zero, set this part of the string to an empty string."
    return name === "content-length" && value === "0" ? "" : value;
  });
  const own = Object.keys(headers)
    .filter((name) => name.startsWith("x-ms-"))
    .sort()
    .map((name) => `${name}:${textOf(headers[name]).replaceAll(/\s+/g, " ").trim()}\n`);
  return `${[method, ...standard].join("\n")}\n${own.join("")}${canonicalResource(account, target)}`;
}

function canonicalResource(account: string, target: string): string {
  const url = new URL(target, "http://service");
  // As it was sent: the URL class would normalize it.
  const path = target.split("?", 1)[0] ?? "/";
  const parameters = new Map<string, string[]>();
  for (const [name, value] of url.searchParams) {
    const key = name.toLowerCase();
    parameters.set(key, [...(parameters.get(key) ?? []), value]);
  }
  const lines = [...parameters]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, values]) => `\n${name}:${values.sort().join(",")}`);
  return `/${account}${path}${lines.join("")}`;
}

function textOf(value: string | readonly string[] | number | undefined): string {
  if (value === undefined) return "";
  return typeof value === "object" ? value.join(",") : String(value);
}
