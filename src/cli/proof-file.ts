// A proof as a file: the claim, and the nodes that prove it. Whoever has the root can check it without a store.
//
//   {"format": 1, "at": "$event", "room_id": ..., "room_version": ..., "root": hex,
//    "type": ..., "state_key": ..., "present": true, "event_id": "$...", "nodes": [base64, ...]}

import { fromBase64, toBase64 } from '../lib/base64.js';
import { fromHex } from '../lib/bytes.js';
import { isArray, isObject, type JsonObject, own, parseJson } from '../event/json.js';
import { type RoomVersionRules, rulesOf } from '../event/rules.js';
import type { Reader } from '../reader/reader.js';
import type { StateView } from '../reader/state-view.js';
import { treeKeyOf } from '../room/state/key.js';
import { idOfValue } from '../room/state/value.js';
import { type Proof, verifyProof } from '../tree/proof.js';
import { ProofFileError } from './errors.js';

const FORMAT = 1;
/** More nodes than any path has. */
const NODES_MAX = 64;

/** A proof with its claim, as JSON. */
export interface ProofFile {
  readonly format: number;
  /** The event, room or root that was asked for. */
  readonly at: string;
  readonly room_id: string;
  readonly room_version: string;
  readonly root: string;
  readonly type: string;
  readonly state_key: string;
  readonly present: boolean;
  /** The event at the key, or null where there is none. */
  readonly event_id: string | null;
  readonly nodes: readonly string[];
}

/** Proves what a state says of a key. O(log n) node reads. */
export function makeProof(
  reader: Reader,
  view: StateView,
  at: string,
  type: string,
  stateKey: string,
): ProofFile {
  const eventId = view.get(type, stateKey);
  const { nodes } = reader.tree.prove(view.rootRef, treeKeyOf(type, stateKey));
  return {
    format: FORMAT,
    at,
    room_id: view.roomId,
    room_version: view.rules.version,
    root: view.root,
    type,
    state_key: stateKey,
    present: eventId !== undefined,
    event_id: eventId ?? null,
    nodes: nodes.map((node) => toBase64(node)),
  };
}

/** What a checked proof shows. */
export interface ProvenClaim {
  readonly root: string;
  readonly type: string;
  readonly state_key: string;
  readonly present: boolean;
  readonly event_id: string | null;
}

/**
 * Checks a proof file: that its nodes lead from the root to the key, and show what the file claims.
 * @throws CLI_PROOF_INVALID, TREE_PROOF_INVALID, EVENT_BAD_JSON
 */
export function checkProof(bytes: Uint8Array): ProvenClaim {
  const file = parseJson(bytes);
  if (!isObject(file)) throw new ProofFileError('a proof is a JSON object');
  if (own(file, 'format') !== FORMAT) throw new ProofFileError(`the proof is not of format ${FORMAT}`);
  const root = textField(file, 'root');
  const rootHash = fromHex(root);
  if (rootHash?.length !== 32) throw new ProofFileError('root is not 64 hex digits');
  const type = textField(file, 'type');
  const stateKey = textField(file, 'state_key');
  const proven = verifyProof(rootHash, treeKeyOf(type, stateKey), nodesOf(file));
  const eventId = proven.present ? idOfValue(proven.entry.value, rulesIn(file)) : null;
  if (own(file, 'present') !== proven.present || own(file, 'event_id') !== eventId) {
    throw new ProofFileError(
      `the proof claims one thing and shows another: the key holds ${eventId ?? 'nothing'}`,
    );
  }
  return { root, type, state_key: stateKey, present: proven.present, event_id: eventId };
}

function nodesOf(file: JsonObject): Proof {
  const nodes = own(file, 'nodes');
  if (!isArray(nodes) || nodes.length > NODES_MAX)
    throw new ProofFileError('nodes is no list of base64 strings');
  return {
    nodes: nodes.map((node) => {
      const bytes = typeof node === 'string' ? fromBase64(node) : undefined;
      if (bytes === undefined) throw new ProofFileError('nodes is no list of base64 strings');
      return bytes;
    }),
  };
}

function rulesIn(file: JsonObject): RoomVersionRules {
  const rules = rulesOf(textField(file, 'room_version'));
  if (rules === undefined) throw new ProofFileError('room_version is none of 1 to 12');
  return rules;
}

function textField(file: JsonObject, name: string): string {
  const value = own(file, name);
  if (typeof value !== 'string') throw new ProofFileError(`${name} is no string`);
  return value;
}
