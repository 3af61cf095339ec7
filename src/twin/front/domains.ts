/** Domains of Azure that the front stands in for; nothing outside them is answered or certified. */
export const DOMAINS: readonly string[] = [
  "login.microsoftonline.com",
  "management.azure.com",
  "management.core.windows.net",
  "graph.microsoft.com",
  "prices.azure.com",
  "vault.azure.net",
  "managedhsm.azure.net",
  "blob.core.windows.net",
  "dfs.core.windows.net",
  "attest.azure.net",
  "oic.prod-aks.azure.com",
  // Where the tokens of the double say that they are from: no such domain exists (RFC 2606).
  "simulation.invalid",
];

/** Whether a host name (in small letters, without a port) is one of Azure that the front knows. */
export function isKnownHost(host: string): boolean {
  return (
    /^[a-z0-9.-]{1,253}$/.test(host) &&
    DOMAINS.some((domain) => host === domain || host.endsWith(`.${domain}`))
  );
}
