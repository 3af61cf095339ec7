import { equalBytes, PpmlError, type Secret, utf8 } from "../base/index.ts";

/** Fewest characters by the guide's rule: "longer than 6". */
export const MIN_PASSWORD_CHARACTERS = 7;

/** Most characters of a password for keystores. */
export const MAX_PASSWORD_CHARACTERS = 256;

/** Bits from which guessing is out of reach for long. @see NIST SP 800-57 part 1, section 5.6 */
const STRONG_BITS = 112;
/** Below this a keystore's password is found offline by who wants it. */
const FAIR_BITS = 64;

// Printed in guides and manuals: first on every list of those who guess.
const PUBLISHED = ["3456abcd"].map(utf8);

/** What can be said of a password without knowing how it was chosen. */
export type PasswordReport = {
  readonly characters: number;
  readonly hasLetter: boolean;
  readonly hasDigit: boolean;
  /** Longer than 6 characters, with letters and digits: the guide's rule. */
  readonly meetsRule: boolean;
  /** Printable ASCII only: OpenSSL and Java make other bytes of other characters. */
  readonly isPortable: boolean;
  /** Printed somewhere as an example. */
  readonly isPublished: boolean;
  /**
   * Bits that it has at the most, rounded down: as if each character were drawn at random from the
   * kinds that occur, and one bit for a character that repeats or continues the one before it.
   */
  readonly bitsAtMost: number;
  readonly strength: "weak" | "fair" | "strong";
};

/** Looks at a password; its bytes are taken as characters of ASCII. */
export function checkPassword(password: Secret): PasswordReport {
  return password.expose((bytes) => {
    const hasLetter = bytes.some((byte) => isUpper(byte) || isLower(byte));
    const hasDigit = bytes.some(isDigit);
    const isPublished = PUBLISHED.some((known) => equalBytes(known, bytes));
    const bitsAtMost = isPublished ? 0 : Math.floor(bitsOf(bytes));
    return {
      characters: bytes.byteLength,
      hasLetter,
      hasDigit,
      meetsRule: bytes.byteLength >= MIN_PASSWORD_CHARACTERS && hasLetter && hasDigit,
      isPortable: bytes.every((byte) => byte >= 0x20 && byte < 0x7f),
      isPublished,
      bitsAtMost,
      strength: bitsAtMost >= STRONG_BITS ? "strong" : bitsAtMost >= FAIR_BITS ? "fair" : "weak",
    };
  });
}

/**
 * Refuses a password that keystores cannot be made with; gives what was found.
 * @throws provision.password; the message never holds a character of it
 */
export function requirePassword(password: Secret): PasswordReport {
  const report = checkPassword(password);
  const fault = faultOf(report);
  if (fault === null) return report;
  throw new PpmlError("provision.password", `the password ${fault}`, {
    detail: { remedy: "leave the password out: a good one is made" },
  });
}

/** What is wrong with a password, as the end of a sentence, or null. */
export function faultOf(report: PasswordReport): string | null {
  if (report.characters < MIN_PASSWORD_CHARACTERS)
    return `has ${report.characters} characters: expected ${MIN_PASSWORD_CHARACTERS} or more`;
  if (report.characters > MAX_PASSWORD_CHARACTERS)
    return `has ${report.characters} characters: expected at most ${MAX_PASSWORD_CHARACTERS}`;
  if (!report.hasLetter) return "has no letter: expected letters and digits";
  if (!report.hasDigit) return "has no digit: expected letters and digits";
  if (!report.isPortable)
    return "has a character that is not printable ASCII: OpenSSL and Java read such ones differently";
  if (report.isPublished) return "is a printed example: everybody knows it";
  return null;
}

function bitsOf(bytes: Uint8Array): number {
  const others = bytes.some((byte) => !isUpper(byte) && !isLower(byte) && !isDigit(byte));
  const kinds =
    (bytes.some(isUpper) ? 26 : 0) +
    (bytes.some(isLower) ? 26 : 0) +
    (bytes.some(isDigit) ? 10 : 0) +
    (others ? 33 : 0);
  let bits = 0;
  for (const [index, byte] of bytes.entries()) {
    const before = bytes[index - 1];
    const goesOn = before !== undefined && Math.abs(byte - before) <= 1;
    bits += goesOn ? 1 : Math.log2(kinds);
  }
  return bits;
}

function isUpper(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}

function isLower(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
