// Endpoints of our own, by which a server that lacks little of a room's state asks for no more than that. A server
// that has them not answers as to any path that it does not know.
//
//   POST state_difference/{roomId}  {event_id, from: {id: root}}   how the state before the event differs from that
//                                                                  after one of those named, where roots are the same
//   POST state_nodes/{roomId}       {event_id, paths: [...]}       nodes of the tree of the state before the event
//   POST events/{roomId}            {event_ids: [...]}             events of the room, as `/event` gives each: {pdus}
//
// The first needs an event on whose state both agree; nodes need nothing. Both are checked by the root that they
// must lead to. A node is named by its path, the low nibbles of the children on the way from the root in hex; the
// root's is empty. Answers are no JSON, as base64 would make them a third larger:
//
//   difference:  32-byte root | 32-byte root that it differs from, zeros for none of those named | a patch (tree/patch.ts)
//   nodes:       32-byte root | n x { varint length, logical bytes of a node }
//
// Nodes stand in the order asked. Length 0: there is no such node. Those for which there is no room are left off at
// the end.

import { HASH_BYTES } from '../lib/blake3.js';
import { concatBytes, equalBytes } from '../lib/bytes.js';
import { readVarint, VARINT_BYTES_MAX, varintLength, writeVarint } from '../lib/varint.js';

const PREFIX = '/_matrix/federation/unstable/org.stateroom';

/** Where the endpoints lie, without the room. */
export const STATE_DIFFERENCE_PATH = `${PREFIX}/state_difference`;
export const STATE_NODES_PATH = `${PREFIX}/state_nodes`;
export const EVENTS_PATH = `${PREFIX}/events`;

/** Events whose states may be named to differ from. */
export const FROM_MAX = 10;

/** Nodes and events that may be asked for at once. */
export const NODES_ASKED_MAX = 512;
export const EVENTS_ASKED_MAX = 256;

/** Bytes after which no more nodes or events are added to an answer. */
export const ANSWER_BYTES_FULL = 4 * 1024 * 1024;

/** States that differ by more are better asked for by ids. */
export const PATCH_BYTES_MAX = 1024 * 1024;

/** Nodes of a state's tree. */
export interface StateNodes {
  readonly root: Uint8Array;
  /** Undefined where there is no such node. */
  readonly nodes: readonly (Uint8Array | undefined)[];
}

/** How a state differs from another. */
export interface StateDifference {
  readonly root: Uint8Array;
  /** The root of the other; undefined when none of those named will do. */
  readonly from: Uint8Array | undefined;
  readonly patch: Uint8Array;
}

export function encodeStateDifference({ root, from = NO_ROOT, patch }: StateDifference): Uint8Array {
  return concatBytes(root, from, patch);
}

/** @returns undefined for what is no such answer */
export function decodeStateDifference(bytes: Uint8Array): StateDifference | undefined {
  if (bytes.length < 2 * HASH_BYTES) return undefined;
  const from = bytes.slice(HASH_BYTES, 2 * HASH_BYTES);
  const isFromNone = equalBytes(from, NO_ROOT);
  const patch = bytes.subarray(2 * HASH_BYTES);
  return { root: bytes.slice(0, HASH_BYTES), from: isFromNone ? undefined : from, patch };
}

/** Is the text a path to a node? A position has 32 nibbles. */
export function isNodePath(text: string): boolean {
  return /^[0-9a-f]{0,32}$/.test(text);
}

export function encodeStateNodes({ root, nodes }: StateNodes): Uint8Array {
  const length = new Uint8Array(VARINT_BYTES_MAX);
  const parts = nodes.flatMap((node = NOTHING) => [
    length.slice(0, writeVarint(length, 0, node.length)),
    node,
  ]);
  return concatBytes(root, ...parts);
}

/**
 * Reads an answer.
 * @param asked how many nodes were asked for
 * @returns undefined for what is no such answer
 */
export function decodeStateNodes(bytes: Uint8Array, asked: number): StateNodes | undefined {
  if (bytes.length < HASH_BYTES) return undefined;
  const nodes: (Uint8Array | undefined)[] = [];
  let at = HASH_BYTES;
  while (at < bytes.length) {
    const length = readVarint(bytes, at);
    if (length < 0 || nodes.length === asked) return undefined;
    at += varintLength(length);
    if (length > bytes.length - at) return undefined;
    nodes.push(length === 0 ? undefined : bytes.subarray(at, at + length));
    at += length;
  }
  return { root: bytes.slice(0, HASH_BYTES), nodes };
}

const NOTHING = new Uint8Array();
const NO_ROOT = new Uint8Array(HASH_BYTES);
