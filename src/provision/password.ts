import { Secret, utf8 } from "../base/index.ts";
import { checkPassword } from "./password-check.ts";

/** Characters of a password that is made here, where no other number is asked for: 190 bits. */
export const PASSWORD_CHARACTERS = 32;

/** Fewest and most characters of a password that is made here. */
export const MIN_MADE_CHARACTERS = 20;
export const MAX_MADE_CHARACTERS = 128;

// Letters and digits only: nothing that a shell, YAML, XML or Spark's configuration reads otherwise.
const ALPHABET = utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");

/** Bytes from here on would make the first characters likelier: 248 is the last multiple of 62. */
const ACCEPTED_BELOW = 256 - (256 % ALPHABET.byteLength);

/**
 * Makes a password of letters and digits that meets the guide's rule, each such one equally likely.
 * @param options.characters from `MIN_MADE_CHARACTERS` to `MAX_MADE_CHARACTERS`
 * @param options.random fresh bytes of the system's CSPRNG, so many; they are zeroed here
 */
export function makePassword(options: {
  readonly characters: number;
  readonly random: (byteLength: number) => Uint8Array;
}): Secret {
  for (;;) {
    const password = Secret.take(drawCharacters(options));
    // Drawn anew as a whole: putting a digit in by hand would make some passwords likelier.
    if (checkPassword(password).meetsRule) return password;
    password[Symbol.dispose]();
  }
}

function drawCharacters(options: {
  readonly characters: number;
  readonly random: (byteLength: number) => Uint8Array;
}): Uint8Array {
  const text = new Uint8Array(options.characters);
  let length = 0;
  while (length < text.byteLength) {
    const drawn = options.random(text.byteLength - length);
    for (const byte of drawn) {
      if (byte >= ACCEPTED_BELOW) continue;
      text[length] = ALPHABET[byte % ALPHABET.byteLength] ?? 0;
      length += 1;
    }
    drawn.fill(0);
  }
  return text;
}
