import type {
  ArmFailure,
  ArmPort,
  ResourceProgress,
  StackRequest,
  StackState,
  WhatIfResource,
} from "../../../src/provision/azure/deploy/arm-port.ts";
import { templateIds } from "../../../src/provision/azure/deploy/resource-ids.ts";
import type { ArmResource, ArmTemplate, AzureSection } from "../../../src/provision/index.ts";

/** What a test says the next deployment runs into. */
export type Trouble = {
  /** Fails at the first resource whose id ends so; what stands before it in the template is made. */
  readonly failAt?: string;
  readonly error?: ArmFailure;
  /** Stops for ever before that resource: the caller was killed, Azure goes on when told. */
  readonly hangAt?: string;
};

/** ARM in memory for one group and one stack: its state is what was put, nothing is scripted. */
export class MemoryArm {
  readonly resources = new Map<string, string>();
  readonly calls: string[] = [];
  hasGroup = false;
  current: StackState | null = null;
  trouble: Trouble = {};
  private release: (() => void) | null = null;
  private readonly section: AzureSection;

  constructor(section: AzureSection) {
    this.section = section;
  }

  /** Lets a deployment that hangs go on. */
  goOn(): void {
    this.release?.();
  }

  get port(): ArmPort {
    return {
      groupExists: () => Promise.resolve(this.hasGroup),
      makeGroup: () => {
        this.calls.push("makeGroup");
        this.hasGroup = true;
        return Promise.resolve();
      },
      whatIf: (template) => Promise.resolve(this.whatIf(template)),
      stack: () => Promise.resolve(this.current),
      putStack: (request) => this.putStack(request),
      deleteStack: (unmanaged) => {
        this.calls.push(`deleteStack ${unmanaged}`);
        if (unmanaged === "delete")
          for (const id of this.current?.resources ?? []) this.resources.delete(id.toLowerCase());
        this.current = null;
        return Promise.resolve();
      },
      progress: () => Promise.resolve(this.progress()),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    };
  }

  private pairs(template: ArmTemplate): readonly (readonly [string, ArmResource])[] {
    return template.resources.flatMap((one) =>
      templateIds({ resources: [one] }, this.section).map((id) => [id, one] as const),
    );
  }

  private whatIf(template: ArmTemplate): readonly WhatIfResource[] {
    return this.pairs(template).map(([resourceId, one]): WhatIfResource => {
      const before = this.resources.get(resourceId.toLowerCase());
      if (before === undefined) return { resourceId, changeType: "Create" };
      const after = JSON.stringify(one);
      if (before === after) return { resourceId, changeType: "NoChange" };
      const delta = [{ path: "properties", propertyChangeType: "Modify" as const, before, after }];
      return { resourceId, changeType: "Modify", delta };
    });
  }

  private async putStack(request: StackRequest): Promise<void> {
    this.calls.push(`putStack ${request.unmanaged}`);
    const before = this.current?.resources ?? [];
    const pairs = this.pairs(request.template);
    this.current = {
      provisioningState: "deploying",
      description: request.description,
      resources: before,
      failedResources: [],
      error: null,
      deploymentId: "/deployments/one",
      outputs: {},
    };
    const made: string[] = [];
    for (const [id, one] of pairs) {
      const { hangAt, failAt, error } = this.trouble;
      if (hangAt !== undefined && id.endsWith(hangAt))
        await new Promise<void>((resolve) => (this.release = resolve));
      if (failAt !== undefined && id.endsWith(failAt)) {
        const inner = error ?? { code: "Failed", message: "it failed", details: [] };
        this.current = {
          ...this.current,
          provisioningState: "failed",
          resources: [...new Set([...before, ...made])],
          failedResources: [{ id, error: inner }],
          error: { code: "DeploymentFailed", message: "see below", details: [inner] },
        };
        return;
      }
      this.resources.set(id.toLowerCase(), JSON.stringify(one));
      made.push(id);
    }
    const wanted = new Set(pairs.map(([id]) => id.toLowerCase()));
    if (request.unmanaged === "delete")
      for (const id of before)
        if (!wanted.has(id.toLowerCase())) this.resources.delete(id.toLowerCase());
    this.current = { ...this.current, provisioningState: "succeeded", resources: made };
  }

  private progress(): readonly ResourceProgress[] {
    return [...this.resources.keys()].map((resourceId) => ({
      resourceId,
      type: "",
      state: "succeeded",
      error: null,
    }));
  }
}
