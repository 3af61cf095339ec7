import { createHash, createHmac, randomBytes } from "node:crypto";
import { Secret, utf8 } from "../../base/index.ts";
import { DER } from "../../attest/der/read.ts";
import { der, derInteger, derOid, derSequence } from "../../attest/der/write.ts";
import { derCount, encryptPbes2 } from "./pbes2.ts";

/** What goes into a keystore: one key and its certificate. */
export type KeystoreEntry = {
  /** PKCS#8 of the private key, in DER. */
  readonly privateKey: Secret;
  /** The certificate in DER. */
  readonly certificate: Uint8Array;
  /** friendlyName, which Java calls alias: ASCII, lower case. */
  readonly alias: string;
  /** localKeyID: joins key and certificate. */
  readonly keyId: Uint8Array;
};

/**
 * Iterations of PBKDF2 and of the MAC's derivation: about a tenth of a second each for who guesses on
 * one core. Java refuses more than 5,000,000; keytool opens such a store in two seconds.
 */
export const KEYSTORE_ITERATIONS = 300_000;

const SALT_BYTES = 16;
/** Input block of SHA-256, "v" in RFC 7292 appendix B.2. */
const BLOCK_BYTES = 64;
const BMP_STRING = 0x1e;
const MAC_KEY = 3;

const ID_DATA = "1.2.840.113549.1.7.1";
const ID_ENCRYPTED_DATA = "1.2.840.113549.1.7.6";
const ID_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2";
const ID_CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3";
const ID_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1";
const ID_FRIENDLY_NAME = "1.2.840.113549.1.9.20";
const ID_LOCAL_KEY_ID = "1.2.840.113549.1.9.21";
const ID_SHA256 = "2.16.840.1.101.3.4.2.1";

/**
 * A keystore in PKCS#12: key and certificate each under PBES2 (PBKDF2-HMAC-SHA256, AES-256-CBC), all
 * under a MAC of HMAC-SHA256. OpenSSL 3 and Java (8u301 or newer) read it.
 * @param options.password printable ASCII, so that every program makes the same bytes of it
 * @param options.iterations from 1,000 to 5,000,000
 * @see RFC 7292 sections 4 and 5.1
 */
export async function encodePkcs12(
  entry: KeystoreEntry,
  options: { readonly password: Secret; readonly iterations: number },
): Promise<Uint8Array> {
  const attributes = attributesOf(entry);
  const shrouded = await encryptPbes2(entry.privateKey, options);
  const keyBag = safeBag(ID_SHROUDED_KEY_BAG, {
    value: derSequence(shrouded.algorithm, der(DER.octetString, shrouded.ciphertext)),
    attributes,
  });
  const certificateBag = safeBag(ID_CERTIFICATE_BAG, {
    value: derSequence(
      derOid(ID_X509_CERTIFICATE),
      der(0xa0, der(DER.octetString, entry.certificate)),
    ),
    attributes,
  });
  const authenticatedSafe = derSequence(
    await encryptedContent(derSequence(certificateBag), options),
    dataContent(derSequence(keyBag)),
  );
  return derSequence(
    derInteger(Uint8Array.of(3)),
    dataContent(authenticatedSafe),
    macData(authenticatedSafe, options),
  );
}

/**
 * The MAC's key by PKCS#12's own derivation with SHA-256, which Node does not have: 32 bytes.
 * A key as long as the hash is one round of steps 1 to 6A; the additions of 6B and 6C are for longer.
 * @see RFC 7292 appendices B.1 (BMPString with two zero bytes at its end) and B.2
 */
export function derivePkcs12MacKey(options: {
  readonly password: Secret;
  readonly salt: Uint8Array;
  readonly iterations: number;
}): Secret {
  const { password, salt, iterations } = options;
  return password.expose((ascii) => {
    const wide = new Uint8Array(ascii.byteLength * 2 + 2);
    for (const [index, byte] of ascii.entries()) wide[index * 2 + 1] = byte;
    const blocks = repeated(wide);
    let key: Uint8Array = createHash("sha256")
      .update(new Uint8Array(BLOCK_BYTES).fill(MAC_KEY))
      .update(repeated(salt))
      .update(blocks)
      .digest();
    for (let round = 1; round < iterations; round++) {
      const next = createHash("sha256").update(key).digest();
      key.fill(0);
      key = next;
    }
    wide.fill(0);
    blocks.fill(0);
    return Secret.take(key);
  });
}

/** RFC 7292 section 4: MacData, its MAC over the AuthenticatedSafe's content. */
function macData(
  authenticatedSafe: Uint8Array,
  options: { readonly password: Secret; readonly iterations: number },
): Uint8Array {
  const salt = randomBytes(SALT_BYTES);
  using key = derivePkcs12MacKey({ ...options, salt });
  const mac = key.expose((bytes) => createHmac("sha256", bytes).update(authenticatedSafe).digest());
  const algorithm = derSequence(derOid(ID_SHA256), der(DER.null));
  return derSequence(
    derSequence(algorithm, der(DER.octetString, mac)),
    der(DER.octetString, salt),
    derCount(options.iterations),
  );
}

/** ContentInfo of plain data. @see RFC 2315 section 8 */
function dataContent(content: Uint8Array): Uint8Array {
  return derSequence(derOid(ID_DATA), der(0xa0, der(DER.octetString, content)));
}

/** ContentInfo of data that is encrypted under the password. @see RFC 2315 section 13 */
async function encryptedContent(
  content: Uint8Array,
  options: { readonly password: Secret; readonly iterations: number },
): Promise<Uint8Array> {
  using plaintext = Secret.take(content);
  const { algorithm, ciphertext } = await encryptPbes2(plaintext, options);
  // encryptedContent is [0] IMPLICIT OCTET STRING.
  const info = derSequence(derOid(ID_DATA), algorithm, der(0x80, ciphertext));
  return derSequence(
    derOid(ID_ENCRYPTED_DATA),
    der(0xa0, derSequence(derInteger(Uint8Array.of(0)), info)),
  );
}

function safeBag(
  type: string,
  bag: { readonly value: Uint8Array; readonly attributes: Uint8Array },
): Uint8Array {
  return derSequence(derOid(type), der(0xa0, bag.value), bag.attributes);
}

function attributesOf({ alias, keyId }: KeystoreEntry): Uint8Array {
  const wide = Uint8Array.from([...utf8(alias)].flatMap((byte) => [0, byte]));
  return der(
    DER.set,
    // X.690 11.6: DER orders a SET OF by its encodings.
    ...[
      derSequence(derOid(ID_FRIENDLY_NAME), der(DER.set, der(BMP_STRING, wide))),
      derSequence(derOid(ID_LOCAL_KEY_ID), der(DER.set, der(DER.octetString, keyId))),
    ].sort((one, other) => Buffer.compare(one, other)),
  );
}

/** Steps 2 and 3: as often as it takes to fill whole blocks. */
function repeated(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.byteLength / BLOCK_BYTES) * BLOCK_BYTES);
  for (let index = 0; index < whole.byteLength; index++)
    whole[index] = bytes[index % bytes.byteLength] ?? 0;
  return whole;
}
