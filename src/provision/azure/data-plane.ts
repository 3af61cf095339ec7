import { identityPlace, literalIdOf, storagePlace, vaultPlace } from "./arm/site.ts";
import type { AzureSection } from "./config/azure-section.ts";
import type { SecretName } from "../secret-sink.ts";

/** An identity of the section and its resource's id. */
export type NamedIdentity = { readonly name: string; readonly id: string };

/** A directory to be there, and who may what in it. */
export type WantedDirectory = {
  /** Below the filesystem, without a slash at its beginning. */
  readonly path: string;
  readonly readers: readonly NamedIdentity[];
  readonly writers: readonly NamedIdentity[];
};

/** What a section asks for that no template makes. */
export type DataPlane = {
  /** Null where there is no storage. */
  readonly lake: {
    readonly account: string;
    readonly filesystem: string;
    /** Whether the template makes the filesystem: it does in an account of its own. */
    readonly isMade: boolean;
  } | null;
  /** Those above come first. */
  readonly directories: readonly WantedDirectory[];
  /** Name of the vault whose secrets are made here; null for none, and for a Managed HSM. */
  readonly vault: string | null;
  /** Secrets that an identity is to read and that can be made without a person. */
  readonly secrets: readonly SecretName[];
};

/** The secrets that are random: who needs them needs no certain one. */
const MADE_SECRETS: readonly SecretName[] = ["enclave-key-pem", "key-pass"];

/**
 * What a section asks for in the data plane. Pure. Who may read or write a directory may so in the
 * directories of the section below it, whichever was made first, unless these name the identity.
 */
export function dataPlaneOf(section: AzureSection): DataPlane {
  const { storage, identities } = section;
  const account = storagePlace(section);
  const vault = vaultPlace(section);
  const isVault = vault?.type === "Microsoft.KeyVault/vaults";
  const wanted = new Set(Object.values(identities).flatMap(({ secrets }) => secrets));
  return {
    lake:
      account === null || storage === undefined
        ? null
        : { account: account.name, filesystem: storage.filesystem, isMade: account.isMade },
    directories: directoriesOf(section),
    vault: isVault ? vault.name : null,
    secrets: isVault ? MADE_SECRETS.filter((name) => wanted.has(name)) : [],
  };
}

function directoriesOf(section: AzureSection): readonly WantedDirectory[] {
  const all = Object.entries(section.storage?.directories ?? {}).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return all.map(([path]) => {
    const rights = new Map<string, "read" | "write">();
    for (const [above, { readers, writers }] of all)
      if (above === path || path.startsWith(`${above}/`)) {
        for (const name of readers) rights.set(name, "read");
        for (const name of writers) rights.set(name, "write");
      }
    const named = (right: "read" | "write") =>
      [...rights]
        .filter(([, has]) => has === right)
        .map(([name]) => ({ name, id: literalIdOf(section, identityPlace(section, name)) }));
    return { path, readers: named("read"), writers: named("write") };
  });
}
