/** Key Vault's body of every error. @see learn.microsoft.com/rest/api/keyvault, "KeyVaultError" */
export type KeyVaultErrorBody = {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly innererror?: { readonly code: string };
  };
};

type Status = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 429;

/** A request that the double refuses, with the status and body that Key Vault would answer. */
export class KeyVaultRefusal extends Error {
  override readonly name = "KeyVaultRefusal";
  readonly status: Status;
  readonly code: string;
  readonly inner: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: Status,
    code: string,
    options: {
      readonly message: string;
      readonly inner?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ) {
    super(options.message);
    this.status = status;
    this.code = code;
    this.inner = options.inner ?? null;
    this.headers = options.headers ?? {};
  }

  /** The answer's body. */
  body(): KeyVaultErrorBody {
    const { code, message, inner } = this;
    return { error: { code, message, ...(inner === null ? {} : { innererror: { code: inner } }) } };
  }
}

/** What is wrong with a request's path, query or body. */
export function badParameter(message: string): KeyVaultRefusal {
  return new KeyVaultRefusal(400, "BadParameter", { message });
}

/** What is not allowed for a reason that Key Vault names in `innererror`. */
export function forbidden(message: string, inner?: string): KeyVaultRefusal {
  return new KeyVaultRefusal(403, "Forbidden", {
    message,
    ...(inner === undefined ? {} : { inner }),
  });
}

/** An object that the vault does not have: `noun` is Key, Secret or Certificate. */
export function notFound(noun: string, name: string): KeyVaultRefusal {
  const word = noun.toLowerCase();
  return new KeyVaultRefusal(404, `${noun}NotFound`, {
    message: `A ${word} with (name/id) ${name} was not found in this key vault. If you recently deleted this ${word} you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
  });
}

/** A name that a deleted object still has. */
export function deletedButRecoverable(noun: string, name: string): KeyVaultRefusal {
  const word = noun.toLowerCase();
  return new KeyVaultRefusal(409, "Conflict", {
    message: `${noun} ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the ${word} can only be recovered or purged.`,
    inner: "ObjectIsDeletedButRecoverable",
  });
}
