import type { TwinPrincipal } from "../service.ts";
import { badRequest } from "./refusal.ts";
import type { ArmContext, Json } from "./type-spec.ts";

/** A request, authenticated, with its body read. */
export type ArmRequest = {
  readonly context: ArmContext;
  readonly method: string;
  /** Decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Json;
  readonly apiVersion: string;
  readonly principal: TwinPrincipal;
  /** The pattern's parts by their names, in the letters of the request. */
  readonly parts: Readonly<Record<string, string>>;
};

/** What is answered. */
export type Reply = {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Route = {
  /** GET, HEAD, PUT, PATCH, POST, DELETE. */
  readonly method: string;
  readonly pattern: RegExp;
  readonly handle: (request: ArmRequest) => Promise<Reply> | Reply;
};

/**
 * A route of a path such as /subscriptions/:subscription/resourceGroups/:group; letter case does not
 * count, and `:scope*` stands for any number of segments.
 */
export function route(method: string, path: string, handle: Route["handle"]): Route {
  const source = path
    .replaceAll(/[.()]/g, String.raw`\$&`)
    .replaceAll(/:([a-z]+)\*/gi, "(?<$1>.*?)")
    .replaceAll(/:([a-z]+)/gi, "(?<$1>[^/]+)");
  return { method, pattern: new RegExp(`^${source}/?$`, "i"), handle };
}

/** The parts of a path that a route fits, or null. */
export function matchRoute(
  { method, pattern }: Route,
  request: { readonly method: string; readonly path: string },
): Readonly<Record<string, string>> | null {
  if (method !== request.method) return null;
  const match = pattern.exec(request.path);
  return match === null ? null : { ...match.groups };
}

/** A part of the path. */
export function part({ parts }: ArmRequest, name: string): string {
  return parts[name] ?? "";
}

/** Refuses API versions that the double does not know. @throws ArmRefusal */
export function requireVersion(
  { apiVersion }: ArmRequest,
  versions: readonly string[],
  type: string,
): void {
  if (!versions.includes(apiVersion))
    throw badRequest(
      "InvalidApiVersionParameter",
      `The api-version '${apiVersion.slice(0, 30)}' is invalid for '${type}'. The supported versions are '${versions.join(",")}'.`,
    );
}

/** A list in the form of ARM: all of it on one page. */
export function listReply(value: readonly unknown[]): Reply {
  return { status: 200, body: { value } };
}

/** Makes routes of a type that is both a subscription's and a group's, in the versions that it has. */
export function routesAtBothScopes(options: {
  readonly type: string;
  readonly versions: readonly string[];
}): (method: string, tail: string, handle: Route["handle"]) => readonly Route[] {
  const { type, versions } = options;
  return (method, tail, handle) => {
    const versioned: Route["handle"] = (request) => {
      requireVersion(request, versions, type);
      return handle(request);
    };
    return [
      `/subscriptions/:subscription/resourceGroups/:group/providers/${type}${tail}`,
      `/subscriptions/:subscription/providers/${type}${tail}`,
    ].map((path) => route(method, path, versioned));
  };
}
