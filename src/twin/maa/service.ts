import { createPrivateKey } from "node:crypto";
import { getRequestListener } from "@hono/node-server";
import { z } from "zod";
import { fromBase64, sha256, toBase64 } from "../../base/index.ts";
import type { TwinBase, TwinService } from "../service.ts";
import { defineKind } from "../state.ts";
import type { TwinState } from "../state.ts";
import { createMaaAuthority } from "./authority.ts";
import type { MaaAuthority } from "./authority.ts";
import { createMaaDouble } from "./maa-double.ts";
import { MaaRefusal } from "./refusal.ts";
import { simulatedSnpVerifier } from "./snp.ts";
import type { EvidenceVerifier } from "./snp.ts";

const AZURE = ".attest.azure.net";
const SIMULATED = ".attest.simulation.invalid";
const MAX_PROVIDERS = 200;

/** The providers of attestation by their issuer: keys and certificates (DER, base64). */
const MAA_AUTHORITIES = defineKind(
  "maa-authority",
  z.strictObject({
    issuer: z.string(),
    privateKeyPem: z.string(),
    certificates: z.array(z.string()),
  }),
);

/** Roots of simulated platforms (DER, base64) whose Evidence the double accepts, by their SHA-256 in hex. */
export const SIMULATION_ROOTS = defineKind("simulation-root", z.strictObject({ root: z.string() }));

/** Who a provider's double says that its tokens are from: NAME.attest.azure.net as NAME.attest.simulation.invalid. */
export function maaIssuerOf(host: string): string {
  const name = host.endsWith(AZURE)
    ? host.slice(0, -AZURE.length)
    : host.slice(0, -SIMULATED.length);
  return `https://${name}${SIMULATED}`;
}

/** The provider's keys, made at its first use. They stay the same for the twin's life. */
export function openMaaAuthority(
  state: TwinState,
  options: { readonly host: string; readonly nowMs: number },
): MaaAuthority {
  const issuer = maaIssuerOf(options.host);
  const known = state.get(MAA_AUTHORITIES, issuer);
  if (known !== null) {
    const certificates = known.certificates.map((text) => fromBase64(text));
    const [leaf = new Uint8Array()] = certificates;
    const privateKey = createPrivateKey(known.privateKeyPem);
    return { issuer, keyId: toBase64(sha256(leaf)), privateKey, certificates };
  }
  const made = createMaaAuthority({ issuer, nowMs: options.nowMs });
  state.put(MAA_AUTHORITIES, issuer, {
    issuer,
    privateKeyPem: made.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    certificates: made.certificates.map((der) => toBase64(der)),
  });
  return made;
}

/** Azure Attestation's double as a service of the twin: every provider's host, each with keys of its own. */
export function maaService(base: TwinBase): TwinService {
  const { state, clock, random, log } = base;
  const providers = new Map<string, ReturnType<typeof getRequestListener>>();
  const verifiers = {
    SevSnpVm: verifierOfRoots(state),
    TdxVm: null,
    SgxEnclave: null,
  };
  const onFailure = (error: unknown): void => log(`maa failed: ${String(error)}`);
  const open = (host: string): ReturnType<typeof getRequestListener> => {
    const issuer = maaIssuerOf(host);
    const known = providers.get(issuer);
    if (known !== undefined) return known;
    if (providers.size >= MAX_PROVIDERS) providers.clear();
    const authority = openMaaAuthority(state, { host, nowMs: clock() });
    const app = createMaaDouble({ authority, verifiers, clock, random, onFailure });
    const listener = getRequestListener(app.fetch);
    providers.set(issuer, listener);
    return listener;
  };
  return {
    name: "maa",
    serves: (host) => host.endsWith(AZURE) || host.endsWith(SIMULATED),
    handle: (request, response) =>
      void open((request.headers.host ?? "").replace(/:443$/, ""))(request, response),
  };
}

/** Verifies up to whichever of the known roots the Evidence has; they may change while the twin runs. */
function verifierOfRoots(state: TwinState): EvidenceVerifier {
  return (evidence, nowMs) => {
    let refusal = new MaaRefusal(400, "InvalidParameter", {
      message: "the twin knows no simulated platform: start it in a project's folder",
    });
    for (const { document } of state.list(SIMULATION_ROOTS)) {
      try {
        return simulatedSnpVerifier(fromBase64(document.root))(evidence, nowMs);
      } catch (error) {
        if (!(error instanceof MaaRefusal)) throw error;
        refusal = error;
      }
    }
    throw refusal;
  };
}
