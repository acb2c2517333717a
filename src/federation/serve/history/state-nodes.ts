// Parts of a state for a server that has the rest: nodes of its tree, and events of the room, many at once.
//
// Who may ask, and what they may see, is decided as for `/state_ids` and for `/event`.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventId } from '../../../event/ids.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { invalidParam, missingParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import { type FederationRequest, type FederationRoute, type JsonText, Octets } from '../../route.js';
import {
  ANSWER_BYTES_FULL,
  encodeStateNodes,
  EVENTS_ASKED_MAX,
  EVENTS_PATH,
  isNodePath,
  NODES_ASKED_MAX,
  STATE_NODES_PATH,
} from '../../state-nodes.js';
import { jsonWithEvents } from '../event-texts.js';
import { bodyText, bodyTexts, param } from '../request-fields.js';
import { assertInRoom, roomAskedBy } from '../rooms.js';
import { servingOf } from '../serving.js';
import { stateAskedAt } from './state.js';

/** Nodes or events that are looked up in one turn of the event loop. */
const TURN = 64;

const BODY_BYTES_MAX = 64 * 1024;

async function stateNodes(request: FederationRequest, federation: Federation): Promise<Octets> {
  const eventId = bodyText(request.body, 'event_id');
  if (eventId === undefined) throw missingParam('event_id is missing.');
  const paths = bodyTexts(request.body, 'paths', NODES_ASKED_MAX);
  if (!paths.every(isNodePath)) throw invalidParam('paths holds what is no path.');
  const { rootRef } = await stateAskedAt(request, federation, eventId);
  const { tree } = federation.parts.engine.reader;
  const nodes: (Uint8Array | undefined)[] = [];
  let bytes = 0;
  for (const path of paths) {
    if (bytes >= ANSWER_BYTES_FULL) break;
    if (nodes.length % TURN === TURN - 1) await nextTurn();
    const node = tree.nodeAt(rootRef, path);
    bytes += node?.length ?? 0;
    nodes.push(node);
  }
  return new Octets(encodeStateNodes({ root: rootRef.hash, nodes }));
}

async function events(request: FederationRequest, federation: Federation): Promise<JsonText> {
  const { engine } = federation.parts;
  const room = await roomAskedBy(federation, param(request, 'roomId'), request.origin);
  const ids = new Set(bodyTexts(request.body, 'event_ids', EVENTS_ASKED_MAX));
  const { row } = servingOf(engine);
  const found: KnownEvent[] = [];
  let looked = 0;
  let bytes = 0;
  for (const id of ids) {
    if (bytes >= ANSWER_BYTES_FULL) break;
    if (++looked % TURN === 0) await nextTurn();
    const event = engine.reader.events.get(id as EventId);
    if (event === undefined || event.pdu.roomId !== room.row.roomId || !room.sight.mayAskAt(event)) continue;
    found.push(event);
    bytes += row(event.seq)?.bytes.length ?? 0;
  }
  if (found.length === 0) assertInRoom(room);
  const answered = found.map(({ seq }) => seq);
  return jsonWithEvents(engine, ['{"pdus":[', { events: answered }, ']}'], room.sight.hidden(found));
}

export const stateNodeRoutes: readonly FederationRoute[] = [
  {
    method: 'POST',
    path: `${STATE_NODES_PATH}/:roomId`,
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: stateNodes,
  },
  {
    method: 'POST',
    path: `${EVENTS_PATH}/:roomId`,
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: events,
  },
];
