import { createHash } from "node:crypto";
import { z } from "zod";
import { fromBase64, toBase64, toBase64Url } from "../../base/index.ts";
import { certificatePem, issueServerCertificate } from "../../attest/x509/server-certificate.ts";
import type { DataAction } from "./access.ts";
import { attributesOf, joinable, keep, newVersionId, nowOf, requireVersion } from "./collection.ts";
import type { Shelf } from "./collection.ts";
import { CERTIFICATES } from "./documents.ts";
import type { CertificateDocument, CertificateVersion, KeyVersion } from "./documents.ts";
import { attributesSchema, parseBody, requireName, tagsSchema } from "./forms.ts";
import type { Instance } from "./instance.ts";
import { KEY_KIND } from "./key-forms.ts";
import { makeMaterial, privateKeyOf } from "./key-material.ts";
import { badParameter } from "./refusal.ts";
import type { Call, Parts, Route } from "./routes.ts";
import { addSecret, SECRET_KIND } from "./secrets.ts";
import { current, itemOf, shelfRoutes } from "./shelf-routes.ts";
import type { ShelfKind } from "./shelf-routes.ts";

const DAY_MS = 86_400_000;
const PEM = "application/x-pem-file";

const policySchema = z.strictObject({
  id: z.string().optional(),
  issuer: z.strictObject({ name: z.literal("Self", "the double issues by the issuer Self alone") }),
  key_props: z
    .strictObject({
      kty: z.literal("RSA", "the double makes RSA certificates alone").optional(),
      key_size: z.int().optional(),
      exportable: z.boolean().optional(),
      reuse_key: z.literal(false).optional(),
    })
    .optional(),
  secret_props: z.strictObject({
    contentType: z.literal(PEM, `the double makes secrets of type ${PEM} alone`),
  }),
  x509_props: z.strictObject({
    subject: z.string().regex(/^CN=[^,=+]{1,64}$/, "expected CN=NAME alone"),
    sans: z.strictObject({ dns_names: z.array(z.string()).min(1) }).optional(),
    validity_months: z.int().min(1).max(120).optional(),
    ekus: z.array(z.string()).optional(),
    key_usage: z.array(z.string()).optional(),
  }),
  lifetime_actions: z.array(z.unknown()).optional(),
  attributes: z.unknown().optional(),
});

const createSchema = z.strictObject({
  policy: policySchema,
  attributes: attributesSchema.optional(),
  tags: tagsSchema.optional(),
});

const act = (vault: string): DataAction => ({
  vault: `Microsoft.KeyVault/vaults/certificates/${vault}`,
  hsm: null,
});

const CERTIFICATE_KIND: ShelfKind<CertificateVersion, CertificateDocument> = {
  collection: { path: "certificates", noun: "Certificate", kind: CERTIFICATES },
  show: (instance, document, version = current(document)) => {
    const { host } = instance;
    const place = `${document.name}/${version.version}`;
    return {
      id: `https://${host}/certificates/${place}`,
      kid: `https://${host}/keys/${place}`,
      sid: `https://${host}/secrets/${place}`,
      x5t: thumbprint(version),
      cer: version.cer,
      attributes: attributesOf(instance, version),
      tags: version.tags,
      policy: {
        ...document.policy,
        id: `https://${host}/certificates/${document.name}/policy`,
      },
    };
  },
  item: (instance, { document, version, versioned }) => ({
    ...itemOf(instance, {
      member: "id",
      id: `https://${instance.host}/certificates/${document.name}${versioned ? `/${version.version}` : ""}`,
      version,
    }),
    x5t: thumbprint(version),
  }),
  actions: {
    list: act("read"),
    delete: act("delete"),
    readDeleted: act("read"),
    recover: act("recover/action"),
    purge: act("purge/action"),
    backup: act("backup/action"),
    restore: act("restore/action"),
  },
};

/**
 * The certificates of a vault, as far as the double makes them: self-signed, RSA, with a PEM secret.
 * Deleting one leaves its key and secret, which Key Vault would delete with it.
 */
export function certificateRoutes(parts: Parts): Readonly<Record<string, Route>> {
  const on = (instance: Instance): Shelf<CertificateVersion, CertificateDocument> => ({
    collection: CERTIFICATE_KIND.collection,
    instance,
    base: parts.base,
  });
  const get: Route = {
    action: act("read"),
    object: "certificates",
    run: (call) => {
      const { document, version } = requireVersion(on(call.instance), placeOf(call));
      return { json: CERTIFICATE_KIND.show(call.instance, document, version) };
    },
  };
  return {
    ...shelfRoutes(parts, CERTIFICATE_KIND),
    "POST /certificates/:name/create": {
      action: act("create/action"),
      object: "certificates",
      run: async (call) => {
        const name = requireName(call.parameter("name"));
        const request = parseBody(createSchema, await call.body());
        await createCertificate(parts, on(call.instance), { name, request });
        return { status: 202, json: operationOf(call, name) };
      },
    },
    "GET /certificates/:name/pending": {
      action: act("read"),
      object: "certificates",
      run: (call) => {
        requireVersion(on(call.instance), { ...placeOf(call), version: "" });
        return { json: operationOf(call, call.parameter("name")) };
      },
    },
    "GET /certificates/:name/policy": {
      action: act("read"),
      object: "certificates",
      run: (call) => {
        const { document } = requireVersion(on(call.instance), { ...placeOf(call), version: "" });
        return { json: document.policy };
      },
    },
    "GET /certificates/:name": get,
    "GET /certificates/:name/:version": get,
  };
}

async function createCertificate(
  parts: Parts,
  shelf: Shelf<CertificateVersion, CertificateDocument>,
  asked: { readonly name: string; readonly request: z.infer<typeof createSchema> },
): Promise<void> {
  const { name, request } = asked;
  const { policy, attributes = {}, tags = {} } = request;
  const before = joinable(shelf, name);
  parts.throttle(shelf.instance, "software-create");
  const bits = policy.key_props?.key_size ?? 2048;
  const material = await makeMaterial({ kty: "RSA", bits, curve: null });
  const key = privateKeyOf({ material });
  const commonName = policy.x509_props.subject.slice(3);
  const nowMs = shelf.base.clock();
  const months = policy.x509_props.validity_months ?? 12;
  const cer = issueServerCertificate({
    commonName,
    names: policy.x509_props.sans?.dns_names ?? [commonName],
    key,
    notBeforeMs: nowMs,
    notAfterMs: nowMs + months * 30 * DAY_MS,
  });
  const created = nowOf(shelf);
  const common = {
    version: newVersionId(shelf),
    enabled: attributes.enabled ?? true,
    nbf: Math.floor(nowMs / 1000),
    exp: Math.floor((nowMs + months * 30 * DAY_MS) / 1000),
    created,
    updated: created,
    tags,
  };
  keepKey(parts, shelf.instance, { name, version: { ...common, material } });
  const pem = `${key.export({ type: "pkcs8", format: "pem" }).toString()}${certificatePem(cer)}`;
  addSecret(
    { collection: SECRET_KIND.collection, instance: shelf.instance, base: parts.base },
    { name, value: pem, contentType: PEM, managed: true, version: common.version },
  );
  keep(shelf, {
    name: before?.name ?? name,
    deleted: null,
    policy,
    versions: [...(before?.versions ?? []), { ...common, cer: toBase64(cer) }],
  });
}

function keepKey(
  parts: Parts,
  instance: Instance,
  made: {
    readonly name: string;
    readonly version: Omit<KeyVersion, "kty" | "keyOps" | "exportable">;
  },
): void {
  const shelf = { collection: KEY_KIND.collection, instance, base: parts.base };
  const before = joinable(shelf, made.name);
  if (before !== null && !before.managed)
    throw badParameter(`A key of the name ${made.name} exists and belongs to no certificate.`);
  const version: KeyVersion = {
    ...made.version,
    kty: "RSA",
    keyOps: ["sign", "verify", "encrypt", "decrypt", "wrapKey", "unwrapKey"],
    exportable: true,
  };
  keep(shelf, {
    name: made.name,
    deleted: null,
    managed: true,
    releasePolicy: null,
    versions: [...(before?.versions ?? []), version],
  });
}

/** The operation that makes a certificate: done when it is asked for. */
function operationOf({ instance }: Call, name: string) {
  const id = `https://${instance.host}/certificates/${name}`;
  return {
    id: `${id}/pending`,
    issuer: { name: "Self" },
    cancellation_requested: false,
    status: "completed",
    target: id,
  };
}

function placeOf(call: Call): { readonly name: string; readonly version: string } {
  return { name: requireName(call.parameter("name")), version: call.parameter("version") };
}

function thumbprint(version: CertificateVersion): string {
  return toBase64Url(new Uint8Array(createHash("sha1").update(fromBase64(version.cer)).digest()));
}
