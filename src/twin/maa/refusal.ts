/** MAA's body of every error. @see azure-rest-api-specs, attestation 2025-06-01, CloudError */
export type MaaErrorBody = { readonly error: { readonly code: string; readonly message: string } };

/** A request that the double refuses, with the status and body that MAA would answer. */
export class MaaRefusal extends Error {
  override readonly name = "MaaRefusal";
  readonly status: 400 | 404 | 413;
  readonly code: string;

  constructor(
    status: 400 | 404 | 413,
    code: string,
    options: { readonly message: string; readonly cause?: unknown },
  ) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.code = code;
  }

  /** The answer's body. */
  body(): MaaErrorBody {
    return { error: { code: this.code, message: this.message } };
  }
}

/** MAA's most common refusal: Evidence or a request that it cannot accept. */
export function invalidParameter(message: string, cause?: unknown): MaaRefusal {
  return new MaaRefusal(400, "InvalidParameter", { message, cause });
}
