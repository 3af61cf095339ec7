import { lstatSync } from "node:fs";
import { isPpmlError } from "../../base/index.ts";
import { checkBrokerState } from "../../broker/index.ts";
import { jwkThumbprint } from "../../format/jwk.ts";
import { checkManifest, manifestSchema } from "../../format/manifest.ts";
import { verifyObject } from "../../format/signed-object.ts";
import type { RootKey } from "../../key/index.ts";
import { checkPolicy } from "../../release/index.ts";
import { projectStores } from "../data-lake.ts";
import type { Project } from "../config/load.ts";
import { type PinnedRoots, projectRoots, ROOTS_FILE } from "../pinned-roots.ts";
import { loadPolicyFile } from "../policy-file.ts";
import { loadStoredManifest } from "../stored-manifest.ts";
import { fail, type Finding, ok, remedyOf, warn } from "./finding.ts";

/** Looks at what a project has besides its vault: pinned roots, broker, policies, stored manifests. */
export async function examineState(
  project: Project,
  options: {
    /** The vault's root key; null where the vault was not opened. */
    readonly root: RootKey | null;
  },
): Promise<readonly Finding[]> {
  const { roots, finding } = await examineRoots(project);
  return [
    finding,
    await examineBroker(project, { root: options.root, roots }),
    await examinePolicies(project),
    await examineManifests(project, roots),
  ];
}

async function examineRoots(
  project: Project,
): Promise<{ readonly roots: PinnedRoots | null; readonly finding: Finding }> {
  const remedy = `restore ${ROOTS_FILE} from a backup or the repository: receipts are verified from it`;
  try {
    const roots = await projectRoots(project);
    if (roots.mode === project.config.mode)
      return { roots, finding: ok("roots", `${ROOTS_FILE} pins the project's public keys`) };
    const found = `${ROOTS_FILE} is of a project of mode ${roots.mode}`;
    return { roots: null, finding: fail("roots", found, remedy) };
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    return { roots: null, finding: fail("roots", error.message, remedyOf(error, remedy)) };
  }
}

async function examineBroker(
  project: Project,
  known: { readonly root: RootKey | null; readonly roots: PinnedRoots | null },
): Promise<Finding> {
  const { state } = project.config.broker;
  const dir = project.resolve(state);
  const remedy = `restore ${state} as a whole from a backup of the same time as the vault; without one make a new project, and seal again`;
  if (lstatSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true)
    return fail("broker", `${state} is not there, or is no folder`, remedy);
  if (known.root === null)
    return warn(
      "broker",
      `${state} is there; not looked at without the vault's root key`,
      "open the vault: its own finding says how",
    );
  try {
    const identity = await checkBrokerState({ dir, root: known.root });
    const { roots } = known;
    const pairs = roots === null ? [] : (["owner", "releaseRoot", "logKey"] as const);
    const other = pairs.find(
      (name) => roots !== null && jwkThumbprint(identity[name]) !== jwkThumbprint(roots[name]),
    );
    if (other !== undefined)
      return fail(
        "broker",
        `its ${other} is not the one that ${ROOTS_FILE} pins`,
        `restore ${state} and ${ROOTS_FILE} of one project`,
      );
    return ok("broker", "its state holds, and its keys are there");
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    return fail("broker", error.message, remedyOf(error, remedy));
  }
}

async function examinePolicies(project: Project): Promise<Finding> {
  const { policies, mode } = project.config;
  const wrong: string[] = [];
  const names = Object.keys(policies).filter((name) =>
    // A file that is missing is told by the check of all files.
    lstatSync(project.resolve(policies[name]?.file ?? ""), { throwIfNoEntry: false }),
  );
  for (const name of names)
    try {
      const found = checkPolicy(await loadPolicyFile(project, name), mode);
      const error = found.find(({ severity }) => severity === "error");
      if (error !== undefined) wrong.push(`${name}: ${error.path}: ${error.message}`);
    } catch (error) {
      if (!isPpmlError(error)) throw error;
      wrong.push(`${name}: ${error.message}`);
    }
  return wrong.length === 0
    ? ok("policies", `${names.length} read, none with an error`)
    : fail(
        "policies",
        wrong.join("\n"),
        "correct the file (ppml policy check NAME), or draft it anew: ppml policy draft NAME --force",
      );
}

async function examineManifests(project: Project, roots: PinnedRoots | null): Promise<Finding> {
  const { datasets } = project.config;
  const stores = projectStores(project, () => undefined);
  const [sealed, wrong]: [string[], string[]] = [[], []];
  const remedies = new Set<string>();
  for (const [name, { store, source }] of Object.entries(datasets))
    try {
      const stored = await loadStoredManifest(await stores.open(project.resolve(store)), name);
      if (stored === null) continue;
      sealed.push(name);
      const { keyId, payload } = stored.unverified;
      checkManifest(payload);
      const { envelope } = stored;
      const signers = roots === null ? [] : [roots.owner];
      // A result's manifest is signed by a TEE's key, which its receipt names.
      const isOwners = source !== undefined || signers.some((key) => jwkThumbprint(key) === keyId);
      if (roots !== null && isOwners)
        verifyObject({ kind: "manifest", schema: manifestSchema, envelope, signers });
    } catch (error) {
      if (!isPpmlError(error)) throw error;
      wrong.push(`${name}: ${error.message}`);
      const again = source === undefined ? "run its job again" : `ppml data seal ${name}`;
      remedies.add(remedyOf(error, `put the right manifest.json back, or ${again}`));
    }
  return wrong.length === 0
    ? ok("manifests", `${sealed.length} of ${Object.keys(datasets).length} datasets are sealed`)
    : fail("manifests", wrong.join("\n"), [...remedies].join("; "));
}
