import { concatBytes, Secret, utf8 } from "../../base/index.ts";
import { encodeSecretBase64 } from "../secret-pem.ts";

const HEAD = `apiVersion: v1
kind: Secret
metadata:
  name: ssl-keys
type: Opaque
data:
`;

/**
 * A Kubernetes Secret `ssl-keys` of type Opaque in YAML, one entry a file. The bytes are not strings
 * on their way: base64 needs no quoting in YAML, so that no YAML library has to see them.
 * @param files name to content; names of letters, digits, `.`, `-` and `_`
 * @see Kubernetes API v1, Secret: "Each key must consist of alphanumeric characters, '-', '_' or '.'"
 */
export function encodeKubernetesSecret(files: ReadonlyMap<string, Secret>): Secret {
  const parts: Uint8Array[] = [utf8(HEAD)];
  for (const [name, content] of files) {
    using text = encodeSecretBase64(content);
    parts.push(text.expose((bytes) => concatBytes(utf8(`  ${name}: `), bytes, utf8("\n"))));
  }
  const yaml = concatBytes(...parts);
  for (const part of parts) part.fill(0);
  return Secret.take(yaml);
}
