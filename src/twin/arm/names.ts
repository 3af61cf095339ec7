import { RESOURCES } from "../state-kinds.ts";
import { ArmRefusal } from "./refusal.ts";
import { isType } from "./resource-id.ts";
import type { ResourceId } from "./resource-id.ts";
import { DELETED, INPUTS, TAKEN_NAMES } from "./state-kinds.ts";
import type { ArmContext, Json, TypeSpec } from "./type-spec.ts";
import { typeSpec } from "./type-table.ts";

type Named = { readonly spec: TypeSpec; readonly id: ResourceId; readonly properties: Json };

/** Why a worldwide name cannot be had; null where it is free. */
export type NameProblem = {
  readonly code: string;
  readonly reason: "AlreadyExists" | "AccountNameInvalid";
  readonly message: string;
};

/** Whether a name is free among the types that share its word ("vault", "storage", "registry"). */
export function nameProblem(context: ArmContext, word: string, name: string): NameProblem | null {
  const { state } = context;
  const lower = name.toLowerCase();
  const isTaken =
    state.get(TAKEN_NAMES, `${word}/${lower}`) !== null ||
    state
      .list(RESOURCES, { suffix: `/${lower}` })
      .some(({ document }) => typeSpec(document.type)?.worldwide === word);
  if (isTaken) return taken(word, name);
  const deleted = state
    .list(DELETED, { suffix: `/${lower}` })
    .some(({ document }) => typeSpec(document.document.type)?.worldwide === word);
  if (!deleted) return null;
  return {
    code: "ConflictError",
    reason: "AlreadyExists",
    message:
      "A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.",
  };
}

/** @throws ArmRefusal where another has the name, or it is soft-deleted and not to be recovered */
export function requireNameFree(context: ArmContext, { spec, id, properties }: Named): void {
  if (spec.worldwide === undefined) return;
  dropExpired(context);
  const recovers = properties["createMode"] === "recover";
  const deleted = context.state.get(DELETED, deletedKey(spec.type, id.name));
  if (recovers && deleted !== null) return;
  if (recovers)
    throw new ArmRefusal(404, "VaultNotFound", {
      message: `A vault of the name '${id.name}' in deleted state was not found: there is nothing to recover.`,
    });
  const problem = nameProblem(context, spec.worldwide, id.name);
  if (problem !== null) throw new ArmRefusal(409, problem.code, { message: problem.message });
}

/** Takes a soft-deleted vault back where the PUT recovers it; false where there is nothing to do. */
export function takeDeleted(context: ArmContext, { spec, id, properties }: Named): boolean {
  if (spec.isSoftDeleted !== true || properties["createMode"] !== "recover") return false;
  return context.state.remove(DELETED, deletedKey(spec.type, id.name));
}

/** Keeps a vault that is deleted, for its retention. */
export function keepDeleted(context: ArmContext, key: string, retentionDays: number): void {
  const { state, clock } = context;
  const document = state.get(RESOURCES, key);
  if (document === null) return;
  const deletedMs = clock();
  state.put(DELETED, deletedKey(document.type, document.name), {
    document,
    input: state.get(INPUTS, key)?.body ?? {},
    children: state.list(RESOURCES, { prefix: `${key}/` }).map(({ id }) => id),
    deletedMs,
    purgeMs: deletedMs + retentionDays * 86_400_000,
  });
}

/** Removes what is past its retention: Azure purges it then. */
export function dropExpired({ state, clock }: ArmContext): void {
  for (const { id, document } of state.list(DELETED))
    if (document.purgeMs <= clock()) state.remove(DELETED, id);
}

/** The id of a deleted vault's document. */
export function deletedKey(type: string, name: string): string {
  return `${type}/${name}`.toLowerCase();
}

function taken(word: string, name: string): NameProblem {
  if (word === "storage")
    return {
      code: "StorageAccountAlreadyTaken",
      reason: "AlreadyExists",
      message: `The storage account named ${name} is already taken.`,
    };
  if (word === "vault")
    return {
      code: "VaultAlreadyExists",
      reason: "AlreadyExists",
      message: `The vault name '${name}' is already in use. Vault names are globally unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state. If the vault is in a recoverable state then the vault will need to be purged before reusing the name.`,
    };
  return {
    code: isType(word, "registry") ? "AlreadyInUse" : "NameAlreadyExists",
    reason: "AlreadyExists",
    message: `The name '${name}' is already in use.`,
  };
}
