import type { WhatIfChange, WhatIfPropertyChange } from "@azure/arm-resourcesdeployments";
import type { WhatIfProperty, WhatIfResource } from "./arm-port.ts";

/** What-if's answer as the SDK gives it, in our own form; changes without an id are left out. */
export function toWhatIf(changes: readonly WhatIfChange[]): readonly WhatIfResource[] {
  return changes.flatMap(({ resourceId, changeType, delta, unsupportedReason }) =>
    resourceId === undefined
      ? []
      : [
          {
            resourceId,
            changeType,
            delta: (delta ?? []).map(toProperty),
            ...(unsupportedReason === undefined ? {} : { unsupportedReason }),
          },
        ],
  );
}

function toProperty(change: WhatIfPropertyChange): WhatIfProperty {
  const { path, propertyChangeType, children } = change;
  const before: unknown = change.before;
  const after: unknown = change.after;
  return {
    path,
    propertyChangeType,
    before,
    after,
    ...(children === undefined ? {} : { children: children.map(toProperty) }),
  };
}
