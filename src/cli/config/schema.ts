import { z } from "zod";
import { maaPinShape } from "../../attest/index.ts";
import { MAX_CODE_TEXTS, purposeSchema, sqlSettingsSchema } from "../../format/job.ts";
import { modeSchema } from "../../format/kek.ts";
import { nameSchema } from "../../format/schema.ts";
import { azureSectionSchema } from "../../provision/azure/config/azure-section.ts";
import { whyNoStore } from "./place.ts";

// The one schema of ppml.yaml. Descriptions become docs/project-file.md and the editor's help;
// cross references are checked in references.ts, because their errors name two places.

/** Longest path in ppml.yaml, in characters. */
const MAX_PATH = 4096;

const pathSchema = z
  .string()
  .min(1)
  .max(MAX_PATH)
  // oxlint-disable-next-line no-control-regex
  .regex(/^[^\u0000-\u001f\u007f]*$/, "expected a path without control characters")
  .refine(staysInside, {
    error: "expected a path inside the project's folder; to leave it, give an absolute path",
  });

const storeSchema = pathSchema.superRefine((place, context) => {
  const message = whyNoStore(place);
  if (message !== null) context.addIssue({ code: "custom", message });
});

const dataLakeSchema = z.strictObject({
  transport: z
    .enum(["direct", "environment"])
    .optional()
    .describe("How data lakes are reached; otherwise as `azure.transport` says, or direct."),
  sharedKeys: z
    .record(
      z.string().regex(/^[a-z0-9]{3,24}$/, "expected a storage account's name"),
      pathSchema.describe(
        "File (mode 0600) with the account's key, or the URL of a secret in Key Vault.",
      ),
    )
    .optional()
    .describe("Accounts that are asked with their key, not by a login: each use is warned of."),
});

const kekNameSchema = z
  .string()
  .regex(
    /^[a-z0-9-]{1,63}$/,
    "expected a KEK's name: lower-case letters, digits or '-', at most 63",
  );

const columnSchema = z.string().min(1).max(500);

const vaultSchema = z
  .strictObject({
    kind: z
      .enum(["embedded", "azure"])
      .describe(
        "embedded: a vault in one file beside the project. azure: Key Vault or Managed HSM.",
      ),
    path: pathSchema.optional().describe("embedded: the vault's file."),
    url: z
      .string()
      .regex(
        /^https:\/\/[a-z][a-z0-9-]{1,22}[a-z0-9]\.(?:vault|managedhsm)\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)\/?$/,
        "expected https://NAME.vault.azure.net or https://NAME.managedhsm.azure.net",
      )
      .optional()
      .describe("azure: the vault's URL. How it is reached: azure.transport."),
    rootKeyFile: pathSchema
      .optional()
      .describe(
        "File (mode 0600) with the key that the vault's keys are encrypted under; with azure, the owner's key and the broker's state alone.",
      ),
    passphrase: z
      .literal("prompt")
      .optional()
      .describe("embedded, in place of rootKeyFile: ask for a passphrase on the terminal."),
  })
  .superRefine((vault, context) => {
    const problem = vaultProblem(vault);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  });

const groupSchema = z.strictObject({
  name: nameSchema.describe("The group's name, for policies and messages."),
  kek: kekNameSchema.describe("Name of the KEK that the group is sealed for."),
  columns: z
    .array(columnSchema)
    .min(1)
    .max(10_000)
    .optional()
    .describe("Top-level columns of the group. Exactly one group has none: it takes all others."),
});

const datasetSchema = z.strictObject({
  source: z
    .union([pathSchema, z.array(pathSchema).min(1).max(10_000)])
    .optional()
    .describe("Plaintext to seal: a file, a folder, or a list of both. Results have none."),
  store: storeSchema.describe(
    "Where the sealed data lies: a folder, a file: URI, or an abfss: URI of a data lake.",
  ),
  kind: z
    .enum(["table", "file", "auto"])
    .default("auto")
    .describe("table: Parquet, sealed by columns. file: any bytes. auto: by the source's content."),
  valuesInPaths: z
    .enum(["refuse", "allow"])
    .default("refuse")
    .describe("Whether files in folders such as country=DE are sealed: paths stay readable."),
  groups: z
    .array(groupSchema)
    .min(1)
    .max(100)
    .describe("Who may read what: each group of columns has a KEK of its own."),
});

const policySchema = z.strictObject({
  file: pathSchema.describe("The policy's JSON file. It takes effect by `ppml policy apply`."),
});

const inputSchema = z.strictObject({
  dataset: nameSchema.describe("Name of a dataset of this file."),
  columns: z
    .array(columnSchema)
    .min(1)
    .max(10_000)
    .optional()
    .describe("Columns that the job may read; without it, all."),
});

const { memoryMiB, timeoutSeconds, threads } = sqlSettingsSchema.shape;

const limitsSchema = z.strictObject({
  memoryMiB: memoryMiB.optional().describe("Memory of the engine, in MiB."),
  timeoutSeconds: timeoutSeconds.optional().describe("Time, in seconds."),
  threads: threads.optional().describe("Threads of the engine."),
});

const jobSchema = z.strictObject({
  engine: z.literal("sql").describe("What runs the job: sql is DuckDB, built in."),
  code: z
    .union([pathSchema, z.array(pathSchema).min(1).max(MAX_CODE_TEXTS)])
    .describe(
      "File with the job's code, or a list of files: for sql, exactly one SELECT statement each. Each result is a table that is named by its file.",
    ),
  policy: nameSchema.describe("Name of the policy of this file that must approve the job."),
  release: z
    .enum(["broker", "direct"])
    .default("broker")
    .describe(
      "broker: keys by the policy. direct: Key Vault gives exportable KEKs straight to the TEE, and no job policy applies.",
    ),
  purpose: purposeSchema.describe("What the result is for; the policy names the allowed ones."),
  inputs: z
    .record(nameSchema, inputSchema)
    .refine(...sizeBetween(1, 100))
    .describe("The tables of the queries, by their names in them."),
  output: nameSchema.describe("Name of the dataset that the result is sealed into."),
  limits: limitsSchema.optional().describe("The most that the job may take."),
  validDays: z
    .int()
    .min(1)
    .max(366)
    .default(30)
    .describe("Days until the job, once signed, must be signed again."),
});

const targetSchema = z.strictObject({
  kind: z.literal("local").describe("This machine."),
});

const maaProviderSchema = z.strictObject({
  issuer: maaPinShape.issuer.describe("The provider's URL, as its tokens have it."),
  policy: maaPinShape.policy.describe(
    "Which policies of the provider are accepted: their SHA-256 in base64url (x-ms-policy-hash), or shared-provider for one of Azure's own.",
  ),
  keysFile: pathSchema
    .optional()
    .describe(
      "File of the provider's keys, as its /certs gives them; without it they are fetched.",
    ),
});

/** ppml.yaml as data. */
export const projectSchema = z.strictObject({
  version: z.literal(1).describe("Version of this file's form."),
  name: nameSchema.describe("The project's name."),
  mode: modeSchema.describe(
    "simulation: development, without hardware. production: real TEEs only. Must be the vault's own mode.",
  ),
  vault: vaultSchema.describe("Where the KEKs are."),
  broker: z
    .strictObject({
      state: pathSchema.describe("Folder of the broker's database and socket."),
      maaProviders: z
        .array(maaProviderSchema)
        .min(1)
        .max(20)
        .optional()
        .describe("Providers of Microsoft Azure Attestation whose tokens the broker takes."),
    })
    .describe("The service that decides on releases."),
  owner: z
    .strictObject({ key: pathSchema.describe("The owner's signing key.") })
    .describe("Who signs manifests, jobs and policies."),
  simulation: z
    .strictObject({ platform: pathSchema.describe("Folder of the simulated platform's keys.") })
    .optional()
    .describe("The simulated TEE; with mode simulation only."),
  datasets: z
    .record(nameSchema, datasetSchema)
    .refine(...sizeBetween(0, 1000))
    .describe("What is sealed, by name."),
  policies: z
    .record(nameSchema, policySchema)
    .refine(...sizeBetween(0, 1000))
    .describe("Who gets which keys, by name."),
  jobs: z
    .record(nameSchema, jobSchema)
    .refine(...sizeBetween(0, 1000))
    .describe("What may run, by name: `ppml run NAME`."),
  targets: z
    .record(nameSchema, targetSchema)
    .refine(...sizeBetween(0, 100))
    .optional()
    .describe("Where jobs run, by name: `ppml run JOB --on NAME`."),
  direct: z
    .strictObject({
      attestation: z
        .string()
        .regex(
          /^https:\/\/(?:[a-z0-9-]{1,63}\.){2,3}attest\.azure\.(?:net|us|cn)$/,
          "expected https://NAME.REGION.attest.azure.net",
        )
        .describe("The provider of Azure Attestation that the KEKs' release policies name."),
      vaultRoots: pathSchema.describe(
        "File of the certificate roots (PEM) that the vault's answers have to lead to.",
      ),
    })
    .optional()
    .describe("For jobs with release direct; both are part of their launcher's measurement."),
  dataLake: dataLakeSchema.optional().describe("How stores in Azure Data Lake are reached."),
  azure: azureSectionSchema.optional().describe("What `ppml azure` makes in Azure."),
});
export type ProjectConfig = z.infer<typeof projectSchema>;
export type DatasetConfig = z.infer<typeof datasetSchema>;
export type JobConfig = z.infer<typeof jobSchema>;
export type VaultConfig = z.infer<typeof vaultSchema>;

/**
 * A relative path may not leave the project's folder, so that a project means the same wherever it
 * lies; absolute paths and file: URIs say openly that they do.
 */
function staysInside(path: string): boolean {
  if (path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path)) return true;
  if (/^(?:file|abfss?|https):/i.test(path)) return true;
  return !path.split(/[\\/]/).includes("..");
}

/** Which of its members a vault lacks or may not have; null where it is whole. */
function vaultProblem(vault: {
  readonly kind: "embedded" | "azure";
  readonly path?: string | undefined;
  readonly url?: string | undefined;
  readonly rootKeyFile?: string | undefined;
  readonly passphrase?: string | undefined;
}): string | null {
  const { kind, path, url, rootKeyFile, passphrase } = vault;
  if (kind === "azure") {
    if (url === undefined || path !== undefined)
      return 'expected "url: https://NAME.vault.azure.net" and no "path" with kind azure';
    return rootKeyFile === undefined || passphrase !== undefined
      ? "expected \"rootKeyFile: PATH\" with kind azure: the owner's key and the broker's state are under it"
      : null;
  }
  if (path === undefined || url !== undefined)
    return 'expected "path: PATH" and no "url" with kind embedded';
  return (rootKeyFile === undefined) === (passphrase === undefined)
    ? 'expected either "rootKeyFile: PATH" or "passphrase: prompt"'
    : null;
}

function sizeBetween(least: number, most: number) {
  const test = (map: Readonly<Record<string, unknown>>) => {
    const size = Object.keys(map).length;
    return size >= least && size <= most;
  };
  return [test, { error: `expected ${least} to ${most} entries` }] as const;
}
