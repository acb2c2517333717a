// Parts of a state for a server that has the rest: how it differs from another that both know, nodes of its tree, and
// events of the room, many at once.
//
// Who may ask, and what they may see, is decided as for `/state_ids` and for `/event`.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventId } from '../../../event/ids.js';
import { concatBytes, toHex } from '../../../lib/bytes.js';
import type { KnownEvent } from '../../../room/graph/known-events.js';
import { encodePatchEntry } from '../../../tree/patch.js';
import type { Difference } from '../../../tree/types.js';
import { invalidParam, missingParam } from '../../errors.js';
import type { Federation } from '../../federation.js';
import { type FederationRequest, type FederationRoute, type JsonText, Octets } from '../../route.js';
import {
  ANSWER_BYTES_FULL,
  encodeStateDifference,
  encodeStateNodes,
  EVENTS_ASKED_MAX,
  EVENTS_PATH,
  FROM_MAX,
  isNodePath,
  NODES_ASKED_MAX,
  PATCH_BYTES_MAX,
  STATE_DIFFERENCE_PATH,
  STATE_NODES_PATH,
} from '../../state-parts.js';
import { jsonWithEvents } from '../event-texts.js';
import { bodyObject, bodyText, bodyTexts, param } from '../request-fields.js';
import { assertInRoom, roomAskedBy } from '../rooms.js';
import { servingOf } from '../serving.js';
import { stateAskedAt } from './state.js';

/** Nodes or events that are looked up in one turn of the event loop. */
const TURN = 64;

const BODY_BYTES_MAX = 64 * 1024;

async function stateDifference(request: FederationRequest, federation: Federation): Promise<Octets> {
  const eventId = requiredText(request, 'event_id');
  const from = Object.entries(bodyObject(request.body, 'from') ?? {}).slice(0, FROM_MAX);
  const view = await stateAskedAt(request, federation, eventId);
  const { reader } = federation.parts.engine;
  const root = view.rootRef.hash;
  for (const [id, said] of from) {
    const event = reader.events.get(id as EventId);
    if (event?.roots === undefined || event.isPartial || event.pdu.roomId !== view.roomId) continue;
    const { after } = event.roots;
    if (toHex(after.hash) !== said) continue;
    const patch = await patchOf(reader.tree.diff(after, view.rootRef));
    if (patch !== undefined) return new Octets(encodeStateDifference({ root, from: after.hash, patch }));
    break;
  }
  return new Octets(encodeStateDifference({ root, from: undefined, patch: new Uint8Array() }));
}

/** A patch, or undefined where it would be larger than an answer. */
async function patchOf(differences: Iterable<Difference>): Promise<Uint8Array | undefined> {
  const entries: Uint8Array[] = [];
  let bytes = 0;
  for (const difference of differences) {
    const entry = encodePatchEntry(difference);
    bytes += entry.length;
    if (bytes > PATCH_BYTES_MAX) return undefined;
    if (entries.push(entry) % TURN === 0) await nextTurn();
  }
  return concatBytes(...entries);
}

async function stateNodes(request: FederationRequest, federation: Federation): Promise<Octets> {
  const eventId = requiredText(request, 'event_id');
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

function requiredText({ body }: FederationRequest, name: string): string {
  const text = bodyText(body, name);
  if (text === undefined) throw missingParam(`${name} is missing.`);
  return text;
}

export const statePartRoutes: readonly FederationRoute[] = [
  {
    method: 'POST',
    path: `${STATE_DIFFERENCE_PATH}/:roomId`,
    auth: 'server',
    bodyBytesMax: BODY_BYTES_MAX,
    handler: stateDifference,
  },
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
