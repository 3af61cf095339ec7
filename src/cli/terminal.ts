import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { PpmlError, Secret } from "../base/index.ts";
import { printableLines } from "./output/printable.ts";

/** Longest passphrase, in bytes. */
const MAX_SECRET_BYTES = 1024;

/** Where a passphrase comes from: a file or inherited descriptor (`fd:3`), or the terminal. */
export type PassphraseSource = {
  readonly file?: string | undefined;
  /** What it is of: a vault's passphrase, or a password of key files. */
  readonly what?: SecretWord;
};

/** The word of errors and flags (`--password-file`). */
type SecretWord = "passphrase" | "password";

const CODES = { passphrase: "key.vault_locked", password: "provision.password" } as const;

/**
 * Has a passphrase: from the file or descriptor given, otherwise asked on the terminal without echo.
 * One line end at its end does not count.
 * @throws cli.cancelled where there is no terminal, or the person pressed Ctrl-C
 */
export async function obtainPassphrase(
  source: PassphraseSource & { readonly prompt: string; readonly isNew?: boolean },
): Promise<Secret> {
  const { what = "passphrase" } = source;
  if (source.file !== undefined) return obtainSecretFile(source.file, what);
  const first = await askSecret(source.prompt, what);
  if (source.isNew !== true) return first;
  using second = await askSecret("The same again", what);
  const isSame = first.expose((a) => second.expose((b) => Buffer.compare(a, b) === 0));
  if (isSame) return first;
  first[Symbol.dispose]();
  throw new PpmlError("cli.cancelled", `the two ${what}s differ: run the command again`);
}

/**
 * Asks on the terminal (never stdin, which may be data) and gives the typed line.
 * @throws cli.cancelled where there is no terminal
 */
export function askLine(question: string): string {
  const terminal = openTerminal("pass --yes to go on without being asked");
  try {
    writeSync(terminal, `${printableLines(question)} `);
    // The terminal's own line mode: one read gives one line.
    const bytes = new Uint8Array(4096);
    const length = readSync(terminal, bytes, 0, bytes.byteLength, null);
    return Buffer.from(bytes.subarray(0, length))
      .toString("utf8")
      .replace(/\r?\n$/, "");
  } finally {
    closeSync(terminal);
  }
}

function openTerminal(remedy: string): number {
  try {
    return openSync("/dev/tty", constants.O_RDWR);
  } catch (cause) {
    throw new PpmlError("cli.cancelled", "there is no terminal to ask on", {
      cause,
      detail: { remedy },
    });
  }
}

/** Asks for a line without echo. */
async function askSecret(prompt: string, what: SecretWord): Promise<Secret> {
  const descriptor = openTerminal(`give the ${what} with --${what}-file FILE, or fd:N`);
  const terminal = new ReadStream(descriptor);
  try {
    terminal.setRawMode(true);
    writeSync(descriptor, `${printableLines(prompt)}: `);
    return await readTypedSecret(terminal);
  } finally {
    terminal.setRawMode(false);
    writeSync(descriptor, "\n");
    terminal.destroy();
  }
}

/**
 * Reads the keys of a raw terminal until Enter: Backspace takes one character away, Ctrl-U all.
 * The chunks are zeroed.
 * @throws cli.cancelled at Ctrl-C, Ctrl-D on an empty line, the end, or over 1,024 bytes
 */
export async function readTypedSecret(keys: AsyncIterable<unknown>): Promise<Secret> {
  const typed = new Uint8Array(MAX_SECRET_BYTES);
  let length = 0;
  let pending = new Uint8Array(0);
  try {
    for await (const chunk of keys) {
      if (!(chunk instanceof Uint8Array)) continue;
      const bytes = Uint8Array.from(chunk);
      chunk.fill(0);
      pending = bytes;
      for (const byte of bytes) {
        if (byte === ENTER || byte === LINE_FEED) return Secret.copy(typed.subarray(0, length));
        if (byte === CTRL_C || (byte === CTRL_D && length === 0))
          throw new PpmlError("cli.cancelled", "no passphrase was given");
        if (byte === CTRL_U) length = 0;
        else if (byte === BACKSPACE || byte === DELETE) length = lengthWithoutLast(typed, length);
        else if (length < MAX_SECRET_BYTES) {
          typed[length] = byte;
          length += 1;
        } else throw new PpmlError("cli.cancelled", `expected at most ${MAX_SECRET_BYTES} bytes`);
      }
      bytes.fill(0);
    }
    throw new PpmlError("cli.cancelled", "the terminal was closed");
  } finally {
    typed.fill(0);
    pending.fill(0);
  }
}

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const ENTER = 0x0d;
const CTRL_U = 0x15;
const DELETE = 0x7f;

/** One UTF-8 character less: continuation bytes are 10xxxxxx. */
function lengthWithoutLast(bytes: Uint8Array, length: number): number {
  let end = Math.max(0, length - 1);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end;
}

/** What descriptors gave: they can be read once, and a command may need the passphrase twice. */
const fromDescriptors = new Map<string, Secret>();

function obtainSecretFile(place: string, what: SecretWord): Secret {
  if (!place.startsWith("fd:")) return readSecretFile(place, what);
  const secret = fromDescriptors.get(place) ?? readSecretFile(place, what);
  fromDescriptors.set(place, secret);
  return secret.expose((bytes) => Secret.copy(bytes));
}

function readSecretFile(place: string, what: SecretWord): Secret {
  const inherited = /^fd:(\d{1,4})$/.exec(place);
  const descriptor = inherited === null ? openSecret(place, what) : Number(inherited[1]);
  const bytes = new Uint8Array(MAX_SECRET_BYTES + 3);
  try {
    if (inherited === null) checkSecretFile(descriptor, { path: place, what });
    let length = 0;
    while (length < bytes.byteLength) {
      const got = readSync(descriptor, bytes, length, bytes.byteLength - length, null);
      if (got === 0) break;
      length += got;
    }
    if (length > 0 && bytes[length - 1] === LINE_FEED) length -= 1;
    if (length > 0 && bytes[length - 1] === ENTER) length -= 1;
    if (length > MAX_SECRET_BYTES)
      throw new PpmlError(CODES[what], `${place}: expected at most ${MAX_SECRET_BYTES} bytes`);
    return Secret.copy(bytes.subarray(0, length));
  } catch (cause) {
    if (cause instanceof PpmlError) throw cause;
    throw new PpmlError(CODES[what], `${place}: the ${what} cannot be read`, { cause });
  } finally {
    bytes.fill(0);
    if (inherited === null) closeSync(descriptor);
  }
}

function openSecret(path: string, what: SecretWord): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw new PpmlError(CODES[what], `${path}: the ${what} file cannot be opened`, { cause });
  }
}

function checkSecretFile(
  descriptor: number,
  { path, what }: { readonly path: string; readonly what: SecretWord },
): void {
  const stat = fstatSync(descriptor);
  // A pipe (process substitution) has no mode of its own that says anything.
  if (!stat.isFile() || process.platform === "win32") return;
  if ((stat.mode & 0o077) !== 0)
    throw new PpmlError(CODES[what], `${path}: others may read it: run chmod 600 '${path}'`);
}
