import { EntraRefusal } from "./refusal.ts";

/** What tokens are asked for, as resource URIs or application ids. */
const RESOURCES: readonly RegExp[] = [
  /^https:\/\/management\.azure\.com$/,
  /^https:\/\/management\.core\.windows\.net$/,
  /^https:\/\/vault\.azure\.net$/,
  /^https:\/\/managedhsm\.azure\.net$/,
  /^https:\/\/storage\.azure\.com$/,
  /^https:\/\/[a-z0-9]{3,24}\.(?:blob|dfs)\.core\.windows\.net$/,
  /^https:\/\/attest\.azure\.net$/,
  /^https:\/\/graph\.microsoft\.com$/,
  /^https:\/\/containerregistry\.azure\.net$/,
  /^https:\/\/api\.loganalytics\.io$/,
  // AKS's server application for Entra ID, the same in every tenant.
  /^6dae42f8-4368-4678-94ff-3960e28e3630$/,
  /^api:\/\/AzureADTokenExchange$/,
];

const SUFFIX = "/.default";

/** The resource of a scope `RESOURCE/.default`. @throws EntraRefusal */
export function resourceOfScope(scope: string): string {
  const wanted = scope
    .split(" ")
    .filter((part) => !["openid", "profile", "offline_access", ""].includes(part));
  const [only, ...rest] = wanted;
  if (only === undefined || rest.length > 0 || !only.endsWith(SUFFIX))
    throw new EntraRefusal(
      "scope",
      `The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope ${scope.slice(0, 200)} is not valid.`,
    );
  return knownResource(only.slice(0, -SUFFIX.length));
}

/** The resource, where the double knows a service of that name. @throws EntraRefusal */
export function knownResource(resource: string): string {
  const name = withoutSlash(resource);
  if (!RESOURCES.some((pattern) => pattern.test(name)))
    throw new EntraRefusal(
      "resource",
      `The resource principal named ${resource.slice(0, 200)} was not found in the tenant.`,
    );
  return resource;
}

/** Whether two names of a resource are the same: a slash at the end does not count. */
export function isSameResource(one: string, other: string): boolean {
  return withoutSlash(one) === withoutSlash(other);
}

function withoutSlash(resource: string): string {
  return resource.replace(/\/+$/, "");
}
