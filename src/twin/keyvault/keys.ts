import type { z } from "zod";
import { requireVersion } from "./collection.ts";
import type { Shelf } from "./collection.ts";
import type { KeyDocument, KeyVersion } from "./documents.ts";
import { parseBody, requireName } from "./forms.ts";
import type { Instance } from "./instance.ts";
import { createKey, importKey, requireEnabled, rotateKey, updateKey } from "./key-changes.ts";
import type { CreateRequest, ImportRequest } from "./key-changes.ts";
import { act, createSchema, importSchema, KEY_KIND, kidOf, updateSchema } from "./key-forms.ts";
import { bitsOf, isRsa } from "./key-material.ts";
import {
  cipherBodySchema,
  decryptWith,
  encryptWith,
  KEY_OPERATIONS,
  signBodySchema,
  signWith,
  verifyBodySchema,
  verifyWith,
} from "./key-operations.ts";
import type { KeyOperation } from "./key-operations.ts";
import { forbidden } from "./refusal.ts";
import { releaseBodySchema, releaseMaterial } from "./release.ts";
import type { Call, Parts, Route } from "./routes.ts";
import { shelfRoutes } from "./shelf-routes.ts";
import type { LimitClass } from "./throttle.ts";

/** The keys of a vault or Managed HSM. */
export function keyRoutes(parts: Parts): Readonly<Record<string, Route>> {
  const on = (instance: Instance): Shelf<KeyVersion, KeyDocument> => ({
    collection: KEY_KIND.collection,
    instance,
    base: parts.base,
  });
  const get: Route = {
    action: act("read", "read/action"),
    object: "keys",
    run: (call) => {
      const { document, version } = requireVersion(on(call.instance), placeOf(call));
      requireEnabled(version, "get");
      return shown(call, document, version);
    },
  };
  const update: Route = {
    action: act("update/action", "write/action"),
    object: "keys",
    run: async (call) => {
      const changed = updateKey(
        on(call.instance),
        placeOf(call),
        await readBody(call, updateSchema),
      );
      return shown(call, changed.document, changed.version);
    },
  };
  const release: Route = {
    action: act("release/action", "release/action"),
    object: "keys",
    run: async (call) => {
      const body = await readBody(call, releaseBodySchema);
      const { document, version } = requireVersion(on(call.instance), placeOf(call));
      requireEnabled(version, "release");
      parts.throttle(call.instance, limitOf(version));
      const keyHsm = await releaseMaterial(parts.base, { document, version }, body);
      return {
        json: { value: await signAnswer(parts, call, { document, version, keyHsm, body }) },
      };
    },
  };
  return {
    ...shelfRoutes(parts, KEY_KIND),
    "POST /keys/:name/create": {
      action: act("create/action", "create"),
      object: "keys",
      run: async (call) =>
        shown(call, await createKey(parts, on(call.instance), await createRequest(call))),
    },
    "PUT /keys/:name": {
      action: act("import/action", "import/action"),
      object: "keys",
      run: async (call) => shown(call, importKey(on(call.instance), await importRequest(call))),
    },
    "POST /keys/:name/rotate": {
      action: act("rotate/action", "rotate/action"),
      object: "keys",
      run: async (call) =>
        shown(call, await rotateKey(parts, on(call.instance), call.parameter("name"))),
    },
    "GET /keys/:name": get,
    "GET /keys/:name/:version": get,
    "PATCH /keys/:name": update,
    "PATCH /keys/:name/:version": update,
    "POST /keys/:name/release": release,
    "POST /keys/:name/:version/release": release,
    ...operationRoutes(parts, on),
  };
}

const OPERATION_ACTIONS: Readonly<Record<KeyOperation, string>> = {
  encrypt: "encrypt/action",
  decrypt: "decrypt/action",
  wrapkey: "wrap/action",
  unwrapkey: "unwrap/action",
  sign: "sign/action",
  verify: "verify/action",
};

function operationRoutes(
  parts: Parts,
  on: (instance: Instance) => Shelf<KeyVersion, KeyDocument>,
): Readonly<Record<string, Route>> {
  const routes: Record<string, Route> = {};
  for (const operation of Object.keys(OPERATION_ACTIONS) as KeyOperation[]) {
    const name = OPERATION_ACTIONS[operation];
    routes[`POST /keys/:name/:version/${operation}`] = {
      action: act(name, name),
      object: "keys",
      run: async (call) => {
        const { document, version } = requireVersion(on(call.instance), placeOf(call));
        requireEnabled(version, KEY_OPERATIONS[operation]);
        requireOperation(version, KEY_OPERATIONS[operation]);
        parts.throttle(call.instance, limitOf(version));
        const kid = kidOf(call.instance, document.name, version.version);
        const done = await perform(parts, { operation, version, call });
        return { json: operation === "verify" ? done : { kid, ...done } };
      },
    };
  }
  return routes;
}

async function perform(
  { sha1 }: Parts,
  asked: { readonly operation: KeyOperation; readonly version: KeyVersion; readonly call: Call },
): Promise<Readonly<Record<string, unknown>>> {
  const { operation, version, call } = asked;
  if (operation === "sign") return signWith(version, await readBody(call, signBodySchema));
  if (operation === "verify") return verifyWith(version, await readBody(call, verifyBodySchema));
  const body = await readBody(call, cipherBodySchema);
  return operation === "encrypt" || operation === "wrapkey"
    ? encryptWith(version, body, { sha1 })
    : decryptWith(version, body, { sha1 });
}

function shown(call: Call, document: KeyDocument, version?: KeyVersion) {
  return { json: KEY_KIND.show(call.instance, document, version) };
}

async function signAnswer(
  parts: Parts,
  call: Call,
  released: {
    readonly document: KeyDocument;
    readonly version: KeyVersion;
    readonly keyHsm: string;
    readonly body: z.infer<typeof releaseBodySchema>;
  },
): Promise<string> {
  const { document, version, keyHsm, body } = released;
  const { nonce, enc = "CKM_RSA_AES_KEY_WRAP" } = body;
  const bundle = KEY_KIND.show(call.instance, document, version);
  const key = { ...(bundle["key"] as object), key_hsm: keyHsm };
  const kid = kidOf(call.instance, document.name, version.version);
  return parts.signRelease(call.instance.host, {
    request: {
      "api-version": call.apiVersion,
      enc,
      kid,
      ...(nonce === undefined ? {} : { nonce }),
    },
    response: { key: { ...bundle, key } },
  });
}

async function createRequest(call: Call): Promise<CreateRequest> {
  return { ...(await readBody(call, createSchema)), name: requireName(call.parameter("name")) };
}

async function importRequest(call: Call): Promise<ImportRequest> {
  return { ...(await readBody(call, importSchema)), name: requireName(call.parameter("name")) };
}

function requireOperation(version: KeyVersion, operation: string): void {
  if (!version.keyOps.includes(operation))
    throw forbidden(
      `Operation ${operation} is not permitted on this key.`,
      "KeyOperationForbidden",
    );
}

function limitOf(version: KeyVersion): LimitClass {
  if (!isRsa(version.kty)) return "other";
  const bits = bitsOf(version);
  const size = bits === 4096 ? 4096 : bits === 3072 ? 3072 : 2048;
  return version.kty.endsWith("-HSM") ? `hsm-${size}` : `software-${size}`;
}

function placeOf(call: Call): { readonly name: string; readonly version: string } {
  return { name: requireName(call.parameter("name")), version: call.parameter("version") };
}

async function readBody<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
  return parseBody(schema, await call.body());
}
