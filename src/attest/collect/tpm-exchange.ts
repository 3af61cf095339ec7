import { concatBytes, isPpmlError, PpmlError } from "../../base/index.ts";
import { openTpmReader } from "../evidence/tpm-read.ts";
import type { TpmReader } from "../evidence/tpm-read.ts";
import type { TpmChannel } from "./tpm-channel.ts";

/** Structure tags. @see TPM 2.0 Library Part 2 (rev. 1.59) section 6.9, TPM_ST */
const TPM_ST = { noSessions: 0x8001, sessions: 0x8002 };

/** The session of a plain password. @see TPM 2.0 Library Part 2 (rev. 1.59) section 7.4, TPM_RS_PW */
const TPM_RS_PW = 0x40000009;

/** Response codes that say: the same again. @see TPM 2.0 Library Part 2 (rev. 1.59) section 6.6.3 */
const AGAIN: ReadonlySet<number> = new Set([
  0x922, // TPM_RC_RETRY
  0x908, // TPM_RC_YIELDED
  0x90a, // TPM_RC_TESTING
]);
const ATTEMPTS = 10;

/** A command; `name` is the specification's, for errors. */
export type TpmCommand = {
  readonly name: string;
  readonly code: number;
  readonly handles: readonly number[];
  /** The first handle is used with an empty password. */
  readonly password: boolean;
  readonly parameters: Uint8Array;
};

/**
 * Sends a command until the TPM does not ask for it again, 10 times at most, and has `read` take its
 * response's parameters, wholly.
 * Rejects with attest.unavailable, `detail.responseCode` where the TPM gave one.
 */
export async function executeTpm<T>(
  tpm: TpmChannel,
  command: TpmCommand,
  read: (parameters: Uint8Array) => T,
): Promise<T> {
  const bytes = encodeTpmCommand(command);
  for (let tried = 1; ; tried += 1) {
    const response = await tpm.transmit(bytes);
    const { code, parameters } = strictly(command, () => openResponse(response, command.password));
    if (code === 0) return strictly(command, () => read(parameters));
    if (AGAIN.has(code) && tried < ATTEMPTS) continue;
    throw new PpmlError(
      "attest.unavailable",
      `the TPM refused ${command.name} with 0x${code.toString(16).padStart(3, "0")}: ${explain(code)}`,
      { detail: { command: command.name, responseCode: code } },
    );
  }
}

/** Reads all of a response's parameters. @throws attest.invalid where bytes lack or are left over */
export function readParameters<T>(parameters: Uint8Array, read: (reader: TpmReader) => T): T {
  const reader = openTpmReader(parameters, "response");
  const value = read(reader);
  reader.end();
  return value;
}

/** Encodes a command. @see TPM 2.0 Library Part 1 (rev. 1.59) sections 18.3 to 18.5 */
export function encodeTpmCommand(command: Omit<TpmCommand, "name">): Uint8Array {
  const { code, handles, password, parameters } = command;
  // TPMS_AUTH_COMMAND: handle, no nonce, attributes 0, no password.
  const authorisation = concatBytes(u32(TPM_RS_PW), u16(0), Uint8Array.of(0), u16(0));
  const body = concatBytes(
    ...handles.map(u32),
    ...(password ? [u32(authorisation.byteLength), authorisation] : []),
    parameters,
  );
  const tag = password ? TPM_ST.sessions : TPM_ST.noSessions;
  return concatBytes(u16(tag), u32(10 + body.byteLength), u32(code), body);
}

/** A UINT16, most significant byte first. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

/** A UINT32, most significant byte first. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function openResponse(
  response: Uint8Array,
  password: boolean,
): { readonly code: number; readonly parameters: Uint8Array } {
  const reader = openTpmReader(response, "response");
  const tag = reader.u16();
  const size = reader.u32();
  const code = reader.u32();
  if (size !== response.byteLength) throw malformed("its size is not its length");
  if (code !== 0) return { code, parameters: new Uint8Array() };
  if (tag !== (password ? TPM_ST.sessions : TPM_ST.noSessions))
    throw malformed(`it has the tag 0x${tag.toString(16)}`);
  // With sessions the parameters' size comes first, and the sessions' part after them.
  const length = password ? reader.u32() : size - 10;
  return { code, parameters: reader.take(length) };
}

/** What does not parse is the TPM's fault, not the Evidence's. */
function strictly<T>(command: TpmCommand, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!isPpmlError(cause, "attest.invalid")) throw cause;
    throw new PpmlError(
      "attest.unavailable",
      `the TPM's answer to ${command.name} is malformed: ${cause.message}`,
      { cause },
    );
  }
}

/** A fault in a response: `executeTpm` says of which command. */
export function malformed(why: string): PpmlError {
  return new PpmlError("attest.invalid", why);
}

/** Part 2 section 6.6: format-one codes have bit 7 set, and a handle's or parameter's number above. */
function explain(code: number): string {
  const error = (code & 0x80) === 0 ? null : code & 0x3f;
  if (error === 0x0b) return "it has no such key or index: this is no vTPM of a confidential VM";
  if (error === 0x0e || error === 0x22) return "an empty password does not open it";
  if (code === 0x921) return "it is locked after failed authorisations";
  return "TPM 2.0 Library Part 2 section 6.6.3 lists the codes";
}
