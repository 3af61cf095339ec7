import { z } from "zod";
import { fromBase64Url } from "../../base/index.ts";
import { parseUniqueJson } from "../../attest/token/unique-json.ts";
import { invalidParameter } from "./refusal.ts";

/** Azure's clients differ in whether they pad base64url; the service takes both. */
const base64UrlText = z
  .string()
  .max(1_000_000)
  .regex(/^[A-Za-z0-9_-]*={0,2}$/, "expected base64url");

const boundData = z.strictObject({ data: base64UrlText, dataType: z.enum(["Binary", "JSON"]) });

const commonShape = {
  runtimeData: boundData.optional(),
  initTimeData: boundData.optional(),
  draftPolicyForAttestation: z.string().max(100_000).optional(),
  nonce: z.string().max(1000).optional(),
};

/** POST /attest/SevSnpVm. @see azure-rest-api-specs, attestation 2025-06-01, AttestSevSnpVmRequest */
const sevSnpVmSchema = z.strictObject({ ...commonShape, report: base64UrlText });

/** POST /attest/TdxVm and /attest/SgxEnclave: AttestTdxVmRequest, AttestSgxEnclaveRequest. */
const quoteSchema = z.strictObject({ ...commonShape, quote: base64UrlText });

/** Data that the Evidence binds, with the type that decides how the token gives it back. */
export type BoundData = { readonly bytes: Uint8Array; readonly dataType: "Binary" | "JSON" };

/** A request to attest, of whichever kind. */
export type AttestRequest = {
  /** The bytes of `report` or `quote`. */
  readonly evidence: Uint8Array;
  readonly runtimeData: BoundData | null;
  readonly initTimeData: BoundData | null;
  readonly draftPolicy: string | null;
  readonly nonce: string | null;
};

/** Reads a request's body. @throws MaaRefusal InvalidParameter */
export function parseAttestRequest(
  kind: "SevSnpVm" | "TdxVm" | "SgxEnclave",
  bytes: Uint8Array,
): AttestRequest {
  const body = parseJsonBody(bytes);
  if (kind === "SevSnpVm") {
    const request = parse(sevSnpVmSchema, body);
    return { ...common(request), evidence: decode(request.report, "report") };
  }
  const request = parse(quoteSchema, body);
  return { ...common(request), evidence: decode(request.quote, "quote") };
}

/** Bytes of base64url, padded or not. @throws MaaRefusal InvalidParameter */
export function decode(text: string, what: string): Uint8Array {
  try {
    return fromBase64Url(text.replace(/={1,2}$/, ""));
  } catch (cause) {
    throw invalidParameter(`${what} is not base64url`, cause);
  }
}

/** Parses JSON of an outside object by a strict schema. @throws MaaRefusal InvalidParameter */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalidParameter(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`);
}

function common(request: {
  readonly [Name in keyof typeof commonShape]?: z.infer<(typeof commonShape)[Name]>;
}): Omit<AttestRequest, "evidence"> {
  return {
    runtimeData: bound(request.runtimeData, "runtimeData"),
    initTimeData: bound(request.initTimeData, "initTimeData"),
    draftPolicy: request.draftPolicyForAttestation ?? null,
    nonce: request.nonce ?? null,
  };
}

function bound(data: z.infer<typeof boundData> | undefined, what: string): BoundData | null {
  if (data === undefined) return null;
  return { bytes: decode(data.data, `${what}.data`), dataType: data.dataType };
}

function parseJsonBody(bytes: Uint8Array): unknown {
  try {
    return parseUniqueJson(bytes, "the request");
  } catch (cause) {
    throw invalidParameter("the request's body is not valid JSON", cause);
  }
}
