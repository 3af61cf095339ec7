import { z } from "zod";
import type { DataAction } from "./access.ts";
import { base64UrlText, decodeBase64Url, parseBody } from "./forms.ts";
import { ARM_SETTING, HSM_DOMAINS, keepDownload } from "./hsm-domain.ts";
import { badParameter, KeyVaultRefusal } from "./refusal.ts";
import type { Call, Parts, Route } from "./routes.ts";

const MIN_MODULUS_BYTES = 256;

const act = (hsm: string): DataAction => ({
  vault: null,
  hsm: `Microsoft.KeyVault/managedHsm/${hsm}`,
});

/** POST securitydomain/download. @see learn.microsoft.com/rest/api/keyvault/securitydomain */
const downloadSchema = z.strictObject({
  certificates: z
    .array(
      z.strictObject({
        kid: z.string().optional(),
        kty: z.literal("RSA"),
        key_ops: z.array(z.string()),
        n: base64UrlText,
        e: base64UrlText,
        x5c: z.array(z.string().max(20_000)).min(1),
        use: z.literal("enc").optional(),
        x5t: base64UrlText.optional(),
        "x5t#S256": base64UrlText,
        alg: z.literal("RSA-OAEP-256"),
      }),
    )
    .min(3)
    .max(10),
  required: z.int().min(2).max(10),
});

const settingSchema = z.strictObject({ value: z.enum(["true", "false"]) });

/** The security domain, whose download activates an HSM, and the HSM's settings. */
export function hsmDomainRoutes(parts: Parts): Readonly<Record<string, Route>> {
  const { state } = parts.base;
  return {
    "POST /securitydomain/download": {
      action: act("securitydomain/download/action"),
      object: null,
      isForActivation: true,
      run: (call) => download(parts, call),
    },
    "GET /securitydomain/download/pending": {
      action: act("securitydomain/download/read"),
      object: null,
      isForActivation: true,
      run: ({ instance }) => {
        if (state.get(HSM_DOMAINS, instance.host) !== null)
          return { json: { status: "Success", status_details: "The resource is active." } };
        throw new KeyVaultRefusal(404, "NotFound", {
          message: "There is no download of the security domain.",
        });
      },
    },
    "GET /settings": {
      action: act("settings/read/action"),
      object: null,
      run: ({ instance }) => ({ json: { settings: [settingOf(parts, instance.host)] } }),
    },
    "GET /settings/:setting": {
      action: act("settings/read/action"),
      object: null,
      run: (call) => {
        requireSetting(call);
        return { json: settingOf(parts, call.instance.host) };
      },
    },
    "PATCH /settings/:setting": {
      action: act("settings/write/action"),
      object: null,
      run: async (call) => {
        requireSetting(call);
        const { value } = parseBody(settingSchema, await call.body());
        const { host } = call.instance;
        const domain = state.get(HSM_DOMAINS, host);
        if (domain !== null)
          state.put(HSM_DOMAINS, host, { ...domain, allowsArm: value === "true" });
        return { json: settingOf(parts, host) };
      },
    },
  };
}

/** What is downloaded holds nothing: the double's keys lie in its state, and nothing is restored. */
async function download({ base }: Parts, { instance, apiVersion, body }: Call) {
  const { certificates, required } = parseBody(downloadSchema, await body());
  if (required > certificates.length)
    throw badParameter(
      `Property required has invalid value: ${required} of ${certificates.length} certificates`,
    );
  const thumbprints = certificates.map((one) => one["x5t#S256"].replace(/={1,2}$/, ""));
  if (new Set(certificates.map(({ n }) => n)).size < certificates.length)
    throw badParameter("Property certificates has invalid value: a key is there twice");
  if (certificates.some(({ n }) => decodeBase64Url(n, "n").length < MIN_MODULUS_BYTES))
    throw badParameter("Property certificates has invalid value: RSA of 2048 bits or more");
  const at = Math.floor(base.clock() / 1000);
  keepDownload(base.state, instance, { at, certificates: thumbprints, required });
  const value = {
    simulated: "A security domain of ppml's double of Azure: it holds no key and restores nothing.",
    hsm: instance.name,
    required,
    certificates: thumbprints,
  };
  return {
    status: 202,
    json: { value: JSON.stringify(value) },
    headers: {
      "azure-asyncoperation": `https://${instance.host}/securitydomain/download/pending?api-version=${apiVersion}`,
      "retry-after": "1",
    },
  };
}

function requireSetting(call: Call): void {
  if (call.parameter("setting").toLowerCase() === ARM_SETTING.toLowerCase()) return;
  throw new KeyVaultRefusal(404, "NotFound", {
    message: `The setting ${call.parameter("setting").slice(0, 100)} was not found`,
  });
}

function settingOf({ base }: Parts, host: string) {
  const value = String(base.state.get(HSM_DOMAINS, host)?.allowsArm ?? false);
  return { name: ARM_SETTING, type: "boolean", value };
}
