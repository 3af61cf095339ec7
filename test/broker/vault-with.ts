import type { Vault } from "../../src/key/vault.ts";

/** The same vault with some methods replaced; whoever made it disposes it. */
export function vaultWith(vault: Vault, changes: Partial<Vault>): Vault {
  return {
    mode: vault.mode,
    vaultId: vault.vaultId,
    createKek: (options) => vault.createKek(options),
    listKeks: () => vault.listKeks(),
    showKek: (id) => vault.showKek(id),
    publicKey: (id, version) => vault.publicKey(id, version),
    unwrap: (request) => vault.unwrap(request),
    unwrapAll: (requests) => vault.unwrapAll(requests),
    disableKek: (id) => vault.disableKek(id),
    enableKek: (id) => vault.enableKek(id),
    rotateKek: (id) => vault.rotateKek(id),
    fixReleasePolicy: (id) => vault.fixReleasePolicy(id),
    destroyKek: (id) => vault.destroyKek(id),
    [Symbol.dispose]: () => undefined,
    ...changes,
  };
}
