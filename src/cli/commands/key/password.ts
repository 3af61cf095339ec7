import { randomBytes } from "node:crypto";
import { relative } from "node:path";
import { PpmlError } from "../../../base/index.ts";
import {
  checkPassword,
  faultOf,
  makePassword,
  MAX_MADE_CHARACTERS,
  MIN_MADE_CHARACTERS,
  PASSWORD_CHARACTERS,
  type PasswordReport,
} from "../../../provision/index.ts";
import {
  type CommonFlags,
  commonFlags,
  defineCommand,
  integerBetween,
  type Outcome,
} from "../../command.ts";
import type { CliContext } from "../../context.ts";
import { forceFlag, passwordFileFlag } from "../../key-file-flags.ts";
import { printable } from "../../output/printable.ts";
import { secretPlace, type SecretPlaceFlags, vaultSecretFlag } from "../../secret-place.ts";
import { obtainPassphrase } from "../../terminal.ts";

type Flags = CommonFlags &
  SecretPlaceFlags & {
    readonly stdout?: boolean;
    readonly characters?: number;
    readonly check?: boolean;
    readonly passwordFile?: string;
  };

const DEFAULT_OUT = "password";

/** `ppml key password`: makes a password, or looks at one. */
export const command = defineCommand<Flags>({
  parameters: {
    flags: {
      out: {
        kind: "parsed",
        parse: String,
        brief: `File for the password, mode 0600 (otherwise: ${DEFAULT_OUT})`,
        placeholder: "FILE",
        optional: true,
      },
      stdout: {
        kind: "boolean",
        brief: "Print the password instead of writing a file",
        optional: true,
        withNegated: false,
      },
      characters: {
        kind: "parsed",
        parse: integerBetween(MIN_MADE_CHARACTERS, MAX_MADE_CHARACTERS),
        brief: `Length (otherwise: ${PASSWORD_CHARACTERS})`,
        placeholder: "N",
        optional: true,
      },
      check: {
        kind: "boolean",
        brief: "Look at a password that you have instead; exits 1 where it breaks the rule",
        optional: true,
        withNegated: false,
      },
      ...vaultSecretFlag,
      ...passwordFileFlag,
      ...forceFlag,
      ...commonFlags,
    },
  },
  description:
    "Letters and digits from the system's random generator. The rule is the guide's: 7 or more\n" +
    "characters, letters and digits. No flag takes a password: command lines are no secret.",
  async run(context, flags) {
    refuseMixed(flags);
    if (flags.check === true) return checkGiven(context, flags);
    using password = makePassword({
      characters: flags.characters ?? PASSWORD_CHARACTERS,
      random: randomBytes,
    });
    const report = checkPassword(password);
    if (flags.stdout === true) {
      // Not zeroed: the stream may hold the bytes longer than it says.
      await context.write(password.expose((bytes) => Uint8Array.from([...bytes, 0x0a])));
      return { data: null, human: () => "", written: true };
    }
    const sink = await secretPlace(context, flags, DEFAULT_OUT);
    const path = await sink.put("key-pass", password);
    const place = flags.vault === true ? path : relative(context.cwd, path);
    const shown = context.style.bold(printable(place));
    return {
      data: { path, ...shownReport(report) },
      human: () =>
        `Made ${shown}: ${report.characters} random letters and digits, ${report.bitsAtMost} bits.\n`,
    };
  },
});

function refuseMixed(flags: Flags): void {
  const makes = [flags.out, flags.stdout, flags.characters, flags.force, flags.vault].some(
    (flag) => flag !== undefined,
  );
  if (flags.check === true && makes)
    throw new PpmlError(
      "cli.usage",
      "--check makes no password: only --password-file goes with it",
    );
  if (flags.check !== true && flags.passwordFile !== undefined)
    throw new PpmlError("cli.usage", "--password-file goes with --check only");
  if (
    flags.stdout === true &&
    (flags.out !== undefined || flags.vault === true || flags.json === true)
  )
    throw new PpmlError("cli.usage", "--stdout goes with none of --out, --vault and --json");
}

async function checkGiven(context: CliContext, flags: Flags): Promise<Outcome> {
  using password = await obtainPassphrase({
    what: "password",
    file: flags.passwordFile,
    prompt: "Password",
  });
  const report = checkPassword(password);
  const fault = faultOf(report);
  const { style } = context;
  return {
    data: { ...shownReport(report), fault },
    human: () =>
      (fault === null
        ? `${style.good("ok")}: it keeps the rule.\n`
        : `${style.bad("refused")}: the password ${fault}.\n`) + strengthText(report),
    exitCode: fault === null ? 0 : 1,
  };
}

function shownReport(report: PasswordReport) {
  const { characters, meetsRule, isPortable, isPublished, bitsAtMost, strength } = report;
  return { characters, meetsRule, isPortable, isPublished, bitsAtMost, strength };
}

function strengthText({ bitsAtMost, strength }: PasswordReport): string {
  const verdict = {
    weak: "Whoever has a keystore can find it.",
    fair: "Enough where guessing is slow, as in the keystores made here.",
    strong: "Out of reach, if it was made so.",
  }[strength];
  return (
    `At the most ${bitsAtMost} bits (${strength}), if it was drawn at random. ${verdict}\n` +
    "Words, names and dates are found sooner than this says: it knows no dictionary.\n"
  );
}
