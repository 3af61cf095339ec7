import { z } from "zod";
import { PpmlError } from "../../base/index.ts";
import type { MaaJwks } from "./maa-jwks.ts";

/** A provider of MAA that the relying party trusts, as it was pinned. */
export type MaaProvider = {
  /** Its URL without a slash at the end: compared with the token's `iss` letter by letter. */
  readonly issuer: string;
  /** Its signing keys: fetched from `issuer`/certs over TLS, or read from a file. */
  readonly jwks: MaaJwks;
  /**
   * Which policies of the provider are accepted: base64url SHA-256, as `x-ms-policy-hash` has it. A
   * provider's owner can change its policy, and with it what a token means. `shared-provider`: it is
   * one of Azure's own, whose policy nobody outside Azure can change.
   */
  readonly policy: { readonly hashes: readonly string[] } | "shared-provider";
};

/** What is said of a provider in configuration, without its keys. */
export const maaPinShape = {
  issuer: z.string().max(300).refine(isAzureIssuer, {
    error: "expected a provider in Azure, as https://NAME.REGION.attest.azure.net",
  }),
  policy: z.union([
    z.literal("shared-provider"),
    z
      .array(z.string().regex(/^[A-Za-z0-9_-]{43}$/, "expected a SHA-256 in base64url"))
      .min(1)
      .max(20),
  ]),
};

/**
 * Regions of Azure's shared providers, as Azure's own documents and templates name them. One that is
 * not here is used by pinning its policy's hash: a customer could have taken a name of that form.
 * @see learn.microsoft.com/azure/attestation/basic-concepts, "Regional shared provider"
 */
const SHARED_REGIONS: ReadonlySet<string> = new Set(
  (
    "cac cae cin cus cuse dewc easia eau eus eus2 eus2e itn jpe ncus neu " +
    "sasia sau scus swn uaen uks ukw weu wus wus3"
  ).split(" "),
);

const SHARED = /^https:\/\/shared([a-z0-9]+)\.([a-z0-9]+)\.attest\.azure\.net$/;
const AZURE = /^https:\/\/(?:[a-z0-9-]{1,63}\.){2,3}attest\.azure\.(?:net|us|cn)$/;

/** Tells whether an issuer is a provider in Azure, in the exact form that tokens have it. */
export function isAzureIssuer(issuer: string): boolean {
  return AZURE.test(issuer);
}

/** Tells whether an issuer is one of Azure's shared providers. */
export function isSharedProvider(issuer: string): boolean {
  const match = SHARED.exec(issuer);
  return match?.[1] !== undefined && match[1] === match[2] && SHARED_REGIONS.has(match[1]);
}

/**
 * The one pinned provider of that issuer.
 * @throws attest.not_verified where none, or more than one, has exactly that issuer
 */
export function pinnedProvider(providers: readonly MaaProvider[], issuer: string): MaaProvider {
  const [provider, ...rest] = providers.filter((candidate) => candidate.issuer === issuer);
  if (provider === undefined)
    throw new PpmlError(
      "attest.not_verified",
      `expected a token of ${providers.map((pinned) => pinned.issuer).join(" or ") || "a pinned provider"}, got one of ${issuer}: pin that provider if you trust it`,
      { detail: { issuer } },
    );
  if (rest.length > 0)
    throw new PpmlError("attest.not_verified", `the provider ${issuer} is pinned more than once`);
  return provider;
}

/** Compares a token's policy hash with what is pinned. @throws attest.not_verified */
export function checkProviderPolicy(provider: MaaProvider, policyHash: string): void {
  if (provider.policy === "shared-provider") {
    if (!isSharedProvider(provider.issuer))
      throw new PpmlError(
        "attest.not_verified",
        `${provider.issuer} is not one of Azure's shared providers: its owner can change its policy, so pin the policy's hash`,
      );
    return;
  }
  if (!provider.policy.hashes.includes(policyHash))
    throw new PpmlError(
      "attest.not_verified",
      `the provider's policy has the hash ${policyHash}, which is not pinned: the policy was changed; look at it, then pin its hash`,
      { detail: { policyHash, pinned: provider.policy.hashes } },
    );
}
