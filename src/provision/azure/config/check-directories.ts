import type { AzureSection } from "./azure-section.ts";
import type { SectionProblem } from "./problem.ts";
import { MAX_ACL_IDENTITIES } from "./services.ts";

/** Azure asks roles first: where a role lets somebody in, the ACL of a directory is not looked at. */
const ROLE_GIVES = { none: [], read: ["readers"], write: ["readers", "writers"] } as const;

/** Checks who is named in `storage.directories`: identities that are there and that an ACL can bound. */
export function checkDirectories(section: AzureSection): readonly SectionProblem[] {
  const { storage, identities } = section;
  const named = new Set<string>();
  const problems: SectionProblem[] = [];
  for (const [path, directory] of Object.entries(storage?.directories ?? {})) {
    const seen = new Set<string>();
    for (const kind of ["readers", "writers"] as const)
      for (const [index, name] of directory[kind].entries()) {
        const message = seen.has(name)
          ? `"${name}" is named twice: a writer reads too, so leave it in one list`
          : nameProblem(identities, { name, kind });
        if (message !== null)
          problems.push({ path: ["storage", "directories", path, kind, index], message });
        seen.add(name);
        named.add(name);
      }
  }
  // Each of them has to pass through the filesystem's root.
  if (named.size > MAX_ACL_IDENTITIES)
    problems.push({
      path: ["storage", "directories"],
      message: `expected at most ${MAX_ACL_IDENTITIES} identities in all of them; came ${named.size}: an ACL has no room for more. Let jobs share an identity`,
    });
  return problems;
}

function nameProblem(
  identities: AzureSection["identities"],
  of: { readonly name: string; readonly kind: "readers" | "writers" },
): string | null {
  const { name, kind } = of;
  const identity = Object.hasOwn(identities, name) ? identities[name] : undefined;
  if (identity === undefined) {
    const there = Object.keys(identities);
    return there.length === 0
      ? `azure.identities has no "${name}": add it there`
      : `azure.identities has no "${name}": add it there, or name one of ${there.join(", ")}`;
  }
  if (identity.role === "broker") return `${name} is a broker, which reads and writes no data`;
  return ROLE_GIVES[identity.data].some((one) => one === kind)
    ? `identities.${name} has data: ${identity.data} of the whole filesystem, which counts before any directory: say data: none there, or take it out here`
    : null;
}
