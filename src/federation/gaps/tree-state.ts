// The state before an event as a difference to a state that is known here, from a server of our make: the nodes of
// its tree that are not here, then the events that are not here. What it costs follows from what changed, not from
// how large the room is.
//
//   root ─▶ nodes, level by level ─▶ what differs ─▶ has the tree here, so changed, their root? ─▶ events, with what
//                                                                                                   they cite
//
// Nothing of it is believed further than a state by ids would be: each event is verified, and must be what the tree
// says stands there. A server whose tree is none is left alone with this for a while, and asked as any other is.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Engine } from '../../engine/engine.js';
import { type EventId, parseEventId, type ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { equalBytes } from '../../lib/bytes.js';
import { StateroomError } from '../../lib/errors.js';
import type { StateView } from '../../reader/state-view.js';
import { isTreeKey, readKey } from '../../room/state/key.js';
import { idOfValue, isIdValue, tagOf } from '../../room/state/value.js';
import { TreeRemoteInvalid, TreeRemoteTooLarge } from '../../tree/errors.js';
import type { RemoteWalk } from '../../tree/remote-walk.js';
import type { Change, Difference } from '../../tree/types.js';
import type { RemoteServers, RequestLimits } from '../requests.js';
import { NODES_ASKED_MAX, type StateNodes } from '../state-nodes.js';
import type { Effort } from './effort.js';
import { eventsTogether, takeWithCited } from './events-by-id.js';
import type { GapOptions } from './options.js';
import type { OutlierParts } from './outliers.js';

export interface TreeParts extends OutlierParts {
  readonly remote: Pick<RemoteServers, 'stateroom'>;
  readonly options: GapOptions;
}

/** What is asked for, of whom. */
export interface TreeQuestion {
  readonly event: Pdu;
  readonly server: ServerName;
  /** The known state that theirs is compared with. */
  readonly local: StateView;
  readonly limits: RequestLimits;
}

/** What another state has instead of what is here. */
interface StateDifference {
  readonly puts: readonly StatePut[];
  /** Ids of the state here that are not in theirs, or not any more at their key. */
  readonly gone: ReadonlySet<EventId>;
}

interface StatePut {
  readonly eventId: EventId;
  readonly type: string;
  readonly stateKey: string;
  readonly tag: number;
}

/** Generations of cited events that are gone back: each change since of a member, or of power, may cite the one before. */
const CITED_ROUNDS_MAX = 40;
/** So many entries are looked at before others get a turn. */
const TURN = 200;
/** Bytes of a node and of an id in a list, about: when nodes come to more than all ids would, those are asked for. */
const NODE_BYTES = 500;
const ID_BYTES = 48;
/** Worth trying whatever the size. */
const FREE_BYTES = 32 * 1024;

/**
 * The ids of the state before an event, all of known events.
 * @returns undefined when the server cannot be asked so, it is not worth it, or what it says is not so
 * @throws as requests do when the first one fails
 */
export async function stateByTree(
  parts: TreeParts,
  effort: Effort,
  question: TreeQuestion,
): Promise<readonly EventId[] | undefined> {
  const { engine, remote, log } = parts;
  const { event, server, limits } = question;
  const { roomId, eventId } = event;
  const first = await remote.stateroom.stateNodes(server, roomId, eventId, [''], limits);
  if (first === undefined) return undefined;
  try {
    const difference = await differenceOf(parts, effort, question, first);
    if (difference === undefined) return undefined;
    const refused = await fetchPuts(parts, effort, question, difference);
    return await appliedTo(engine, question, difference, refused);
  } catch (error) {
    if (!(error instanceof StateroomError) || !UNBELIEVED.has(error.code)) throw error;
    remote.stateroom.leaveAlone(server);
    log.info(
      { room: roomId, server, code: error.code, reason: error.message },
      'a tree of a state was no good',
    );
    return undefined;
  }
}

const UNBELIEVED: ReadonlySet<string> = new Set([TreeRemoteInvalid.code, TreeRemoteTooLarge.code]);

/** @throws TREE_REMOTE_INVALID, TREE_REMOTE_TOO_LARGE */
async function differenceOf(
  { engine, remote, options }: TreeParts,
  effort: Effort,
  { event, server, local }: TreeQuestion,
  first: StateNodes,
): Promise<StateDifference | undefined> {
  const { root } = first;
  const walk = engine.reader.tree.walkRemote(local.rootRef, root, {
    isKey: isTreeKey,
    entriesMax: options.stateEntriesMax,
    nodesMax: options.stateEntriesMax,
    bytesMax: options.stateBytesMax,
  });
  if (!walk.isDone) takeNodes(walk, [''], first, root);
  while (!walk.isDone) {
    if (!isWorthwhile(walk)) return undefined;
    const paths = walk.next(NODES_ASKED_MAX).map(({ path }) => path);
    const answer = await effort.once(server, (limits) =>
      remote.stateroom.stateNodes(server, event.roomId, event.eventId, paths, limits),
    );
    if (answer === undefined) return undefined;
    takeNodes(walk, paths, answer, root);
  }
  const differences = [...walk.differences()];
  if (!equalBytes(engine.reader.tree.hashAfter(local.rootRef, differences.map(changeOf)), root)) {
    throw new TreeRemoteInvalid('the tree of another server has not the shape that its entries demand', {});
  }
  return readDifferences(differences, event);
}

/** Hands over nodes in the order in which they were asked for; those at the end may be for another time. */
function takeNodes(
  walk: RemoteWalk,
  paths: readonly string[],
  { root, nodes }: StateNodes,
  expectedRoot: Uint8Array,
): void {
  if (!equalBytes(root, expectedRoot)) {
    throw new TreeRemoteInvalid('a server says another root for the same state than before', {});
  }
  if (nodes.length === 0) throw new TreeRemoteInvalid('a server gives no node of its own tree', {});
  for (const [i, node] of nodes.entries()) {
    const path = paths[i] ?? '';
    if (node === undefined) throw new TreeRemoteInvalid('a server lacks a node of its own tree', { path });
    walk.take(path, node);
  }
}

function isWorthwhile(walk: RemoteWalk): boolean {
  const { bytes, wanted } = walk.stats;
  return bytes + wanted * NODE_BYTES <= FREE_BYTES + (walk.count ?? 0) * ID_BYTES;
}

function changeOf({ key, position, after }: Difference): Change {
  return { key: { bytes: key, position }, tag: after?.tag ?? 0, value: after?.value };
}

/** @throws TREE_REMOTE_INVALID for what is no event id */
function readDifferences(differences: readonly Difference[], { rules }: Pdu): StateDifference {
  const puts: StatePut[] = [];
  const gone = new Set<EventId>();
  for (const { key, before, after } of differences) {
    if (before !== undefined) gone.add(idOfValue(before.value, rules));
    if (after === undefined) continue;
    const id = isIdValue(after.value, rules) ? idOfValue(after.value, rules) : '';
    const eventId = parseEventId(id, rules.eventIdFormat);
    if (eventId === undefined) throw new TreeRemoteInvalid('a tree of a state holds what is no event id', {});
    puts.push({ ...readKey(key), eventId, tag: after.tag });
  }
  return { puts, gone };
}

/** Fetches what is not known of the other state, and what that cites. @returns the ids of what was refused */
async function fetchPuts(
  parts: TreeParts,
  effort: Effort,
  { event, server }: TreeQuestion,
  { puts }: StateDifference,
): Promise<ReadonlySet<EventId>> {
  const { graph } = parts.engine;
  const lacking = new Set(puts.map(({ eventId }) => eventId).filter((id) => !graph.isKnown(id)));
  if (lacking.size === 0) return lacking;
  const ask = (ids: ReadonlySet<EventId>): Promise<Map<EventId, Pdu>> =>
    eventsTogether(parts, effort, event, ids, server);
  return takeWithCited(parts, effort, await ask(lacking), server, ask, CITED_ROUNDS_MAX);
}

/**
 * The other state's ids without what was refused or rejected; undefined when events of it are not known.
 * @throws TREE_REMOTE_INVALID when an event is not what the tree says
 */
async function appliedTo(
  { graph }: Engine,
  { event: { roomId }, local }: TreeQuestion,
  { puts, gone }: StateDifference,
  refused: ReadonlySet<EventId>,
): Promise<readonly EventId[] | undefined> {
  const ids: EventId[] = [];
  let looked = 0;
  for (const { eventId } of local.entries()) {
    if (++looked % TURN === 0) await nextTurn();
    if (!gone.has(eventId)) ids.push(eventId);
  }
  for (const { eventId, type, stateKey, tag } of puts) {
    if (++looked % TURN === 0) await nextTurn();
    if (refused.has(eventId)) continue;
    const known = graph.event(eventId);
    if (known === undefined) return undefined;
    const { pdu, verdict } = known;
    const isThat =
      pdu.roomId === roomId && pdu.type === type && pdu.stateKey === stateKey && tagOf(pdu) === tag;
    if (!isThat)
      throw new TreeRemoteInvalid('an event is not what a tree of a state says of it', { event_id: eventId });
    if (verdict !== 'rejected') ids.push(eventId);
  }
  const create = graph.createEventOf(roomId);
  return create !== undefined && ids.includes(create) ? ids : undefined;
}
