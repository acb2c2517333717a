// A user leaves for good: out of all rooms, off all devices, and the name is never given out again.
//
// Source: client-server API, "POST /account/deactivate".

import type { UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { StateroomError } from '../lib/errors.js';
import type { Homeserver } from './homeserver.js';
import { confirmedUser } from './password.js';
import { outsidePlace } from './remote-rooms.js';
import { bodyFlag } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';

const LEAVABLE: readonly string[] = ['join', 'invite', 'knock'];

async function deactivate(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const erase = bodyFlag(request.body, 'erase') ?? false;
  const userId = await confirmedUser(request, home, 'deactivate');
  await home.accounts.deactivate(userId, { erase });
  await leaveEverything(home, userId);
  // There are no third-party identifiers here, so all of them are unbound.
  return { id_server_unbind_result: 'success' };
}

export async function leaveEverything(home: Homeserver, userId: UserId): Promise<void> {
  for (const [roomId, { membership }] of await home.accounts.memberships.ofUser(userId)) {
    if (!LEAVABLE.includes(membership)) continue;
    const outside = outsidePlace(home, userId, roomId);
    if (outside !== undefined) {
      const hasLeft = await home.federation?.membership.leave(userId, outside, {});
      if (hasLeft !== false) continue;
    }
    try {
      await home.engine.send(roomId, {
        type: 'm.room.member',
        sender: userId,
        stateKey: userId,
        content: { membership: 'leave' },
      });
    } catch (error) {
      // Thrown out in the same moment: then they are out.
      if (!(error instanceof StateroomError) || error.code !== 'ENGINE_FORBIDDEN') throw error;
    }
  }
}

export const deactivateRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/account/deactivate',
    auth: 'optional',
    rateLimit: 'login',
    handler: deactivate,
  },
];
