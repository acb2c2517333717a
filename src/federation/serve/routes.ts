// Every endpoint by which other servers ask this one, beside keys and transactions.

import type { FederationRoute } from '../route.js';
import { hierarchyRoutes } from './directory/hierarchy.js';
import { publicRoomRoutes } from './directory/public-rooms.js';
import { queryRoutes } from './directory/query.js';
import { serverFactRoutes } from './directory/server-facts.js';
import { eventRoutes } from './history/events.js';
import { stateRoutes } from './history/state.js';
import { statePartRoutes } from './history/state-parts.js';
import { timestampRoutes } from './history/timestamps.js';
import { inviteRoutes } from './membership/invite.js';
import { sendJoinRoutes } from './membership/send-join.js';
import { sendLeaveAndKnockRoutes } from './membership/send-leave-and-knock.js';
import { templateRoutes } from './membership/templates.js';
import { thirdPartyInviteRoutes } from './membership/third-party-invites.js';
import { deviceRoutes } from './users/devices.js';
import { openIdRoutes } from './users/openid.js';

export const serveRoutes: readonly FederationRoute[] = [
  ...serverFactRoutes,
  // Who comes and goes.
  ...templateRoutes,
  ...sendJoinRoutes,
  ...sendLeaveAndKnockRoutes,
  ...inviteRoutes,
  ...thirdPartyInviteRoutes,
  // What happened.
  ...eventRoutes,
  ...stateRoutes,
  ...statePartRoutes,
  ...timestampRoutes,
  // What there is.
  ...publicRoomRoutes,
  ...hierarchyRoutes,
  ...queryRoutes,
  ...deviceRoutes,
  ...openIdRoutes,
];
