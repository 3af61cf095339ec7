/** Entra ID's codes of what the double refuses. @see learn.microsoft.com/entra/identity-platform/reference-error-codes */
const CODES = {
  tenant: [90002, "invalid_tenant", 400],
  request: [900144, "invalid_request", 400],
  grant: [70003, "unsupported_grant_type", 400],
  scope: [70011, "invalid_scope", 400],
  resource: [500011, "invalid_resource", 400],
  application: [700016, "unauthorized_client", 400],
  secret: [7000215, "invalid_client", 401],
  secretExpired: [7000222, "invalid_client", 401],
  noCredential: [7000218, "invalid_client", 401],
  assertion: [700027, "invalid_client", 401],
  assertionTime: [700024, "invalid_client", 401],
  assertionIssuer: [700211, "invalid_client", 401],
  assertionSubject: [700213, "invalid_client", 401],
  assertionAudience: [700212, "invalid_client", 401],
} as const;

/** A request that Entra ID's double refuses, with the body that Entra ID would answer. */
export class EntraRefusal extends Error {
  override readonly name = "EntraRefusal";
  readonly status: 400 | 401;
  readonly #code: number;
  readonly #error: string;

  constructor(kind: keyof typeof CODES, message: string) {
    super(message);
    [this.#code, this.#error, this.status] = CODES[kind];
  }

  /** The answer's body. `id` is a GUID for the trace and correlation ids. */
  body(options: {
    readonly nowMs: number;
    readonly id: string;
  }): Readonly<Record<string, unknown>> {
    const timestamp = `${new Date(options.nowMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
    return {
      error: this.#error,
      error_description: `AADSTS${this.#code}: ${this.message} Trace ID: ${options.id} Correlation ID: ${options.id} Timestamp: ${timestamp}`,
      error_codes: [this.#code],
      timestamp,
      trace_id: options.id,
      correlation_id: options.id,
      error_uri: `https://login.microsoftonline.com/error?code=${this.#code}`,
    };
  }
}
