// Why an event is accepted, soft failed or rejected, and why an accepted one is not in the current state: every
// check on receipt done again, on what is stored.

import type { EventId, RoomId } from '../../event/ids.js';
import type { Pdu } from '../../event/pdu.js';
import type { PublicKeys } from '../../event/verify.js';
import { toHex } from '../../lib/bytes.js';
import { type Check, checkByAuthEvents, checkByState } from '../../room/checks.js';
import type { AuthVerdict } from '../../room/auth/verdict.js';
import type { KnownEvent } from '../../room/graph/known-events.js';
import { authEventKeys } from '../../room/auth/selection.js';
import { keyOf } from '../../room/resolution/keys.js';
import { scratchStates } from '../../room/state/scratch.js';
import type { RoomStates } from '../../room/state/room-states.js';
import type { RootsRow, StoredVerdict } from '../../store/records.js';
import type { Reader } from '../reader.js';
import { keyName, told } from './describe.js';
import { type Fact, factsOf, type Levels, levelsOf } from './facts.js';
import { type Ending, KeyHistory } from './key-history.js';
import { explainMerge, type MergeJson, Traces } from './merge.js';
import { checkReceipt } from './received.js';

/** One check on receipt, done again. */
export interface WhyCheck {
  readonly check: string;
  /** The deciding authorisation rule, or the place in the list of checks on receipt. */
  readonly rule: string;
  readonly passed: boolean;
  readonly reason: string;
  /** Ids of the events that it rested on. */
  readonly auth_events: readonly EventId[];
  /** Hash of the state that was asked; null for checks that ask none. */
  readonly root: string | null;
  /** The smallest change that would let the event pass, where that can be said. */
  readonly remedy?: string;
  /** What the events said that it rested on. */
  readonly facts: readonly Fact[];
}

/** Keys that the states before an event disagreed on. */
export interface ConflictBefore {
  readonly trace: string;
  readonly algorithm: string;
  readonly heads: readonly EventId[];
  /** How many keys were in conflict. */
  readonly conflicts: number;
  /** Of these, the ones that this event rests on or claims. */
  readonly keys: ReadonlyArray<{
    readonly type: string;
    readonly state_key: string;
    readonly candidates: ReadonlyArray<EventId | null>;
    readonly winner: EventId | null;
  }>;
}

/** What became of an accepted claim on a state key. */
export interface Fate {
  readonly current: boolean;
  /** What the key has now; null where it has nothing. */
  readonly current_event: EventId | null;
  readonly endings: ReadonlyArray<{
    readonly kind: Ending['kind'];
    /** The event that replaced it, or the merge event; null for the merge of the forward extremities. */
    readonly at: EventId | null;
    readonly became: EventId | null;
    /** Told once for each event that it lost to. */
    readonly resolution: MergeJson | null;
  }>;
  readonly explanation: readonly string[];
}

/** The whole answer. */
export interface Why {
  readonly event_id: EventId;
  readonly room_id: RoomId;
  readonly room_version: string;
  readonly type: string;
  readonly state_key?: string;
  readonly sender: string;
  readonly seq: number;
  readonly depth: number;
  readonly verdict: StoredVerdict;
  readonly code: string;
  readonly reason: string;
  /** The check and the rule that decided against it; null when it was accepted. */
  readonly decided_by: string | null;
  readonly rule: string | null;
  readonly remedy?: string;
  readonly checks: readonly WhyCheck[];
  /** The sender's membership and levels in the state before it; null for events without a place in the graph. */
  readonly before: (Levels & { readonly root: string; readonly sender_membership: string | null }) | null;
  /** The resolution that gave the state before it, where there was one. */
  readonly resolution: ConflictBefore | null;
  /** For a state event that is not rejected. */
  readonly state: Fate | null;
  readonly notes: readonly string[];
}

/** What helps to answer. */
export interface WhyOptions {
  /** Public keys: with them signatures are verified again. */
  readonly keys?: PublicKeys;
}

/**
 * Explains an event.
 * @throws READER_EVENT_UNKNOWN, ROOM_TRACE_DIVERGES
 */
export async function why(reader: Reader, eventId: string, options: WhyOptions = {}): Promise<Why> {
  const event = reader.event(eventId);
  const { pdu, roots, verdict } = event;
  const states = scratchStates(pdu.rules, reader.store);
  const authorisation = authorisationChecks(reader, event, states);
  const refused = authorisation.find(({ verdict: { allowed } }) => !allowed);
  const decided = verdict === 'accepted' ? undefined : refused;
  const traces = new Traces(reader);
  return {
    event_id: pdu.eventId,
    room_id: pdu.roomId,
    room_version: pdu.rules.version,
    type: pdu.type,
    ...(pdu.stateKey === undefined ? {} : { state_key: pdu.stateKey }),
    sender: pdu.sender,
    seq: event.seq,
    depth: pdu.depth,
    verdict,
    code: event.code,
    reason: event.reason,
    decided_by: decided?.check ?? null,
    rule: decided?.verdict.rule ?? null,
    ...remedyOf(decided?.verdict),
    checks: [
      ...receiptChecks(reader, event, options.keys),
      ...authorisation.map((check) => shownCheck(reader, pdu, check)),
      ...(verdict === 'accepted' && roots !== undefined && !pdu.rules.isInternal
        ? [CURRENT_STATE_ALLOWED]
        : []),
    ],
    before: roots === undefined ? null : beforeOf(reader, pdu, roots, states),
    resolution: conflictBefore(reader, traces, pdu, roots),
    state: await fateOf(reader, traces, event),
    notes: notesOf(event, options, refused !== undefined),
  };
}

/** The current state of then is kept only for events that it did not allow. */
const CURRENT_STATE_ALLOWED: WhyCheck = {
  check: 'auth_by_current_state',
  rule: 'receipt 6',
  passed: true,
  reason: 'the current state of the room, when the event arrived, allowed it',
  auth_events: [],
  root: null,
  facts: [],
};

function receiptChecks(reader: Reader, { seq, pdu }: KnownEvent, keys: PublicKeys | undefined): WhyCheck[] {
  const row = reader.store.event(seq);
  if (row === undefined || pdu.rules.isInternal) return [];
  return checkReceipt(row, keys).map((check) => ({ ...check, auth_events: [], root: null, facts: [] }));
}

/** All that can be asked, even after one has failed: what comes after shows whether it is a matter of one state. */
function authorisationChecks(reader: Reader, { pdu, roots }: KnownEvent, states: RoomStates): Check[] {
  if (pdu.rules.isInternal) return [];
  const authEvents = pdu.authEvents.flatMap((id) => reader.events.pdu(id) ?? []);
  const checks = checkByAuthEvents(pdu, authEvents, reader.events);
  if (roots === undefined || pdu.type === 'm.room.create') return checks;
  checks.push(checkByState('auth_by_state_before', pdu, states, roots.before, reader.events));
  if (roots.current !== undefined) {
    checks.push(checkByState('auth_by_current_state', pdu, states, roots.current, reader.events));
  }
  return checks;
}

function shownCheck(reader: Reader, pdu: Pdu, { check, verdict, root }: Check): WhyCheck {
  return {
    check,
    rule: verdict.rule,
    passed: verdict.allowed,
    reason: verdict.reason,
    auth_events: check === 'auth_events' ? pdu.authEvents : verdict.restedOn,
    root: root ?? null,
    ...remedyOf(verdict),
    facts: factsOf(pdu, verdict, (id) => reader.events.pdu(id)),
  };
}

function remedyOf(verdict: AuthVerdict | undefined): { readonly remedy?: string } {
  return verdict?.remedy === undefined ? {} : { remedy: verdict.remedy };
}

function beforeOf(reader: Reader, pdu: Pdu, { before }: RootsRow, states: RoomStates): Why['before'] {
  const at = (type: string): Pdu | undefined => {
    const id = states.get(before, type, '');
    return id === undefined ? undefined : reader.events.pdu(id);
  };
  return {
    root: toHex(before.hash),
    sender_membership: states.membership(before, pdu.sender) ?? null,
    ...levelsOf(pdu, at('m.room.create'), at('m.room.power_levels')),
  };
}

function conflictBefore(
  reader: Reader,
  traces: Traces,
  pdu: Pdu,
  roots: RootsRow | undefined,
): ConflictBefore | null {
  if (roots?.traceId === undefined) return null;
  const trace = traces.get(roots.traceId);
  if (trace === undefined) return null;
  const wanted = new Set(authEventKeys(pdu).map(([type, stateKey]) => keyOf(type, stateKey)));
  if (pdu.stateKey !== undefined) wanted.add(keyOf(pdu.type, pdu.stateKey));
  return {
    trace: roots.traceId,
    algorithm: trace.algorithm,
    heads: reader.storedTrace(roots.traceId)?.heads ?? [],
    conflicts: trace.keys.length,
    keys: trace.keys
      .filter(({ type, stateKey }) => wanted.has(keyOf(type, stateKey)))
      .map(({ type, stateKey, candidates, winner }) => ({ type, state_key: stateKey, candidates, winner })),
  };
}

/** Endings that are told. */
const ENDINGS_MAX = 16;

async function fateOf(reader: Reader, traces: Traces, event: KnownEvent): Promise<Fate | null> {
  const { pdu, roots, verdict } = event;
  if (pdu.stateKey === undefined || roots === undefined || verdict === 'rejected') return null;
  const key = { type: pdu.type, stateKey: pdu.stateKey };
  const room = reader.room(pdu.roomId);
  const history = new KeyHistory(reader, room, reader.view(room.roomId, room.root), key.type, key.stateKey);
  const current = history.current();
  const isCurrent = current === pdu.eventId;
  const { endings } = isCurrent ? { endings: [] } : await history.endings(event);
  const explained = new Set<EventId | null>();
  const shown = endings.slice(0, ENDINGS_MAX).map((ending) => {
    const became = ending.became ?? null;
    const isNew = !explained.has(became);
    explained.add(became);
    const resolution = isNew ? explainMerge(reader, traces, key, ending, [pdu.eventId]) : undefined;
    return { kind: ending.kind, at: ending.at?.pdu.eventId ?? null, became, resolution: resolution ?? null };
  });
  return {
    current: isCurrent,
    current_event: current ?? null,
    endings: shown,
    explanation: sayFate(reader, keyName(key.type, key.stateKey), current, shown),
  };
}

function sayFate(
  reader: Reader,
  name: string,
  current: EventId | undefined,
  endings: Fate['endings'],
): string[] {
  const said = endings.flatMap(({ kind, at, became, resolution }) => {
    if (resolution !== null) return [...resolution.explanation];
    const by = became === null ? 'nothing' : told(reader.events.pdu(became), became);
    if (kind === 'replaced') return [`It was replaced by ${by}.`];
    return [`It lost to ${by} again at ${at ?? 'the forward extremities'}.`];
  });
  const now = current === undefined ? 'nothing' : told(reader.events.pdu(current), current);
  return [...said, `${name} is now ${now}.`];
}

function notesOf(event: KnownEvent, options: WhyOptions, isRefused: boolean): string[] {
  if (event.pdu.rules.isInternal) return ["It is a record of this server's own: nothing is asked of it."];
  const notes: string[] = [];
  if (options.keys === undefined) notes.push('Signatures were not verified again: no keys were given.');
  if (event.isOutlier)
    notes.push('It is an outlier: known without its place in the graph, so no state was asked.');
  if (event.hasGivenState) notes.push('The state before it was given by another server, not computed.');
  if (event.isPartial) notes.push('Its state rests on an incomplete join.');
  if (event.isRedacted) notes.push('Its content hash did not match, so it counts as redacted.');
  if (event.verdict === 'accepted' && isRefused) {
    notes.push(
      'It was accepted, and a check done again refuses it: stored data is damaged; run `stateroom fsck`.',
    );
  }
  if (event.verdict !== 'accepted' && !isRefused) {
    notes.push(
      'The check that decided does not fail when it is done again: stored data is damaged; run `stateroom fsck`.',
    );
  }
  return notes;
}
