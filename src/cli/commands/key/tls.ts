import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join, relative, resolve } from "node:path";
import { isPpmlError, PpmlError, Secret, utf8 } from "../../../base/index.ts";
import {
  DEFAULT_DAYS,
  makePassword,
  makeTlsFiles,
  MAX_DAYS,
  parseServerName,
  PASSWORD_CHARACTERS,
  prepareFolder,
  PUBLIC_MAX_DAYS,
  publishFolder,
  requirePassword,
  TLS_FILES,
  type TlsFiles,
} from "../../../provision/index.ts";
import { type CommonFlags, commonFlags, defineCommand, integerBetween } from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { forceFlag, passwordFileFlag } from "../../key-file-flags.ts";
import { printable } from "../../output/printable.ts";
import { obtainPassphrase } from "../../terminal.ts";

type Flags = CommonFlags & {
  readonly dir?: string;
  readonly subject?: string;
  readonly dns?: readonly string[];
  readonly days?: number;
  readonly passwordFile?: string;
  readonly askPassword?: boolean;
  readonly force?: boolean;
};

const DEFAULT_FOLDER = "keys";
const PASSWORD_FILE = "password";
const IGNORE_FILE = ".gitignore";
const OWN_NAMES: readonly string[] = [...TLS_FILES, PASSWORD_FILE, IGNORE_FILE];

/** `ppml key tls`: makes a TLS key, its certificate and keystores. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      dir: {
        kind: "parsed",
        parse: String,
        brief: `Folder to make, mode 0700 (otherwise: ${DEFAULT_FOLDER})`,
        placeholder: "DIR",
        optional: true,
      },
      subject: {
        kind: "parsed",
        parse: String,
        brief: "Whose it is, as CN=spark.example.com,O=Example (otherwise: CN= the first name)",
        placeholder: "DN",
        optional: true,
      },
      dns: {
        kind: "parsed",
        parse: String,
        brief:
          "DNS name or IP address of the server (otherwise: localhost and this machine's name)",
        placeholder: "NAME",
        variadic: true,
        optional: true,
      },
      days: {
        kind: "parsed",
        parse: integerBetween(1, MAX_DAYS),
        brief: `Days of validity (otherwise: ${DEFAULT_DAYS})`,
        placeholder: "N",
        optional: true,
      },
      ...passwordFileFlag,
      askPassword: {
        kind: "boolean",
        brief: "Ask for the password on the terminal (otherwise: one is made, in DIR/password)",
        optional: true,
        withNegated: false,
      },
      ...forceFlag,
      ...commonFlags,
    },
  },
  description:
    "RSA-3072, SHA-256, self-signed; server.key, server.csr, server.crt, server.pem, keystore.pkcs12,\n" +
    "keystore.jks and keys.yaml (the Kubernetes Secret ssl-keys). Only the keystores are encrypted: who\n" +
    "reads the folder has the key. All files appear at once, or none.",
  async run(context, flags) {
    if (flags.passwordFile !== undefined && flags.askPassword === true)
      throw new PpmlError("cli.usage", "--ask-password and --password-file exclude each other");
    const path = resolve(context.cwd, flags.dir ?? DEFAULT_FOLDER);
    const place = { path, ownNames: OWN_NAMES, replace: flags.force === true };
    await prepareFolder(place);
    using password = await passwordOf(context, flags);
    using made = await makeTlsFiles({
      subject: flags.subject,
      serverNames: flags.dns ?? ownServerNames(),
      days: flags.days ?? DEFAULT_DAYS,
      password: password.secret,
      nowMs: context.clock(),
    });
    using ignore = Secret.take(utf8("*\n"));
    const given = flags.passwordFile;
    // A password that came from the folder itself would be lost with the folder that is replaced.
    const isKept =
      password.isMade ||
      (given !== undefined && resolve(context.cwd, given) === join(path, PASSWORD_FILE));
    const files = new Map<string, Secret>([...made.files, [IGNORE_FILE, ignore]]);
    if (isKept) files.set(PASSWORD_FILE, password.secret);
    await publishFolder({ ...place, files });
    warn(context, { days: flags.days, bits: password.bits });
    return outcomeOf(context, { path, made, isKept });
  },
});

async function passwordOf(context: CliContext, flags: Flags) {
  const isMade = flags.passwordFile === undefined && flags.askPassword !== true;
  const secret = isMade
    ? makePassword({ characters: PASSWORD_CHARACTERS, random: randomBytes })
    : await obtainPassphrase({
        what: "password",
        file: flags.passwordFile === undefined ? undefined : fileOf(context, flags.passwordFile),
        prompt: "Password of the keystores",
        isNew: true,
      });
  try {
    const { bitsAtMost: bits } = requirePassword(secret);
    return { secret, isMade, bits, [Symbol.dispose]: () => secret[Symbol.dispose]() };
  } catch (error) {
    secret[Symbol.dispose]();
    throw error;
  }
}

function fileOf(context: CliContext, place: string): string {
  return place.startsWith("fd:") ? place : resolve(context.cwd, place);
}

/** `localhost`, and what this machine calls itself where a certificate can hold it. */
function ownServerNames(): readonly string[] {
  try {
    return ["localhost", parseServerName(hostname())];
  } catch (error) {
    if (isPpmlError(error, "provision.input")) return ["localhost"];
    throw error;
  }
}

const WEAK_BELOW_BITS = 64;

function warn(
  context: CliContext,
  { days, bits }: { readonly days: number | undefined; readonly bits: number },
): void {
  const { warn: emphasis } = context.talkStyle;
  if (days !== undefined && days > PUBLIC_MAX_DAYS)
    context.talk(emphasis(`Browsers refuse certificates of more than ${PUBLIC_MAX_DAYS} days.`));
  if (bits < WEAK_BELOW_BITS)
    context.talk(
      emphasis(`The password has at the most ${bits} bits: whoever has a keystore can find it.`),
    );
}

function outcomeOf(
  context: CliContext,
  result: { readonly path: string; readonly made: TlsFiles; readonly isKept: boolean },
) {
  const { path, made, isKept } = result;
  const files = [...made.files.keys()];
  const [notBefore, notAfter] = [made.notBeforeMs, made.notAfterMs].map(secondsOf);
  const shown = printable(relative(context.cwd, path) || ".");
  const passwordFile = isKept ? join(path, PASSWORD_FILE) : null;
  const { certificateSha256, serverNames } = made;
  return {
    data: { path, files, passwordFile, serverNames, notBefore, notAfter, certificateSha256 },
    human: () =>
      [
        `Made ${context.style.bold(shown)}: ${files.join(", ")}.`,
        `for     ${serverNames.join(", ")}`,
        `until   ${notAfter ?? ""}`,
        `SHA-256 ${certificateSha256}`,
        isKept
          ? `The keystores' password is in ${printable(join(shown, PASSWORD_FILE))}.`
          : "The keystores' password is the one that you gave; it is not kept.",
        "",
      ].join("\n"),
  };
}

function secondsOf(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}
