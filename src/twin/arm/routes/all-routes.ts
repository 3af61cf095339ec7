import { POLLING_ROUTES } from "../async-operations.ts";
import { DEPLOYMENT_ROUTES } from "../deployments/routes.ts";
import type { Route } from "../route.ts";
import { STACK_ROUTES } from "../stacks/routes.ts";
import { AUTHORIZATION_ROUTES } from "./authorization-routes.ts";
import { CAPACITY_ROUTES } from "./capacity-routes.ts";
import { NAME_ROUTES } from "./name-routes.ts";
import { RESOURCE_ROUTES } from "./resource-routes.ts";
import { SUBSCRIPTION_ROUTES } from "./subscription-routes.ts";

/** Everything that ARM's double answers: the first route that fits counts. */
export const ROUTES: readonly Route[] = [
  ...POLLING_ROUTES,
  ...DEPLOYMENT_ROUTES,
  ...STACK_ROUTES,
  ...AUTHORIZATION_ROUTES,
  ...CAPACITY_ROUTES,
  ...NAME_ROUTES,
  ...SUBSCRIPTION_ROUTES,
  ...RESOURCE_ROUTES,
];
