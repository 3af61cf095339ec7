import { randomBytes } from "node:crypto";
import type { AzureConnection } from "../../azure/index.ts";
import { isPpmlError, PpmlError, toHex } from "../../base/index.ts";
import { openVaultSecrets } from "../../key/azure/open.ts";
import {
  type AzureSection,
  dataPlaneOf,
  makeEnclaveKey,
  makePassword,
  type NamedIdentity,
  PASSWORD_CHARACTERS,
  type SecretName,
  type WantedDirectory,
} from "../../provision/index.ts";
import { parseAbfsUri } from "../../store/index.ts";
import { type Freshness, whenAllowed } from "./fresh-role.ts";
import { principalIdOf } from "./identity-principal.ts";

/** A step after the deployment, and what it did: `changed` where an ACL was not as asked. */
export type DataPlaneStep = {
  readonly step: "filesystem" | "directory" | "secret";
  /** An abfss URI, or the URL of a secret without its version. */
  readonly place: string;
  readonly did: "made" | "changed" | "there";
  /** Of a directory: who may what in it, by the names of azure.identities. */
  readonly readers?: readonly string[];
  readonly writers?: readonly string[];
  /** Of an enclave key that was made now: what policies name it by. */
  readonly mrSigner?: string;
};

type Input = Freshness & {
  readonly connection: AzureConnection;
  /** Told of each step when it is done. */
  readonly onStep: (step: DataPlaneStep) => void;
};

/**
 * Does what a section asks for and no template can: the filesystem of an existing account, directories
 * with their ACLs, and secrets that are random. What is there stays; killed or failed half-way, the next
 * run does the rest.
 * @throws azure.denied with the role that is missing; key.exists for the name of a deleted secret
 */
export async function runDataPlaneSteps(input: Input): Promise<readonly DataPlaneStep[]> {
  const done: DataPlaneStep[] = [];
  for (const one of stepsOf(input)) {
    const step = await whenAllowed(input, one);
    input.onStep(step);
    done.push(step);
  }
  return done;
}

/** The steps of a section in words, for who is asked before. */
export function stepsText(section: AzureSection): string {
  const { directories, secrets, lake } = dataPlaneOf(section);
  const parts = [
    ...(lake === null || lake.isMade ? [] : [`filesystem ${lake.filesystem}`]),
    ...directories.map(({ path }) => `directory ${path}`),
    ...secrets.map((name) => `secret ${name}`),
  ];
  return parts.length === 0 ? "" : `Then, where not there: ${parts.join(", ")}\n`;
}

/** A step as a line for people. */
export function stepLine({ step, place, did, ...of }: DataPlaneStep): string {
  const what = { made: "made", changed: "there; its rights are new", there: "there already" }[did];
  const rights = [
    ...(of.readers === undefined || of.readers.length === 0
      ? []
      : [`readers ${of.readers.join(", ")}`]),
    ...(of.writers === undefined || of.writers.length === 0
      ? []
      : [`writers ${of.writers.join(", ")}`]),
    ...(of.mrSigner === undefined ? [] : [`MRSIGNER ${of.mrSigner}`]),
  ];
  return `${[`${step} ${place}: ${what}`, ...rights].join("; ")}.`;
}

function stepsOf(input: Input): readonly (() => Promise<DataPlaneStep>)[] {
  const { section, connection } = input;
  const { lake, directories, vault, secrets } = dataPlaneOf(section);
  const principals = new Map<string, Promise<string>>();
  const objectIdOf = (identity: NamedIdentity): Promise<string> => {
    const found = principals.get(identity.id) ?? principalIdOf(connection, identity);
    principals.set(identity.id, found);
    return found;
  };
  const root =
    lake === null ? "" : `abfss://${lake.filesystem}@${lake.account}.dfs.core.windows.net`;
  return [
    ...(lake === null || lake.isMade ? [] : [() => filesystemStep(connection, root)]),
    ...directories.map(
      (directory) => () => directoryStep({ connection, directory, root, objectIdOf }),
    ),
    ...(vault === null ? [] : secrets.map((name) => () => secretStep(input, { vault, name }))),
  ];
}

async function filesystemStep(connection: AzureConnection, uri: string): Promise<DataPlaneStep> {
  const { makeFilesystem } = await import("../../store/azure/file-system.ts");
  const made = await makeFilesystem(parseAbfsUri(uri), connection);
  return { step: "filesystem", place: uri, did: made ? "made" : "there" };
}

async function directoryStep(of: {
  readonly connection: AzureConnection;
  readonly directory: WantedDirectory;
  readonly root: string;
  readonly objectIdOf: (identity: NamedIdentity) => Promise<string>;
}): Promise<DataPlaneStep> {
  const { connection, directory, root, objectIdOf } = of;
  const { makeDirectory } = await import("../../store/azure/file-system.ts");
  const { jobEntries, passEntry } = await import("../../store/azure/acl.ts");
  const readers = await Promise.all(directory.readers.map((one) => objectIdOf(one)));
  const writers = await Promise.all(directory.writers.map((one) => objectIdOf(one)));
  const place = parseAbfsUri(`${root}/${directory.path}`);
  const did = await makeDirectory(place, connection, {
    entries: [
      ...readers.flatMap((id) => jobEntries(id, "read")),
      ...writers.flatMap((id) => jobEntries(id, "write")),
    ],
    pass: [...readers, ...writers].map((id) => passEntry(id)),
  });
  return {
    step: "directory",
    place: place.uri,
    did,
    readers: directory.readers.map(({ name }) => name),
    writers: directory.writers.map(({ name }) => name),
  };
}

async function secretStep(
  { section }: Input,
  of: { readonly vault: string; readonly name: SecretName },
): Promise<DataPlaneStep> {
  const { vault, name } = of;
  const url = `https://${vault}.vault.azure.net`;
  const step = { step: "secret", place: `${url}/secrets/${name}` } as const;
  const { transport, tenant } = section;
  const sink = await openVaultSecrets({ url, transport, tenantId: tenant, replace: false });
  if (await sink.has(name)) return { ...step, did: "there" };
  try {
    if (name === "enclave-key-pem") {
      using key = await makeEnclaveKey();
      await sink.put(name, key.pem);
      return { ...step, did: "made", mrSigner: toHex(key.mrSigner) };
    }
    using password = makePassword({ characters: PASSWORD_CHARACTERS, random: randomBytes });
    await sink.put(name, password);
    return { ...step, did: "made" };
  } catch (error) {
    if (isPpmlError(error, "provision.exists")) return { ...step, did: "there" };
    if (!isPpmlError(error, "key.exists")) throw error;
    throw new PpmlError(
      "key.exists",
      `the secret ${name} of ${vault} was deleted and can still be recovered, so nothing else can have its name: az keyvault secret recover --vault-name ${vault} --name ${name}, then run this again`,
      { cause: error, detail: { name, vault } },
    );
  }
}
