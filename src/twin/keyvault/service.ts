import { getRequestListener } from "@hono/node-server";
import type { TwinBase, TwinService } from "../service.ts";
import { followArm } from "./arm-changes.ts";
import { isKeyVaultHost } from "./instance.ts";
import { createKeyVaultDouble, partsOf } from "./keyvault-double.ts";
import { openReleaseSigner } from "./release-signer.ts";

/** Key Vault's and Managed HSM's double as a service of the twin. */
export function keyVaultService(base: TwinBase): TwinService {
  const signer = openReleaseSigner(base);
  const options = { base, signRelease: signer.sign };
  const app = createKeyVaultDouble(options);
  // Of its own: what ARM makes does not count against the limits of the data plane.
  const parts = partsOf(options);
  // Managed HSM's clients write its scopes with doubled slashes: ///providers/...
  const listener = getRequestListener((request) => {
    const url = new URL(request.url);
    if (!url.pathname.includes("//")) return app.fetch(request);
    url.pathname = url.pathname.replaceAll(/\/{2,}/g, "/");
    return app.fetch(new Request(url, request));
  });
  return {
    name: "keyvault",
    serves: isKeyVaultHost,
    onResource: (change) => followArm(parts, change),
    handle: (request, response) => void listener(request, response),
  };
}
