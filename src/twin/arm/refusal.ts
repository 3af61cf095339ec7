/** One error in the form of ARM. */
export type ArmError = {
  readonly code: string;
  readonly message: string;
  readonly target?: string;
  readonly details?: readonly ArmError[];
};

/** A request that ARM's double refuses, with the status and body that ARM would answer. */
export class ArmRefusal extends Error {
  override readonly name = "ArmRefusal";
  readonly status: number;
  readonly code: string;
  readonly details: readonly ArmError[];
  readonly retryAfterSeconds: number | null;

  constructor(
    status: number,
    code: string,
    options: {
      readonly message: string;
      readonly details?: readonly ArmError[];
      readonly retryAfterSeconds?: number | null;
    },
  ) {
    super(options.message);
    this.status = status;
    this.code = code;
    this.details = options.details ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  /** What stands under `error`. */
  error(): ArmError {
    const { code, message, details } = this;
    return { code, message, ...(details.length === 0 ? {} : { details }) };
  }

  /** The answer's body. @see Azure Resource Manager RPC, "Error response content" */
  body(): { readonly error: ArmError } {
    return { error: this.error() };
  }
}

/** A request that is not well-formed. */
export function badRequest(code: string, message: string): ArmRefusal {
  return new ArmRefusal(400, code, { message });
}

/** A template that ARM does not take. */
export function invalidTemplate(message: string): ArmRefusal {
  return badRequest("InvalidTemplate", `Deployment template validation failed: '${message}'.`);
}

/** What Azure does and the double does not: said openly, never half done. */
export function notInTwin(what: string): ArmRefusal {
  return new ArmRefusal(501, "NotImplementedByTwin", {
    message: `The double of Azure does not do this: ${what}.`,
  });
}

/** @see ARM's own sentence of a resource that is not there */
export function resourceNotFound(id: string): ArmRefusal {
  const { type, name, group } = partsForMessage(id);
  return new ArmRefusal(404, "ResourceNotFound", {
    message: `The Resource '${type}/${name}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  });
}

/** A subscription that is not there, or not for this login's tenant. */
export function subscriptionNotFound(id: string): ArmRefusal {
  return new ArmRefusal(404, "SubscriptionNotFound", {
    message: `The subscription '${id.slice(0, 100)}' could not be found.`,
  });
}

/** A resource group that is not there. */
export function groupNotFound(name: string): ArmRefusal {
  return new ArmRefusal(404, "ResourceGroupNotFound", {
    message: `Resource group '${name}' could not be found.`,
  });
}

/** What was thrown as an error of ARM's form; null for what is no refusal. */
export function asArmError(error: unknown): ArmError | null {
  return error instanceof ArmRefusal ? error.error() : null;
}

function partsForMessage(id: string): { type: string; name: string; group: string } {
  const [, group = "<null>"] = /\/resourceGroups\/([^/]+)/i.exec(id) ?? [];
  const [, tail = id] = /.*\/providers\/(.+)$/i.exec(id) ?? [];
  const [provider = "", ...rest] = tail.split("/");
  const types = rest.filter((_, index) => index % 2 === 0);
  const names = rest.filter((_, index) => index % 2 === 1);
  return { type: [provider, ...types].join("/"), name: names.join("/"), group };
}
