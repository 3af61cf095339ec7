import type { z } from "zod";
import type { TwinBase, TwinPrincipal } from "../service.ts";
import type { ResourceDocument } from "../state-kinds.ts";
import type { ResourceId } from "./resource-id.ts";

export type Json = Readonly<Record<string, unknown>>;

/** What ARM's double runs on. */
export type ArmContext = TwinBase & {
  readonly tenantId: string;
  /** How long each step of a deployment takes, and every slow operation; 0: no time. */
  readonly paceMs: number;
  /** Work that goes on after its answer; where the twin stops in the middle, the next start goes on. */
  readonly inBackground: (work: Promise<unknown>) => void;
  /**
   * What Microsoft's own type data says against a resource (`type`, `apiVersion`, `name` and its
   * body); null where it has no such type. Tests give it; nothing ships with the double.
   */
  readonly checkResource: ((resource: Json) => readonly string[] | null) | null;
};

/** A PUT of a resource, checked, before anything is kept. */
export type ResourceInput = {
  readonly id: ResourceId;
  /** The body as it was sent. */
  readonly body: Json;
  readonly properties: Json;
  readonly location: string;
  readonly before: ResourceDocument | null;
  readonly principal: TwinPrincipal;
};

/** What Azure adds to a resource: members of `properties`, and of the resource itself. */
export type Completion = { readonly properties?: Json; readonly top?: Json };

/** Vcpus that a resource takes from a quota. */
export type QuotaDemand = {
  readonly size: string;
  readonly count: number;
};

/** A type of resource that the double knows. All else is refused. */
export type TypeSpec = {
  /** Microsoft.KeyVault/vaults. */
  readonly type: string;
  readonly apiVersions: readonly string[];
  /** The last part of the name. */
  readonly name: RegExp;
  /** Whether it has a location and tags, as tracked resources do. */
  readonly isTracked: boolean;
  /** Members beside location, tags and properties: sku, kind, identity, zones. */
  readonly top?: Readonly<Record<string, z.ZodType>>;
  readonly properties: z.ZodType;
  /** Whether a PUT without `properties` is good. */
  readonly hasOptionalProperties?: true;
  /** Whether it is made on another resource, at its scope. */
  readonly isExtension?: true;
  /** Members of `properties` that a GET does not give: dotted paths. */
  readonly writeOnly?: readonly string[];
  /** Names are unique in all of Azure among the types that say the same word here. */
  readonly worldwide?: string;
  /** A deletion keeps it, to be recovered or purged. */
  readonly isSoftDeleted?: true;
  /** The data plane has it as well, and may have it without ARM: a key, a container. */
  readonly isOfDataPlane?: true;
  /** What a PUT that makes one answers, where it is not 201. */
  readonly madeStatus?: 200 | 202;
  /** Takes Azure minutes: a PUT answers 201 with an operation to poll. */
  readonly isSlow?: true;
  /** Refuses what no schema can say. @throws ArmRefusal */
  readonly check?: (input: ResourceInput, context: ArmContext) => void;
  /** What else has to be allowed, beside writing the resource itself. */
  readonly linked?: (
    input: ResourceInput,
  ) => readonly { readonly action: string; readonly scope: string }[];
  /** Vcpus that it takes. */
  readonly quota?: (properties: Json) => readonly QuotaDemand[];
  /** Azure's own additions; those of `before` are kept where they do not follow from the input. */
  readonly complete?: (
    input: ResourceInput,
    context: ArmContext,
  ) => Completion | Promise<Completion>;
  /** What follows elsewhere in the state, in the same transaction. */
  readonly onPut?: (document: ResourceDocument, context: ArmContext) => void;
  readonly onDelete?: (document: ResourceDocument, context: ArmContext) => void;
  /** POST actions by their name in small letters. */
  readonly actions?: Readonly<
    Record<string, (document: ResourceDocument, context: ArmContext) => Json>
  >;
};

/** A member of properties as an object; empty where it is none. */
export function objectAt(value: Json, name: string): Json {
  const member = value[name];
  return typeof member === "object" && member !== null && !Array.isArray(member)
    ? { ...member }
    : {};
}

/** A member as a list of objects. */
export function objectsAt(value: Json, name: string): readonly Json[] {
  const member = value[name];
  return Array.isArray(member) ? (member as readonly Json[]) : [];
}

/** A member as text; empty where it is none. */
export function textAt(value: Json, name: string): string {
  const member = value[name];
  return typeof member === "string" ? member : "";
}
