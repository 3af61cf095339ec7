import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { PpmlError, sha256, toHex } from "../base/index.ts";
import { encodeJcs } from "../format/jcs.ts";
import { manifestSchema } from "../format/manifest.ts";
import type { JournalKey, SealedInput, SealJournal } from "../seal/index.ts";
import type { Project } from "./config/load.ts";

const { files, localKeys, schema } = manifestSchema.shape;

const lineSchema = z.strictObject({
  key: z.strictObject({
    name: z.string(),
    kind: z.enum(["table", "file"]),
    plaintext: z.string(),
  }),
  done: z.strictObject({ file: files.unwrap(), schema, etag: z.string(), localKeys }),
});
const headSchema = z.strictObject({ plan: z.string() });

const MAX_BYTES = 256 * 1024 * 1024;

/** A journal on disk: it goes when the sealing it belongs to is done. */
export type JournalFile = SealJournal & {
  /** How many inputs an earlier run had finished. */
  readonly found: number;
  readonly remove: () => Promise<void>;
};

/**
 * Opens the journal of a dataset's sealing in the project's state. One of another plan (version, keys,
 * groups, store) is begun anew. It holds no secret: wrapped keys and digests, as the manifest does.
 * @throws base.io
 */
export async function openSealJournal(
  project: Project,
  sealing: { readonly dataset: string; readonly plan: unknown },
): Promise<JournalFile> {
  const folder = join(project.root, ".ppml", "uploads");
  const path = join(folder, `${sealing.dataset}.jsonl`);
  const plan = toHex(sha256(encodeJcs(sealing.plan)));
  const done = new Map<string, SealedInput>();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const known = await readJournal(path, plan);
  for (const line of known ?? []) done.set(keyOf(line.key), line.done);
  if (known === null) await begin(path, plan);
  return {
    found: done.size,
    find: (key) => done.get(keyOf(key)) ?? null,
    add: async (key, one) => {
      done.set(keyOf(key), one);
      // A kill in the middle leaves a line that is not read.
      await append(path, `\n${JSON.stringify({ key, done: one })}`);
    },
    remove: () => rm(path, { force: true }),
  };
}

type Line = z.infer<typeof lineSchema>;

/** The lines of a journal of that plan; null where there is none. */
async function readJournal(path: string, plan: string): Promise<readonly Line[] | null> {
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null || text.length > MAX_BYTES) return null;
  const [first = "", ...rest] = text.split("\n");
  const head = headSchema.safeParse(parseLine(first));
  if (!head.success || head.data.plan !== plan) return null;
  return rest.flatMap((line) => {
    const parsed = lineSchema.safeParse(parseLine(line));
    return parsed.success ? [parsed.data] : [];
  });
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function begin(path: string, plan: string): Promise<void> {
  await rm(path, { force: true });
  await append(path, JSON.stringify({ plan }));
}

async function append(path: string, text: string): Promise<void> {
  try {
    await using file = await open(path, "a", 0o600);
    await file.appendFile(text);
  } catch (cause) {
    throw new PpmlError(
      "base.io",
      `${path} cannot be written: free some space, or mend its rights`,
      {
        cause,
      },
    );
  }
}

function keyOf({ name, kind, plaintext }: JournalKey): string {
  return JSON.stringify([name, kind, plaintext]);
}
