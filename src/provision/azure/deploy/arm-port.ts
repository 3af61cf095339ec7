import type { ArmTemplate } from "../arm/resource.ts";

/** A change of a property as what-if tells it. */
export type WhatIfProperty = {
  readonly path: string;
  readonly propertyChangeType: "Create" | "Delete" | "Modify" | "Array" | "NoEffect";
  readonly before?: unknown;
  readonly after?: unknown;
  readonly children?: readonly WhatIfProperty[];
};

/** A change of a resource as what-if tells it. */
export type WhatIfResource = {
  readonly resourceId: string;
  readonly changeType:
    | "Create"
    | "Delete"
    | "Ignore"
    | "Deploy"
    | "NoChange"
    | "Modify"
    | "Unsupported";
  readonly unsupportedReason?: string;
  readonly delta?: readonly WhatIfProperty[];
};

/** A failure as ARM tells it: the outermost is often empty, the innermost says what happened. */
export type ArmFailure = {
  readonly code: string;
  readonly message: string;
  readonly details: readonly ArmFailure[];
};

/** A deployment stack as it is now. */
export type StackState = {
  /** Such as creating, deploying, deleting, succeeded, failed, canceled. */
  readonly provisioningState: string;
  /** What `putStack` was given. */
  readonly description: string;
  /** Ids of the resources that it manages. */
  readonly resources: readonly string[];
  readonly failedResources: readonly { readonly id: string; readonly error: ArmFailure | null }[];
  readonly error: ArmFailure | null;
  /** The id of its last deployment; null where there is none. */
  readonly deploymentId: string | null;
  readonly outputs: Readonly<Record<string, string>>;
};

/** How far one resource of a running deployment is. */
export type ResourceProgress = {
  readonly resourceId: string;
  readonly type: string;
  readonly state: "running" | "succeeded" | "failed";
  readonly error: ArmFailure | null;
};

/** What happens to what a stack no longer has: nothing, or it is deleted. */
export type Unmanaged = "detach" | "delete";

/** What is put as a stack. */
export type StackRequest = {
  readonly template: ArmTemplate;
  /** Kept with the stack: which plan it is of. */
  readonly description: string;
  readonly unmanaged: Unmanaged;
  readonly tags: Readonly<Record<string, string>>;
};

/** What planning and applying need of ARM, for one resource group and one stack. */
export type ArmPort = {
  readonly groupExists: () => Promise<boolean>;
  readonly makeGroup: (group: {
    readonly region: string;
    readonly tags: Readonly<Record<string, string>>;
  }) => Promise<void>;
  readonly whatIf: (template: ArmTemplate) => Promise<readonly WhatIfResource[]>;
  /** Null where there is no such stack, or no such group. */
  readonly stack: () => Promise<StackState | null>;
  /** Begins, and waits until it has ended: well, or by an error. */
  readonly putStack: (request: StackRequest) => Promise<void>;
  readonly deleteStack: (unmanaged: Unmanaged) => Promise<void>;
  readonly progress: (deploymentId: string) => Promise<readonly ResourceProgress[]>;
  /** Waits between two looks at what is running, in milliseconds. */
  readonly pause: () => Promise<void>;
};

/** Whether a stack is still at work. */
export function isAtWork({ provisioningState }: StackState): boolean {
  return !["succeeded", "failed", "canceled"].includes(provisioningState.toLowerCase());
}
