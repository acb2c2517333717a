// What this server has none of, for clients that ask for all of a thing at once: with an error instead of an
// empty list they show nothing of what they asked for beside it.
//
// Source: client-server API, GET /pushers, GET /account/3pid, GET /thirdparty/protocols, GET /voip/turnServer.

import type { JsonObject } from '../event/json.js';
import type { Route } from './route.js';

const NONE: ReadonlyArray<readonly [path: string, answer: JsonObject]> = [
  // Element Web shows no notification setting at all without the pushers and the addresses.
  ['/_matrix/client/v3/pushers', { pushers: [] }],
  ['/_matrix/client/v3/account/3pid', { threepids: [] }],
  ['/_matrix/client/v3/thirdparty/protocols', {}],
  // The specification has no answer for servers without one; all clients take the empty object for that.
  ['/_matrix/client/v3/voip/turnServer', {}],
];

export const noneHereRoutes: readonly Route[] = NONE.map(([path, answer]) => ({
  method: 'GET',
  path,
  auth: 'user',
  rateLimit: 'other',
  handler: () => answer,
}));
