import type { TwinAuthority, TwinPrincipal } from "../service.ts";
import type { StorageAccount } from "./accounts.ts";
import { aclAllows } from "./acl.ts";
import type { Permission } from "./acl.ts";
import type { PathPlace, PathTable } from "./path-table.ts";
import { parentOf } from "./request.ts";
import type { StorageCall } from "./request.ts";
import { isSharedKeyOf } from "./shared-key.ts";
import { StorageRefusal } from "./storage-error.ts";

const CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers";

/** Who calls: somebody that Entra ID knows, or whoever holds the account's key. */
export type Caller =
  | { readonly kind: "key" }
  | { readonly kind: "principal"; readonly principal: TwinPrincipal };

/** What a path must allow where no role does. */
export type AclDemand = { readonly path: string; readonly permissions: readonly Permission[] };

/** Decides who may do what at the storage endpoints, from the twin's state at each call. */
export type StorageAccess = {
  /**
   * @param authorization in place of the call's own
   * @throws StorageRefusal 401, 403
   */
  readonly callerOf: (
    call: StorageCall,
    account: StorageAccount,
    authorization?: string,
  ) => Promise<Caller>;
  /** @throws StorageRefusal 403 unless a role allows it */
  readonly requireContainer: (asked: Asked, action: "read" | "write" | "delete") => void;
  /** Roles first, then the ACLs, as Azure does. @throws StorageRefusal 403 */
  readonly requirePath: (asked: Asked, need: PathNeed) => void;
};

export type Asked = {
  readonly account: StorageAccount;
  readonly filesystem: string;
  readonly caller: Caller;
};

/** What a call does to blobs, and what it then needs of the ACLs. */
export type PathNeed = {
  /** `read`, `write`, `delete`, `move/action`, `modifyPermissions/action`. */
  readonly action: string;
  /** Null where no ACL can give it. */
  readonly acl: readonly AclDemand[] | null;
  /** In place of ACLs: the owner of this path may. */
  readonly ownerOf?: string;
};

/** Makes the decisions out of role assignments, and of ACLs for accounts that have them. */
export function createStorageAccess(options: {
  readonly authority: TwinAuthority;
  readonly paths: PathTable;
  /** The account's keys, by its ARM id. */
  readonly keysOf: (accountId: string) => readonly Uint8Array[];
}): StorageAccess {
  const { authority, paths } = options;
  const hasRole = (asked: Asked, action: string, isDataAction: boolean): boolean => {
    const { account, filesystem, caller } = asked;
    if (caller.kind === "key") return true;
    const containers = `${account.id}/blobServices/default/containers`;
    const scope = filesystem === "" ? account.id : `${containers}/${filesystem}`;
    return authority.allows(caller.principal, { action, isDataAction, scope });
  };
  return {
    callerOf: (call, account, authorization) =>
      findCaller(call, account, {
        ...options,
        authorization: authorization ?? call.request.headers.authorization,
      }),
    requireContainer: (asked, action) => {
      if (!hasRole(asked, `${CONTAINERS}/${action}`, false)) throw denied();
    },
    requirePath: (asked, need) => {
      if (hasRole(asked, `${CONTAINERS}/blobs/${need.action}`, true)) return;
      const { account, filesystem, caller } = asked;
      if (!account.isHierarchical || caller.kind === "key") throw denied();
      const place = { account: account.name, filesystem };
      const { objectId } = caller.principal;
      if (need.ownerOf !== undefined && paths.get(place, need.ownerOf)?.owner === objectId) return;
      if (
        need.acl === null ||
        !need.acl.every((one) => aclGives(paths, { place, objectId, ...one }))
      )
        throw denied();
    },
  };
}

async function findCaller(
  call: StorageCall,
  account: StorageAccount,
  options: {
    readonly authority: TwinAuthority;
    readonly keysOf: (accountId: string) => readonly Uint8Array[];
    readonly authorization: string | undefined;
  },
): Promise<Caller> {
  const { headers, method, url: target } = call.request;
  const { authorization } = options;
  if (authorization === undefined || authorization === "")
    throw unauthenticated("NoAuthenticationInformation");
  if (/^SharedKey /i.test(authorization)) {
    if (!account.allowsSharedKey)
      throw new StorageRefusal(403, "KeyBasedAuthenticationNotPermitted");
    const keys = options.keysOf(account.id);
    const signed = { method: method ?? "GET", target: target ?? "/", headers };
    if (!isSharedKeyOf(signed, { name: account.name, keys }))
      throw new StorageRefusal(403, "AuthenticationFailed");
    return { kind: "key" };
  }
  const audiences = [
    "https://storage.azure.com",
    "https://storage.azure.com/",
    `https://${account.name}.blob.core.windows.net`,
    `https://${account.name}.dfs.core.windows.net`,
  ];
  const principal = await options.authority.principalOf({ authorization }, audiences);
  if (principal === null) throw unauthenticated("InvalidAuthenticationInfo");
  return { kind: "principal", principal };
}

/** Every directory above must let pass (x); the path itself must give what is asked. */
function aclGives(
  paths: PathTable,
  asked: AclDemand & { readonly place: PathPlace; readonly objectId: string },
): boolean {
  const { place, objectId, path, permissions } = asked;
  const who = { objectId, groups: [] };
  const gives = (at: string, wanted: readonly Permission[]): boolean => {
    const entry = paths.get(place, at);
    return entry !== null && aclAllows({ ...entry, entries: entry.acl }, who, wanted);
  };
  for (let at = path; at !== "";) {
    at = parentOf(at);
    if (!gives(at, ["x"])) return false;
  }
  return gives(path, permissions);
}

function denied(): StorageRefusal {
  return new StorageRefusal(403, "AuthorizationPermissionMismatch");
}

function unauthenticated(code: string): StorageRefusal {
  return new StorageRefusal(401, code, {
    ...(code === "InvalidAuthenticationInfo"
      ? {
          message: "Authentication information is not given in the correct format, or has expired.",
        }
      : {}),
    headers: {
      "www-authenticate":
        "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize resource_id=https://storage.azure.com",
    },
  });
}
