import {
  constants,
  createCipheriv,
  diffieHellman,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { concatBytes, Secret, sha256, toBase64Url, utf8 } from "../base/index.ts";
import { rcarPublicKeyOf } from "../format/rcar.ts";
import type { RcarResponse, RcarTeeKey } from "../format/rcar.ts";
import type { ResourceDecision } from "./decide.ts";
import { recipientOf } from "./guest-binding.ts";

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const EC_ALGORITHM = "ECDH-ES+A256KW";

/**
 * Makes the answer of GET /kbs/v0/resource: a flattened JWE of the content to the guest's key, by
 * ECDH-ES+A256KW (P-256, P-521) or RSA-OAEP-256, and A256GCM. `content` stays the caller's.
 *
 * CoCo's guests parse the protected header and write it anew to get the AAD, so it is written here
 * exactly as they write it: `alg`, `enc`, then `epk` of `crv`, `kty`, `x`, `y`, and nothing else.
 * @throws format.invalid where the guest's key is none
 * @see RFC 7516 section 5.1 and 7.2.2, RFC 7518 sections 4.3, 4.6 and 5.3
 * @see CoCo kbs-types, ProtectedHeader::generate_aad
 */
export function sealResourceAnswer(decision: ResourceDecision, content: Secret): RcarResponse {
  // A CEK is made for this one answer, so its IV comes once.
  using cek = Secret.take(Uint8Array.from(randomBytes(KEY_BYTES)));
  const { header, encryptedKey } = wrapCek(recipientOf(decision.binding), cek);
  const protectedHeader = toBase64Url(utf8(JSON.stringify(header)));
  const iv = Uint8Array.from(randomBytes(IV_BYTES));
  const { ciphertext, tag } = cek.expose((key) => {
    const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
    // RFC 7516 section 5.1, step 14: the AAD is the encoded header.
    cipher.setAAD(utf8(protectedHeader));
    const body = content.expose((plain) => cipher.update(plain));
    return { ciphertext: concatBytes(body, cipher.final()), tag: cipher.getAuthTag() };
  });
  return {
    protected: protectedHeader,
    encrypted_key: toBase64Url(encryptedKey),
    iv: toBase64Url(iv),
    ciphertext: toBase64Url(ciphertext),
    tag: toBase64Url(tag),
  };
}

function wrapCek(
  recipient: RcarTeeKey,
  cek: Secret,
): { readonly header: unknown; readonly encryptedKey: Uint8Array } {
  const publicKey = rcarPublicKeyOf(recipient);
  if (recipient.kty === "RSA") {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const encryptedKey = cek.expose((bytes) =>
      publicEncrypt({ key: publicKey, padding, oaepHash: "sha256" }, bytes),
    );
    return { header: { alg: "RSA-OAEP-256", enc: "A256GCM" }, encryptedKey };
  }
  const ephemeral = generateKeyPairSync("ec", { namedCurve: recipient.crv });
  using wrappingKey = deriveWrappingKey(ephemeral.privateKey, publicKey);
  const { crv, kty, x, y } = ephemeral.publicKey.export({ format: "jwk" });
  const header = { alg: EC_ALGORITHM, enc: "A256GCM", epk: { crv, kty, x, y } };
  return { header, encryptedKey: wrapKey(wrappingKey, cek) };
}

/** RFC 7518 section 4.6.2: Concat KDF with SHA-256; one round gives the 256 bits of A256KW. */
function deriveWrappingKey(privateKey: KeyObject, publicKey: KeyObject): Secret {
  using shared = Secret.take(new Uint8Array(diffieHellman({ privateKey, publicKey })));
  const algorithm = utf8(EC_ALGORITHM);
  const noPartyInfo = u32be(0);
  return Secret.take(
    shared.expose((z) =>
      sha256(
        u32be(1),
        z,
        u32be(algorithm.byteLength),
        algorithm,
        noPartyInfo,
        noPartyInfo,
        u32be(8 * KEY_BYTES),
      ),
    ),
  );
}

/** AES key wrap. @see RFC 3394 section 2.2.3.1: the initial value */
function wrapKey(wrappingKey: Secret, cek: Secret): Uint8Array {
  const initialValue = new Uint8Array(8).fill(0xa6);
  return wrappingKey.expose((key) => {
    const cipher = createCipheriv("id-aes256-wrap", key, initialValue);
    return cek.expose((bytes) => concatBytes(cipher.update(bytes), cipher.final()));
  });
}

function u32be(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
