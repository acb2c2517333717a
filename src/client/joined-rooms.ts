// The rooms that a user is joined to. Source: client-server API, GET /joined_rooms.

import type { Route } from './route.js';

export const joinedRoomsRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/_matrix/client/v3/joined_rooms',
    auth: 'user',
    rateLimit: 'other',
    handler: async ({ user }, home) => ({
      joined_rooms: await home.accounts.memberships.rooms(user.userId, 'join'),
    }),
  },
];
