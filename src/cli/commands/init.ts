import { basename, relative, resolve } from "node:path";
import { PpmlError, type Secret } from "../../base/index.ts";
import { nameSchema } from "../../format/schema.ts";
import { type CommonFlags, commonFlags, defineCommand, integerBetween } from "../command.ts";
import type { CliContext } from "../context.ts";
import { createProject } from "../new-project.ts";
import { printable } from "../output/printable.ts";
import { SIMULATED_NOTE, simulatedMark } from "../output/style.ts";
import { azureTemplate } from "../templates/azure.ts";
import { emptyTemplate } from "../templates/empty.ts";
import { DEFAULT_ROWS, MAX_ROWS, peopleTemplate } from "../templates/people.ts";
import { quickstartTemplate } from "../templates/quickstart.ts";
import {
  projectHead,
  type Template,
  TEMPLATE_NAMES,
  type TemplateName,
} from "../templates/template.ts";
import { obtainPassphrase } from "../terminal.ts";

type Flags = CommonFlags & {
  readonly template: TemplateName;
  readonly mode?: "simulation" | "production";
  readonly root?: "file" | "passphrase";
  readonly passphraseFile?: string;
  readonly name?: string;
  readonly rows?: number;
};

/** `ppml init [DIR]`: makes a project. */
export const command = defineCommand<Flags, [string?]>({
  parameters: {
    flags: {
      template: {
        kind: "enum",
        values: TEMPLATE_NAMES,
        brief:
          "quickstart: real flights, a join; people: a made-up CSV; azure: the guide's example; empty",
        default: "empty",
      },
      mode: {
        kind: "enum",
        values: ["simulation", "production"],
        brief: "What the vault is for, for ever (otherwise: simulation; for azure: production)",
        optional: true,
      },
      root: {
        kind: "enum",
        values: ["file", "passphrase"],
        brief: "What opens the vault (otherwise: file; in production passphrase, but for azure)",
        optional: true,
      },
      passphraseFile: {
        kind: "parsed",
        parse: String,
        brief: "Read the passphrase from a file, or fd:N (otherwise: asked)",
        placeholder: "FILE",
        optional: true,
      },
      name: {
        kind: "parsed",
        parse: parseName,
        brief: "The project's name (otherwise: the folder's)",
        placeholder: "NAME",
        optional: true,
      },
      rows: {
        kind: "parsed",
        parse: integerBetween(1, MAX_ROWS),
        brief: `Rows of people.csv (otherwise: ${DEFAULT_ROWS})`,
        placeholder: "N",
        optional: true,
      },
      ...commonFlags,
    },
    positional: {
      kind: "tuple",
      parameters: [
        {
          placeholder: "DIR",
          brief: "Folder of the project (otherwise: here)",
          parse: String,
          optional: true,
        },
      ],
    },
  },
  description: "Nothing that exists is written over, and a failure leaves nothing behind.",
  run: initProject,
});

async function initProject(context: CliContext, flags: Flags, dir = ".") {
  const folder = resolve(context.cwd, dir);
  const name = flags.name ?? nameFromFolder(folder);
  const template = templateOf(flags);
  const { vaultUrl } = template;
  const mode = flags.mode ?? (vaultUrl === undefined ? "simulation" : "production");
  const rootKind =
    flags.root ?? (mode === "production" && vaultUrl === undefined ? "passphrase" : "file");
  const head = projectHead({ name, mode, root: rootKind, vaultUrl });
  using passphrase: Secret | undefined =
    rootKind === "passphrase"
      ? await obtainPassphrase({
          file: flags.passphraseFile,
          prompt: "Passphrase of the new vault",
          isNew: true,
        })
      : undefined;
  using progress = context.progress({ label: "making the project" });
  const created = await createProject({
    root: folder,
    projectText: head + template.sections,
    template,
    passphrase,
    clock: context.clock,
    onStep: () => progress.update(0),
  });
  const keks = template.keks.map((kek) => kek.name);
  const { style } = context;
  return {
    data: {
      project: name,
      folder,
      mode,
      simulated: mode === "simulation",
      created,
      keks,
      next: template.next,
    },
    human: () => {
      const place = relative(context.cwd, folder);
      const enter = place === "" ? [] : [`cd ${shellWord(place)}`];
      const mark = mode === "simulation" ? `  ${simulatedMark(style)}` : "";
      return [
        `Made project ${style.bold(name)} in ${printable(folder)}${mark}`,
        "",
        ...describe(created, keks).map((line) => `  ${printable(line)}`),
        "",
        "Next:",
        ...[...enter, ...template.next].map((line) => `  ${printable(line)}`),
        ...(mode === "simulation" ? ["", style.dim(SIMULATED_NOTE)] : []),
        "",
      ].join("\n");
    },
  };
}

/** A path as a word for a POSIX shell. */
function shellWord(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function describe(created: readonly string[], keks: readonly string[]): readonly string[] {
  return created.map((path) => {
    if (path !== ".ppml/") return path;
    const kekText = keks.length === 0 ? "" : `; KEKs: ${keks.join(", ")}`;
    return `.ppml/ (vault and keys, for you alone${kekText})`;
  });
}

function templateOf(flags: Flags): Template {
  if (flags.rows !== undefined && flags.template !== "people")
    throw new PpmlError("cli.usage", "--rows belongs to --template people");
  if (flags.root === "passphrase" && flags.template === "azure")
    throw new PpmlError("cli.usage", "a vault in Azure goes with a root-key file: --root file");
  const makers: Readonly<Record<TemplateName, () => Template>> = {
    quickstart: quickstartTemplate,
    people: () => peopleTemplate(flags.rows ?? DEFAULT_ROWS),
    azure: azureTemplate,
    empty: emptyTemplate,
  };
  return makers[flags.template]();
}

function parseName(input: string): string {
  const name = nameSchema.safeParse(input);
  if (name.success) return name.data;
  throw new RangeError(name.error.issues[0]?.message ?? "expected a name");
}

/** The folder's name in the form of a project's name. */
function nameFromFolder(folder: string): string {
  const plain = basename(folder)
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z]+|-+$/g, "")
    .slice(0, 63);
  return plain === "" ? "project" : plain;
}
