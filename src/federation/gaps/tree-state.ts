// The state before an event from a server of our make: what differs from a state that is known here, then the events
// that are not here, with what they cite. What it costs follows from what changed, not from how large the room is.
//
// Nothing of it is believed further than a state by ids would be: each event is verified, and must be what the tree
// says stands there. A server whose tree is none is left alone with this for a while, and asked as any other is.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Engine } from '../../engine/engine.js';
import { type EventId, parseEventId, type RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { RoomVersionRules } from '../../event/rules.js';
import { StateroomError } from '../../lib/errors.js';
import { readKey } from '../../room/state/key.js';
import { idOfValue, isIdValue, tagOf } from '../../room/state/value.js';
import { TreeMalformed, TreeRemoteInvalid, TreeRemoteTooLarge } from '../../tree/errors.js';
import type { Effort } from './effort.js';
import { eventsTogether, takeWithCited } from './events-by-id.js';
import type { OutlierParts } from './outliers.js';
import {
  type DifferenceParts,
  treeDifference,
  type TreeDifference,
  type TreeQuestion,
} from './tree-difference.js';

/** An event of their state that is not, or not there, in ours. */
interface StatePut {
  readonly eventId: EventId;
  readonly type: string;
  readonly stateKey: string;
  readonly tag: number;
}

/** Generations of cited events that are gone back: each change of a member, or of power, may cite the one before. */
const CITED_ROUNDS_MAX = 40;
/** So many entries are looked at before others get a turn. */
const TURN = 200;

const UNBELIEVED: ReadonlySet<string> = new Set([
  TreeMalformed.code,
  TreeRemoteInvalid.code,
  TreeRemoteTooLarge.code,
]);

/**
 * The ids of the state before an event, all of known events.
 * @returns undefined when the server cannot be asked so, it is not worth it, or what it says is not so
 * @throws as requests do when the first one fails
 */
export async function stateByTree(
  parts: DifferenceParts & OutlierParts,
  effort: Effort,
  question: TreeQuestion,
): Promise<readonly EventId[] | undefined> {
  const { engine, remote, log } = parts;
  const { server, event } = question;
  try {
    const difference = await treeDifference(parts, effort, question);
    if (difference === undefined) return undefined;
    const puts = difference.differences.flatMap(({ key, after }) =>
      after === undefined
        ? []
        : [{ ...readKey(key), eventId: idOf(after.value, event.rules), tag: after.tag }],
    );
    const kept = difference.base.count() - difference.differences.length;
    const refused = await fetchPuts(parts, effort, question, puts, kept);
    return await appliedTo(engine, event, difference, puts, refused);
  } catch (error) {
    if (!(error instanceof StateroomError) || !UNBELIEVED.has(error.code)) throw error;
    remote.stateroom.leaveAlone(server);
    const { code, message: reason } = error;
    log.info({ room: event.roomId, server, code, reason }, 'the tree of a state is not believed');
    return undefined;
  }
}

/** @throws TREE_REMOTE_INVALID for what is no event id */
function idOf(value: Uint8Array, rules: RoomVersionRules): EventId {
  const text = isIdValue(value, rules) ? idOfValue(value, rules) : '';
  const eventId = parseEventId(text, rules.eventIdFormat);
  if (eventId === undefined) throw new TreeRemoteInvalid('a tree of a state holds what is no event id', {});
  return eventId;
}

/** Fetches what is not known of their state, and what that cites. @returns the ids of what was refused */
async function fetchPuts(
  parts: DifferenceParts & OutlierParts,
  effort: Effort,
  { event, server }: TreeQuestion,
  puts: readonly StatePut[],
  kept: number,
): Promise<ReadonlySet<EventId>> {
  const { graph } = parts.engine;
  const lacking = new Set(puts.map(({ eventId }) => eventId).filter((id) => !graph.isKnown(id)));
  const needed = Math.max(0, kept) + puts.length;
  parts.observer?.claimed(needed, needed - lacking.size);
  if (lacking.size === 0) return lacking;
  const ask = (ids: ReadonlySet<EventId>): Promise<Map<EventId, Pdu>> =>
    eventsTogether(parts, effort, event, ids, server);
  return takeWithCited(parts, effort, await ask(lacking), server, ask, CITED_ROUNDS_MAX);
}

/**
 * The ids of their state without what was refused or rejected; undefined when events of it are not known.
 * @throws TREE_REMOTE_INVALID when an event is not what the tree says
 */
async function appliedTo(
  { graph }: Engine,
  { roomId, rules }: Pdu,
  { base, differences }: TreeDifference,
  puts: readonly StatePut[],
  refused: ReadonlySet<EventId>,
): Promise<readonly EventId[] | undefined> {
  const gone = new Set(differences.flatMap(({ before }) => (before ? idOfValue(before.value, rules) : [])));
  const ids: EventId[] = [];
  let looked = 0;
  for (const { eventId } of base.entries()) {
    if (++looked % TURN === 0) await nextTurn();
    if (!gone.has(eventId)) ids.push(eventId);
  }
  for (const put of puts) {
    if (++looked % TURN === 0) await nextTurn();
    if (refused.has(put.eventId)) continue;
    const known = graph.event(put.eventId);
    if (known === undefined) return undefined;
    if (!isThat(known.pdu, roomId, put)) {
      const fields = { event_id: put.eventId };
      throw new TreeRemoteInvalid('an event is not what a tree of a state says of it', fields);
    }
    if (known.verdict !== 'rejected') ids.push(put.eventId);
  }
  const create = graph.createEventOf(roomId);
  return create !== undefined && ids.includes(create) ? ids : undefined;
}

function isThat(pdu: Pdu, roomId: RoomId, { type, stateKey, tag }: StatePut): boolean {
  return pdu.roomId === roomId && pdu.type === type && pdu.stateKey === stateKey && tagOf(pdu) === tag;
}
