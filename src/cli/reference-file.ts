import { isPpmlError, PpmlError, readBoundedFile } from "../base/index.ts";
import {
  changeReferences,
  referenceFileOf,
  referenceValuesSchema,
  withReferences,
} from "../attest/index.ts";
import type { ReferenceValues } from "../attest/index.ts";
import { parseJson } from "../format/jcs.ts";
import type { SigningKey } from "../format/jwk.ts";
import { parseWith } from "../format/schema.ts";
import type { EcPublicJwk } from "../format/schema.ts";
import { envelopeSchema, signObject, verifyObject } from "../format/signed-object.ts";
import type { Project } from "./config/load.ts";
import { projectRoots } from "./pinned-roots.ts";
import { writeJson } from "./write-json.ts";

const MAX_REFERENCES_BYTES = 4 * 1024 * 1024;

/**
 * Reads a file of reference values that `owner` signed.
 * @throws release.policy where it cannot be read or is not signed by the owner
 */
export async function loadReferences(path: string, owner: EcPublicJwk): Promise<ReferenceValues> {
  const bytes = await readBoundedFile(path, {
    what: `the reference values ${path}`,
    maxBytes: MAX_REFERENCES_BYTES,
    code: "release.policy",
    remedy: "`ppml policy stage` begins such a file",
  });
  try {
    const envelope = parseWith(envelopeSchema, parseJson(bytes, path), { what: path });
    const { payload } = verifyObject({
      kind: "reference-values",
      schema: referenceValuesSchema,
      envelope,
      signers: [owner],
    });
    // Another file of the same owner's, put in this one's place.
    if (payload.name === nameOf(path)) return payload;
    throw new PpmlError(
      "release.policy",
      `it holds ${payload.name}, not ${nameOf(path)}: restore it, or give it its own name`,
    );
  } catch (cause) {
    if (!isPpmlError(cause)) throw cause;
    throw new PpmlError(
      "release.policy",
      `${path} does not hold reference values that the owner signed: ${cause.message}`,
      { cause },
    );
  }
}

/** Changes a file of reference values and signs its next version; a new file begins empty. */
export async function updateReferences(
  { owner }: { readonly owner: SigningKey },
  path: string,
  change: Parameters<typeof changeReferences>[1],
): Promise<ReferenceValues> {
  const current = await currentOf({ owner }, path, change.kind === "stage");
  // Checked before it is signed: a file that cannot be read again could not be mended either.
  const next = parseWith(referenceValuesSchema, changeReferences(current, change), {
    what: `what ${path} would hold`,
    code: "release.policy",
  });
  const envelope = signObject("reference-values", next, owner);
  await writeJson(path, envelope, { mode: "replace" });
  return next;
}

async function currentOf(
  { owner }: { readonly owner: SigningKey },
  path: string,
  mayBegin: boolean,
): Promise<ReferenceValues> {
  try {
    return await loadReferences(path, owner.publicJwk);
  } catch (error) {
    const isMissing =
      isPpmlError(error) &&
      error.cause instanceof Error &&
      "code" in error.cause &&
      error.cause.code === "ENOENT";
    if (!isMissing || !mayBegin) throw error;
    return { v: 1, name: nameOf(path), version: 1, sets: [] };
  }
}

/** What a file of that path names in its signed part. */
function nameOf(path: string): string {
  return /([a-z][a-z0-9_-]{0,62})(?:\.json)?$/.exec(path)?.[1] ?? "references";
}

/** A policy's JSON with the sets of the file that its appraisal links to, if it links to one. */
export async function resolveReferences(project: Project, policy: unknown): Promise<unknown> {
  if (typeof policy !== "object" || policy === null || !("appraisal" in policy)) return policy;
  const file = referenceFileOf(policy.appraisal);
  if (file === null) return policy;
  const { owner } = await projectRoots(project);
  const values = await loadReferences(project.resolve(file), owner);
  return { ...policy, appraisal: withReferences(policy.appraisal, values) };
}

/** The parameters of a command that takes a file of reference values and the label of a set. */
export const referenceArguments = {
  kind: "tuple",
  parameters: [
    { placeholder: "FILE", brief: "The file of reference values", parse: String },
    { placeholder: "LABEL", brief: "The set's label", parse: String },
  ],
} as const;
