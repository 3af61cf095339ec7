import { lstatSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { loadSimulationPki } from "../../attest/index.ts";
import { isPpmlError } from "../../base/index.ts";
import { loadSigningKey } from "../../key/index.ts";
import type { RootKey, Vault } from "../../key/index.ts";
import { loadProject, type Project } from "../config/load.ts";
import { openVaultOf } from "../vault.ts";
import { fail, type Finding, ok, remedyOf, warn } from "./finding.ts";
import { examineState } from "./state.ts";

/** Finds the project; a broken one is a finding, none is null. */
export async function findProject(options: {
  readonly cwd: string;
  readonly folder?: string | undefined;
}): Promise<{ readonly project: Project | null; readonly finding: Finding }> {
  try {
    const project = await loadProject(options);
    const { name, mode } = project.config;
    return { project, finding: ok("project", `${name} (${mode}) in ${project.root}`) };
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    const isFree = error.code === "config.missing" && options.folder === undefined;
    const finding = isFree
      ? ok("project", "none here or above: only the machine was checked")
      : fail("project", error.message, remedyOf(error, "correct ppml.yaml"));
    return { project: null, finding };
  }
}

/** Looks at a project's state: rights, vault, keys, platform, the files that ppml.yaml names. */
export async function examineProject(
  project: Project,
  options: { readonly passphraseFile?: string | undefined },
): Promise<readonly Finding[]> {
  return [
    examineRights(project),
    ...(await examineVault(project, options)),
    ...examinePlatform(project),
    examineFiles(project),
  ];
}

function examineRights(project: Project): Finding {
  if (process.platform === "win32") return ok("rights", "not looked at on Windows");
  const { vault, owner, broker, simulation } = project.config;
  const files = [vault.path, vault.rootKeyFile, owner.key].flatMap((path) => path ?? []);
  const folders = [broker.state, simulation?.platform].flatMap((path) => path ?? []);
  const wrong: string[] = [];
  for (const path of [
    join(project.root, ".ppml"),
    ...[...files, ...folders].map(project.resolve),
  ]) {
    const stat = lstatOf(path);
    if (stat === null) continue; // what is missing is told by the check that needs it
    if ((stat.mode & 0o077) !== 0 || (process.getuid?.() ?? 0) !== stat.uid) wrong.push(path);
  }
  return wrong.length === 0
    ? ok("rights", "keys and state are for you alone")
    : fail("rights", `others may read: ${wrong.join(", ")}`, `chmod -R go= ${wrong.join(" ")}`);
}

async function examineVault(
  project: Project,
  options: { readonly passphraseFile?: string | undefined },
): Promise<readonly Finding[]> {
  const { vault: config } = project.config;
  const unopened = (): Promise<readonly Finding[]> => examineState(project, { root: null });
  if (
    config.path !== undefined &&
    config.passphrase === "prompt" &&
    options.passphraseFile === undefined
  ) {
    const isThere = lstatOf(project.resolve(config.path)) !== null;
    const finding = isThere
      ? ok("vault", `${config.path} is there; not opened (give --passphrase-file to do so)`)
      : fail("vault", `${config.path} is not there`, "ppml init in a new folder, or restore it");
    return [finding, ...(await unopened())];
  }
  try {
    using open = await openVaultOf(project, options);
    const { vault, root } = open;
    const keks = await vault.listKeks();
    const known = ok("vault", `${vault.vaultId} opens, ${vault.mode}, ${keks.length} KEKs`);
    return [
      known,
      await examineKeks(project, vault),
      await examineOwner(project, root),
      ...(await examineState(project, { root })),
    ];
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    const remedy = remedyOf(error, "restore the vault and its root key");
    return [fail("vault", error.message, remedy), ...(await unopened())];
  }
}

async function examineKeks(project: Project, vault: Vault): Promise<Finding> {
  const stateOf = new Map((await vault.listKeks()).map(({ name, state }) => [name, state]));
  const groups = Object.values(project.config.datasets).flatMap(({ groups: all }) => all);
  const wanted = [...new Set(groups.map(({ kek }) => kek))];
  const unusable = wanted.filter((name) => stateOf.get(name) !== "enabled");
  if (unusable.length === 0) return ok("keks", `all ${wanted.length} of ppml.yaml are enabled`);
  const remedies = unusable.map((name) => {
    const state = stateOf.get(name);
    if (state === undefined) return `ppml key create ${name}`;
    return state === "disabled"
      ? `ppml key enable ${name}`
      : `name another KEK than ${name} in ppml.yaml`;
  });
  const found = unusable.map((name) => `${name} is ${stateOf.get(name) ?? "missing"}`).join(", ");
  return warn("keks", found, remedies.join("; "));
}

async function examineOwner(project: Project, root: RootKey): Promise<Finding> {
  const { key } = project.config.owner;
  try {
    const path = project.resolve(key);
    const { keyId } = await loadSigningKey({ path, root, purpose: "owner" });
    return ok("owner", `signs as ${keyId}`);
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    return fail("owner", error.message, remedyOf(error, `restore ${key} from a backup`));
  }
}

function examinePlatform(project: Project): readonly Finding[] {
  const { simulation } = project.config;
  if (simulation === undefined) return [];
  try {
    loadSimulationPki(project.resolve(simulation.platform));
    return [ok("platform-keys", "the simulated platform's chain holds")];
  } catch (error) {
    if (!isPpmlError(error)) throw error;
    const remedy = remedyOf(error, `restore ${simulation.platform}`);
    return [fail("platform-keys", error.message, remedy)];
  }
}

function examineFiles(project: Project): Finding {
  const { datasets, jobs, policies } = project.config;
  const named = [
    ...Object.values(datasets).flatMap(({ source }) => source ?? []),
    ...Object.values(jobs).flatMap(({ code }) => code),
    ...Object.values(policies).map(({ file }) => file),
  ];
  const missing = named.filter((path) => statOf(project.resolve(path)) === null);
  return missing.length === 0
    ? ok("files", `all ${named.length} that ppml.yaml names are there`)
    : warn("files", `not there: ${missing.join(", ")}`, "make them, or correct ppml.yaml");
}

function lstatOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

function statOf(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}
