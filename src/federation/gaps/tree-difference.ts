// How the state before an event differs from one that is known here, as a server of our make says: in one answer
// where both know a state that is the same to them, else by the nodes of its tree that are not here.
//
//   question ─▶ root ─┬▶ a patch to a state after an event of ours ────────┐
//                     └▶ nodes, level by level ─▶ what differs ────────────┴▶ has the tree here, so changed, that root?
//
// Either way nothing is left to believe but the root itself.

import type { EventId, ServerName } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import { equalBytes, toHex } from '../../lib/bytes.js';
import type { Engine } from '../../engine/engine.js';
import type { StateView } from '../../reader/state-view.js';
import { isTreeKey, positionOf } from '../../room/state/key.js';
import { TreeRemoteInvalid, TreeRemoteTooLarge } from '../../tree/errors.js';
import { readPatch } from '../../tree/patch.js';
import type { RemoteWalk } from '../../tree/remote-walk.js';
import type { Change, Difference } from '../../tree/types.js';
import type { RemoteServers, RequestLimits } from '../requests.js';
import {
  FROM_MAX,
  NODES_ASKED_MAX,
  PATCH_BYTES_MAX,
  type StateDifference,
  type StateNodes,
} from '../state-parts.js';
import type { Effort } from './effort.js';
import type { GapOptions } from './options.js';

export interface DifferenceParts {
  readonly engine: Engine;
  readonly remote: Pick<RemoteServers, 'stateroom'>;
  readonly options: GapOptions;
}

/** A state that is known here. */
export interface KnownState {
  readonly view: StateView;
  /** An event that it is the state after, if there is one: others may know it too. */
  readonly after: EventId | undefined;
}

/** What is asked for, of whom. */
export interface TreeQuestion {
  readonly event: Pdu;
  readonly server: ServerName;
  /** States that are likely near to theirs, the nearest first. */
  readonly known: readonly [KnownState, ...KnownState[]];
  readonly limits: RequestLimits;
}

/** Their state: one of ours, and what is different in it. */
export interface TreeDifference {
  readonly base: StateView;
  readonly differences: readonly Difference[];
}

/** Bytes of a node and of an id in a list, about: when nodes come to more than all ids would, those are asked for. */
const NODE_BYTES = 500;
const ID_BYTES = 48;
/** Worth trying whatever the size. */
const FREE_BYTES = 32 * 1024;

/**
 * @returns undefined when the server cannot be asked so, or it is not worth it
 * @throws TREE_REMOTE_INVALID, TREE_REMOTE_TOO_LARGE, TREE_MALFORMED when it is not so; as requests do when the
 *   first one fails
 */
export async function treeDifference(
  parts: DifferenceParts,
  effort: Effort,
  question: TreeQuestion,
): Promise<TreeDifference | undefined> {
  const { event, server, known, limits } = question;
  const { stateroom } = parts.remote;
  const from = namedStates(known);
  const answer = await stateroom.stateDifference(server, event.roomId, event.eventId, from, limits);
  if (answer === undefined) return undefined;
  const found =
    answer.from === undefined
      ? await walked(parts, effort, question, answer.root)
      : patched(parts.engine, known, answer);
  if (found === undefined) return undefined;
  const hash = parts.engine.reader.tree.hashAfter(found.base.rootRef, found.differences.map(changeOf));
  if (equalBytes(hash, answer.root)) return found;
  throw new TreeRemoteInvalid('what another server says of its tree does not lead to its root', {});
}

/** Roots in hex, by the events that they are the state after. */
function namedStates(known: readonly KnownState[]): ReadonlyMap<EventId, string> {
  const named = new Map<EventId, string>();
  for (const { view, after } of known) {
    if (after !== undefined && named.size < FROM_MAX) named.set(after, view.root);
  }
  return named;
}

function patched(
  engine: Engine,
  known: readonly KnownState[],
  { from, patch }: StateDifference,
): TreeDifference {
  const root = from === undefined ? '' : toHex(from);
  const base = known.find(({ view, after }) => after !== undefined && view.root === root)?.view;
  if (base === undefined)
    throw new TreeRemoteInvalid('a server names a state that it was not asked about', {});
  if (patch.length > PATCH_BYTES_MAX) throw new TreeRemoteTooLarge('a patch is larger than any may be', {});
  const changes = readPatch(patch, { positionOf, isKey: isTreeKey });
  return { base, differences: engine.reader.tree.differencesOf(base.rootRef, changes) };
}

async function walked(
  { engine, remote, options }: DifferenceParts,
  effort: Effort,
  { event, server, known }: TreeQuestion,
  root: Uint8Array,
): Promise<TreeDifference | undefined> {
  const [{ view: base }] = known;
  const walk = engine.reader.tree.walkRemote(base.rootRef, root, {
    isKey: isTreeKey,
    entriesMax: options.stateEntriesMax,
    nodesMax: options.stateEntriesMax,
    bytesMax: options.stateBytesMax,
  });
  while (!walk.isDone) {
    if (!isWorthwhile(walk)) return undefined;
    const paths = walk.next(NODES_ASKED_MAX).map(({ path }) => path);
    const answer = await effort.once(server, (limits) =>
      remote.stateroom.stateNodes(server, event.roomId, event.eventId, paths, limits),
    );
    if (answer === undefined) return undefined;
    takeNodes(walk, paths, answer, root);
  }
  return { base, differences: [...walk.differences()] };
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
