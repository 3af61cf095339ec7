/** An IPv4 network as numbers: its first and last address, and whether its host bits are zero. */
export type Cidr = {
  readonly text: string;
  readonly first: number;
  readonly last: number;
  readonly bits: number;
  readonly isAligned: boolean;
};

/** Parses an IPv4 address of the form that `ipv4Schema` takes, to a number from 0 to 2^32 - 1. */
export function parseIpv4(text: string): number {
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Parses a network of the form that `cidrSchema` takes. */
export function parseCidr(text: string): Cidr {
  const [address = "", length = ""] = text.split("/");
  const bits = Number(length);
  const size = 2 ** (32 - bits);
  const start = parseIpv4(address);
  const first = start - (start % size);
  return { text, first, last: first + size - 1, bits, isAligned: start === first };
}

/** Tells whether two networks have an address in common. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Tells whether `inner` lies wholly in `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

/** The network as it should have been written: its host bits zero. */
export function alignedText(cidr: Cidr): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(cidr.first / 2 ** shift) % 256);
  return `${bytes.join(".")}/${cidr.bits}`;
}
