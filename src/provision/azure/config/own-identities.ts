/** Identities of the template's own: they may not be names of `azure.identities`. */
export const OWN_IDENTITIES = ["aks-control", "aks-nodes", "vm"] as const;
export type OwnIdentity = (typeof OWN_IDENTITIES)[number];
