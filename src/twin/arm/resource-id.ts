/** An ARM id, taken apart. Letter case does not count: compare with `key`. */
export type ResourceId = {
  readonly id: string;
  /** In small letters: the document's id in the state. */
  readonly key: string;
  /** Microsoft.KeyVault/vaults/keys. */
  readonly type: string;
  /** With its parents' names before it: kv1/kek1. */
  readonly name: string;
  /** What it is in: a subscription, a group, or for an extension the resource that it extends. */
  readonly scope: string;
  readonly subscriptionId: string | null;
  readonly resourceGroup: string | null;
  /** The parent resource of a child (of the same scope); null at the top. */
  readonly parent: string | null;
  /** Whether it extends another resource or a group: its scope is not where resources are. */
  readonly isExtension: boolean;
};

const GROUP_TYPE = "Microsoft.Resources/resourceGroups";
const SCOPE = /^\/subscriptions\/([^/]+)(?:\/resourceGroups\/([^/]+))?/i;

/** Takes a resource's or resource group's id apart; null where it is neither. */
export function parseResourceId(id: string): ResourceId | null {
  const text = id.replace(/\/+$/, "");
  const [scopeText, subscriptionId = null, resourceGroup = null] = SCOPE.exec(text) ?? [];
  const at = text.toLowerCase().lastIndexOf("/providers/");
  if (at === -1) return scopeText === text && resourceGroup !== null ? groupId(text) : null;
  const scope = text.slice(0, at);
  const [provider, ...rest] = text.slice(at + "/providers/".length).split("/");
  if (provider === undefined || provider === "" || rest.length < 2 || rest.length % 2 === 1)
    return null;
  if (rest.includes("")) return null;
  const types = rest.filter((_, index) => index % 2 === 0);
  const names = rest.filter((_, index) => index % 2 === 1);
  return {
    id: text,
    key: text.toLowerCase(),
    type: [provider, ...types].join("/"),
    name: names.join("/"),
    scope,
    subscriptionId,
    resourceGroup,
    parent:
      types.length === 1 ? null : text.slice(0, text.lastIndexOf("/", text.lastIndexOf("/") - 1)),
    isExtension: scope !== "" && scope !== (scopeText ?? ""),
  };
}

/** The id of a resource of a type and name (parents' names before it) in a scope. */
export function makeId(scope: string, type: string, name: string): string {
  const [provider = "", ...types] = type.split("/");
  const names = name.split("/");
  const pairs = types.map((part, index) => `${part}/${names[index] ?? ""}`);
  return `${scope === "/" ? "" : scope}/providers/${provider}/${pairs.join("/")}`;
}

/** The id of a resource group. */
export function groupIdOf(subscriptionId: string, name: string): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${name}`;
}

/** Whether two types are the same. */
export function isType(type: string, other: string): boolean {
  return type.toLowerCase() === other.toLowerCase();
}

function groupId(text: string): ResourceId {
  const [, , subscriptionId = "", , name = ""] = text.split("/");
  return {
    id: text,
    key: text.toLowerCase(),
    type: GROUP_TYPE,
    name,
    scope: `/subscriptions/${subscriptionId}`,
    subscriptionId,
    resourceGroup: name,
    parent: null,
    isExtension: false,
  };
}
