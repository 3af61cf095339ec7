/** What a role allows: actions with `*`, of the control plane and of the data plane. */
export type RoleDefinition = {
  /** Its GUID, the same in every tenant for built-in ones. */
  readonly name: string;
  readonly roleName: string;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
};

/**
 * Whether a role allows an action: one of its actions fits, and none of those that it leaves out.
 * Letter case does not count; `*` stands for any text, slashes included.
 * @see learn.microsoft.com/azure/role-based-access-control/role-definitions, "Actions format"
 */
export function roleAllows(
  role: Omit<RoleDefinition, "name" | "roleName">,
  asked: { readonly action: string; readonly isDataAction: boolean },
): boolean {
  const [given, withheld] = asked.isDataAction
    ? [role.dataActions, role.notDataActions]
    : [role.actions, role.notActions];
  const fits = (pattern: string): boolean => actionMatches(pattern, asked.action);
  return given.some(fits) && !withheld.some(fits);
}

/** Whether `scope` is at or below `above`: whole path segments, letter case does not count. */
export function isWithinScope(scope: string, above: string): boolean {
  const [inner, outer] = [scope.toLowerCase(), above.toLowerCase().replace(/\/$/, "")];
  return outer === "" || inner === outer || inner.startsWith(`${outer}/`);
}

function actionMatches(pattern: string, action: string): boolean {
  const parts = pattern.toLowerCase().split("*");
  const text = action.toLowerCase();
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
