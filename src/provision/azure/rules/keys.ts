import { fromBase64Url, fromUtf8 } from "../../../base/index.ts";
import type { ArmResource } from "../arm/resource.ts";
import { allResources, isObject, memberOf, type Rule, textsOf, titleOf } from "./rule.ts";

const KEY_TYPES: ReadonlySet<string> = new Set([
  "Microsoft.KeyVault/managedHSMs/keys",
  "Microsoft.KeyVault/vaults/keys",
]);

const UNWRAPPING: ReadonlySet<string> = new Set(["unwrapKey", "decrypt"]);

/** A KEK either leaves the vault by its policy, or unwraps inside it; never both. */
export const oneUseOfKeks: Rule = {
  name: "one-use-of-keks",
  why: "An exportable key that the vault also unwraps with goes round its release policy.",
  check: ({ template }) =>
    keysOf(template).flatMap((one) => {
      const { properties } = one;
      const resource = titleOf(one);
      const ops = textsOf(properties["keyOps"]);
      const isExportable = memberOf(properties, "attributes", "exportable") === true;
      const found: string[] = [];
      const wrong = ops.filter((op) => UNWRAPPING.has(op));
      if (isExportable && wrong.length > 0)
        found.push(`an exportable KEK may not have ${wrong.join(" and ")}`);
      if (isExportable && ops.length === 0)
        found.push("an exportable KEK must list its operations: without a list it has all");
      if (isExportable && !hasPolicy(one))
        found.push("an exportable KEK needs a release policy that names an authority");
      if (!isExportable && properties["release_policy"] !== undefined)
        found.push("an unwrap-only KEK has no release policy");
      if (!isExportable && ops.includes("decrypt"))
        found.push("a KEK wraps and unwraps: it has no decrypt");
      return found.map((message) => ({ resource, message }));
    }),
};

/** HSM keys of RSA-3072 or more. */
export const strongKeks: Rule = {
  name: "strong-keks",
  why: "The formats take RSA of 3072 bits or more, and a KEK's private half lives in an HSM.",
  check: ({ template }) =>
    keysOf(template).flatMap((one) => {
      const size = one.properties["keySize"];
      const isStrong =
        one.properties["kty"] === "RSA-HSM" && typeof size === "number" && size >= 3072;
      return isStrong
        ? []
        : [{ resource: titleOf(one), message: "expected RSA-HSM, 3072 or more" }];
    }),
};

function keysOf(template: { readonly resources: readonly ArmResource[] }): readonly ArmResource[] {
  return allResources(template).filter(({ type }) => KEY_TYPES.has(type));
}

function hasPolicy({ properties }: ArmResource): boolean {
  const data = memberOf(properties, "release_policy", "data");
  if (typeof data !== "string") return false;
  try {
    const policy: unknown = JSON.parse(fromUtf8(fromBase64Url(data)));
    if (!isObject(policy) || !Array.isArray(policy["anyOf"])) return false;
    const authorities: readonly unknown[] = policy["anyOf"];
    return (
      authorities.length > 0 &&
      authorities.every(
        (one) => isObject(one) && typeof one["authority"] === "string" && hasClaims(one),
      )
    );
  } catch {
    return false; // not base64url, not UTF-8 or not JSON: no policy
  }
}

/** An authority without claims releases to whatever it attests. */
function hasClaims(authority: Readonly<Record<string, unknown>>): boolean {
  return ["allOf", "anyOf"].some((name) => {
    const claims: unknown = authority[name];
    return Array.isArray(claims) && claims.length > 0;
  });
}
