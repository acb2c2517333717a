// The endpoint by which other servers send events and messages.
//
// Source: server-server API, PUT /_matrix/federation/v1/send/{txnId}.

import type { FederationRoute } from '../route.js';

/** 50 events of 64 KiB with their escapes, and 100 messages. */
const BODY_BYTES_MAX = 12 * 1024 * 1024;

export const inboundRoutes: readonly FederationRoute[] = [
  {
    method: 'PUT',
    path: '/_matrix/federation/v1/send/:txnId',
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: ({ origin, params, body }, federation) =>
      federation.input.receive(origin, params['txnId'] ?? '', body),
  },
];
