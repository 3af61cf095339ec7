import type { ServerResponse } from "node:http";

/** The header that says why the double cannot do what Azure can, percent-encoded. */
const TWIN_MESSAGE = "ppml-twin-message";

/** A refusal of the double, with the code and status that Azure Storage has for it. */
export class StorageRefusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, options: RefusalOptions = {}) {
    super(options.message ?? MESSAGES[code] ?? "The request is refused.");
    this.name = "StorageRefusal";
    this.status = status;
    this.code = code;
    this.headers = options.headers ?? {};
  }
}

type RefusalOptions = {
  readonly message?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

const MESSAGES: Readonly<Record<string, string>> = {
  AuthenticationFailed:
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
  AuthorizationPermissionMismatch:
    "This request is not authorized to perform this operation using this permission.",
  ContainerNotFound: "The specified container does not exist.",
  FilesystemNotFound: "The specified filesystem does not exist.",
  KeyBasedAuthenticationNotPermitted:
    "Key based authentication is not permitted on this storage account.",
  NoAuthenticationInformation:
    "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
  PathAlreadyExists: "The specified path already exists.",
  PathNotFound: "The specified path does not exist.",
  ResourceTypeMismatch:
    "The value specified in the resource type query parameter does not match the existing resource type.",
  DirectoryNotEmpty:
    "The recursive query parameter value must be true to delete a non-empty directory.",
  InvalidFlushPosition:
    "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the file after appending the uploaded data.",
  ResourceNotFound: "The specified resource does not exist.",
};

/** Answers with a refusal: JSON at the Data Lake endpoint, XML at the blob endpoint. */
export function sendRefusal(
  response: ServerResponse,
  refusal: StorageRefusal,
  endpoint: "blob" | "dfs",
): void {
  const { status, code, message } = refusal;
  const body =
    endpoint === "dfs"
      ? JSON.stringify({ error: { code, message } })
      : `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  response.writeHead(status, {
    "content-type": endpoint === "dfs" ? "application/json;charset=utf-8" : "application/xml",
    "content-length": Buffer.byteLength(body),
    "x-ms-error-code": code,
    // An answer to HEAD has no body: what Azure itself would never say goes with it in a header.
    ...(status === 501 ? { [TWIN_MESSAGE]: encodeURIComponent(message) } : {}),
    ...refusal.headers,
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
