import { fromUtf8, PpmlError } from "../../base/index.ts";

/** Each name is compared with those before it: Intel's objects have 20 members at most. */
const MAX_MEMBERS = 256;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const BRACKET = { open: 0x5b, close: 0x5d } as const;
const BRACE = { open: 0x7b, close: 0x7d } as const;

/**
 * Steps through the bytes of a JSON text, for lists of hundreds of numbers that become a type of their own:
 * the objects that `JSON.parse` makes of them first cost as much as half a signature. As strict as that, and
 * stricter with the objects that are entered: a name with an escape is refused, and so are two members with
 * one name, of which some libraries take the first and some the last, and more than 256 members. A class for
 * speed alone.
 * @see RFC 8259 section 4
 */
export class JsonReader {
  readonly #bytes: Uint8Array;
  /** The same, a character a byte. */
  readonly #latin1: string;
  readonly #what: string;
  #at = 0;
  /** Whether nothing was met yet in the object or list that was entered last. */
  #first = false;
  #nameStart = 0;
  #nameEnd = 0;
  /** Where the names begin and end that were met in the objects that are open. */
  readonly #names: number[] = [];
  #namesEnd = 0;
  /** Where in `#names` each open object's own begin. */
  readonly #objects: number[] = [];

  /** `what` names the text in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    this.#what = what;
  }

  /** Enters the object that stands here. @throws attest.invalid */
  enterObject(): void {
    this.#take(BRACE.open);
    this.#first = true;
    this.#objects.push(this.#namesEnd);
  }

  /** Enters the list that stands here. @throws attest.invalid */
  enterList(): void {
    this.#take(BRACKET.open);
    this.#first = true;
  }

  /** Goes on to the value of the next member; false where the object ends. @throws attest.invalid */
  nextMember(): boolean {
    if (!this.#next(BRACE.close)) {
      this.#namesEnd = this.#objects.pop() ?? 0;
      return false;
    }
    this.#take(QUOTE);
    this.#nameStart = this.#at;
    this.#nameEnd = this.#endOfPlainText(this.#at);
    if (this.#nameEnd === -1) throw this.#invalid();
    this.#requireNewName();
    this.#at = this.#nameEnd + 1;
    this.#take(0x3a);
    return true;
  }

  /** Goes on to the next item; false where the list ends. @throws attest.invalid */
  nextItem(): boolean {
    return this.#next(BRACKET.close);
  }

  /** The present member's name. */
  name(): string {
    return this.#latin1.slice(this.#nameStart, this.#nameEnd);
  }

  /** Whether that is the present member's name. */
  isNamed(name: string): boolean {
    const start = this.#nameStart;
    if (this.#nameEnd - start !== name.length) return false;
    for (let index = 0; index < name.length; index += 1)
      if (this.#bytes[start + index] !== name.charCodeAt(index)) return false;
    return true;
  }

  /** The value that stands here, as `JSON.parse` gives it. @throws attest.invalid */
  value(): unknown {
    if (this.#peek() !== QUOTE) return this.#plainNumber() ?? this.#parsed();
    const start = this.#at + 1;
    const end = this.#endOfPlainText(start);
    if (end === -1) return this.#parsed();
    this.#at = end + 1;
    return this.#latin1.slice(start, end);
  }

  /** As `value`, but null for a number with a sign, a fraction or an exponent. @throws attest.invalid */
  valueInDigits(): unknown {
    this.#peek();
    const plain = this.#plainNumber();
    if (plain !== null) return plain;
    const start = this.#at;
    const value = this.value();
    if (typeof value !== "number") return value;
    return /^\d+\s*$/.test(this.#latin1.slice(start, this.#at)) ? value : null;
  }

  /**
   * The number in an object that is `{"name":` without spaces, of which `open` has the bytes, a number of 1 to 9
   * digits and `}`. Null where another value stands here, at which it stays.
   */
  loneNumber(open: Uint8Array): number | null {
    const bytes = this.#bytes;
    const start = this.#at;
    for (let index = 0; index < open.length; index += 1)
      if (bytes[start + index] !== open[index]) return null;
    this.#at = start + open.length;
    const number = this.#plainNumber();
    if (number === null || bytes[this.#at] !== BRACE.close) {
      this.#at = start;
      return null;
    }
    this.#at += 1;
    return number;
  }

  /** Passes the value that stands here, as strict as `value`. @throws attest.invalid */
  skip(): void {
    if (this.#peek() !== QUOTE) {
      if (this.#plainNumber() === null) this.#parsed();
      return;
    }
    const end = this.#endOfPlainText(this.#at + 1);
    if (end === -1) this.#parsed();
    else this.#at = end + 1;
  }

  /** Refuses what stands behind the end. @throws attest.invalid */
  end(): void {
    if (this.#peek() !== -1) throw this.#invalid();
  }

  /** Refuses the present name where the object has had it before. */
  #requireNewName(): void {
    const names = this.#names;
    const length = this.#nameEnd - this.#nameStart;
    const first = this.#objects.at(-1) ?? 0;
    if (this.#namesEnd - first >= 2 * MAX_MEMBERS)
      throw new PpmlError(
        "attest.invalid",
        `${this.#what} has an object with more than ${MAX_MEMBERS} members`,
      );
    for (let at = first; at < this.#namesEnd; at += 2) {
      const start = names[at] ?? 0;
      if ((names[at + 1] ?? 0) - start === length && this.#isSame(start, length))
        throw new PpmlError(
          "attest.invalid",
          `${this.#what} has two members named ${JSON.stringify(this.name())} in one object, at ${this.#nameStart}`,
        );
    }
    names[this.#namesEnd] = this.#nameStart;
    names[this.#namesEnd + 1] = this.#nameEnd;
    this.#namesEnd += 2;
  }

  /** Whether the present name's bytes stand at `start` too. */
  #isSame(start: number, length: number): boolean {
    for (let index = 0; index < length; index += 1)
      if (this.#bytes[start + index] !== this.#bytes[this.#nameStart + index]) return false;
    return true;
  }

  #next(close: number): boolean {
    const ends = this.#peek() === close;
    if (ends) this.#at += 1;
    else if (!this.#first) this.#take(COMMA);
    this.#first = false;
    return !ends;
  }

  #take(expected: number): void {
    if (this.#peek() !== expected) throw this.#invalid();
    this.#at += 1;
  }

  /** Passes white space, and gives the byte behind it; -1 at the end. */
  #peek(): number {
    for (;;) {
      const byte = this.#bytes[this.#at] ?? -1;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at += 1;
    }
  }

  /** Where the quote stands that ends a text; -1 where it has more than printable ASCII, or no end. */
  #endOfPlainText(from: number): number {
    for (let at = from; ; at += 1) {
      const byte = this.#bytes[at] ?? -1;
      if (byte === QUOTE) return at;
      if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return -1;
    }
  }

  /** The number that stands here; null where it is not one of 1 to 9 digits with a comma or bracket behind it. */
  #plainNumber(): number | null {
    let number = 0;
    for (let at = this.#at; ; at += 1) {
      const byte = this.#bytes[at] ?? -1;
      const digits = at - this.#at;
      if (byte < 0x30 || byte > 0x39) {
        const ends = byte === COMMA || byte === BRACKET.close || byte === BRACE.close;
        if (digits === 0 || !ends) return null;
        this.#at = at;
        return number;
      }
      if (digits === 9 || (digits === 1 && number === 0)) return null;
      number = number * 10 + byte - 0x30;
    }
  }

  /** Any value. */
  #parsed(): unknown {
    const start = this.#at;
    this.#at = this.#endOfValue();
    try {
      return JSON.parse(fromUtf8(this.#bytes.subarray(start, this.#at)));
    } catch (cause) {
      throw this.#invalid(cause);
    }
  }

  /** Where the comma or bracket stands that ends the value here, if that is JSON. */
  #endOfValue(): number {
    const text = this.#latin1;
    let depth = 0;
    let isText = false;
    for (let at = this.#at; at < text.length; at += 1) {
      const char = text[at];
      if (char === '"') isText = !isText;
      else if (isText) at += char === "\\" ? 1 : 0;
      else if (char === "{" || char === "[") depth += 1;
      else if (char === "}" || char === "]") depth -= 1;
      if (depth < 0 || (depth === 0 && char === "," && !isText)) return at;
    }
    return text.length;
  }

  #invalid(cause?: unknown): PpmlError {
    return new PpmlError(
      "attest.invalid",
      `${this.#what} is not valid JSON, or not of a known form, at ${this.#at}`,
      { cause },
    );
  }
}
