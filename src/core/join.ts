// Joining a room of other servers: from a send_join answer to a room with one forward extremity, the join.
//
//   read and verify (threads) ─ order by auth_events ─ outliers, in large groups ─ the join, with its given state
//
// Until the join is committed the room has no place in it and nobody sees it: whatever goes wrong before, the
// join can be tried again. What was stored by then is known already and not in the way.
//
// Source: server-server API, "Joining Rooms"; checks as for PDUs received.

import { createIdOfRoom, type EventId, type RoomId } from '../event/ids.js';
import { own } from '../event/json.js';
import type { Pdu } from '../event/pdu.js';
import { type RoomVersionRules, rulesOf } from '../event/rules.js';
import type { ErrorFields } from '../lib/errors.js';
import type { Rooms } from '../room/graph/rooms.js';
import { keyOf } from '../room/resolution/keys.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { StateUpdate } from '../room/state/room-states.js';
import { authOrder } from './auth-order.js';
import { JoinRefusedError } from './errors.js';
import {
  type AnswerEvent,
  type AnswerReader,
  bytesOfPdu,
  type DroppedEvent,
  DroppedEvents,
  type PduInput,
  type PduStream,
  readAnswer,
  readOne,
} from './join-answer.js';
import type { VerifiedEvent } from './judge.js';
import { VERDICT_CODES, type Verdict } from './outcome.js';
import { type OutlierParts, storeOutliers } from './outliers.js';
import { type GivenEntry, givenEntryOf } from './state-entry.js';
import type { CheckedPdu } from './verifier.js';

/** What a server answered to send_join. The keys that its events need were fetched before. */
export interface JoinAnswer {
  readonly roomVersion: string;
  /** The join itself, with all signatures that it needs. */
  readonly event: PduInput;
  /** The state before it. */
  readonly state: PduStream;
  /** What the state and the join rest on; events of the state may be left out. */
  readonly authChain: PduStream;
  /** Who answered. */
  readonly from: string;
  /** Members were left out of the state. */
  readonly isPartial?: boolean;
  /** Then: the servers that are in the room, as the server says. */
  readonly servers?: readonly string[];
}

/** What became of a join. */
export interface JoinOutcome {
  /** `accepted`, or `duplicate` when the room was joined with this very event before. */
  readonly verdict: Verdict;
  readonly roomId: RoomId;
  readonly eventId: EventId;
  /** Events that were stored now, beside the join; those rejected among them. */
  readonly stored: number;
  readonly rejected: number;
  /** Events in the state before the join. */
  readonly state: number;
  /** Events left out: the first so many, and how many in all. */
  readonly dropped: readonly DroppedEvent[];
  readonly droppedCount: number;
}

export interface JoinParts extends OutlierParts {
  readonly rooms: Rooms;
}

/** Takes a join. @throws CORE_JOIN_REFUSED, STORE_WRITE_FAILED, CORE_CLOSED */
export async function takeJoin(parts: JoinParts, answer: JoinAnswer): Promise<JoinOutcome> {
  return new Join(parts, answer, rulesOfAnswer(answer)).run();
}

function rulesOfAnswer({ roomVersion }: JoinAnswer): RoomVersionRules {
  const rules = rulesOf(roomVersion);
  if (rules?.isInternal === false) return rules;
  throw refused('ROOM_VERSION_UNKNOWN', VERDICT_CODES.ROOM_VERSION_UNKNOWN, { room_version: roomVersion });
}

function refused(cause: string, reason: string, fields: ErrorFields = {}): Error {
  return new JoinRefusedError(`the join was refused: ${reason}`, { ...fields, cause });
}

class Join {
  readonly #parts: JoinParts;
  readonly #answer: JoinAnswer;
  readonly #rules: RoomVersionRules;
  readonly #dropped = new DroppedEvents();
  /** Entries of the state before the join, by event. */
  readonly #state = new Map<EventId, StateUpdate>();
  readonly #keys = new Set<string>();
  #stored = 0;
  #rejected = 0;

  constructor(parts: JoinParts, answer: JoinAnswer, rules: RoomVersionRules) {
    this.#parts = parts;
    this.#answer = answer;
    this.#rules = rules;
  }

  async run(): Promise<JoinOutcome> {
    const { known } = this.#parts;
    const { authChain, state } = this.#answer;
    const bytes = bytesOfPdu(this.#answer.event);
    const join = await this.#readJoin(bytes);
    const { pdu } = join;
    const answer = await readAnswer(this.#reader(pdu.roomId), authChain, state);
    const order = authOrder(answer.events, (id) => known.has(id));
    for (const { event, cited } of order.missing) {
      const reason = `it cites ${cited}, which is neither known nor given, or was dropped`;
      this.#dropped.add(event.eventId, 'AUTH_EVENTS_MISSING', reason);
    }
    for (const { eventId } of order.circular) this.#dropped.addFor(eventId, 'AUTH_EVENTS_CIRCULAR');

    const stays = new Set(order.sorted.map(({ eventId }) => eventId));
    const create = this.#createOf(pdu);
    const needed = create === undefined ? pdu.authEvents : [...pdu.authEvents, create];
    const missing = needed.find((id) => !stays.has(id) && !known.has(id));
    if (missing !== undefined) {
      throw this.#refused(
        pdu,
        'AUTH_EVENTS_MISSING',
        `${missing}, which it rests on, was not given or is bad`,
      );
    }
    await this.#storeOutliers(pdu.roomId, order.sorted, answer.state);
    for (const id of answer.state) if (!answer.events.has(id)) this.#noteKnown(id);
    return this.#place(join, bytes);
  }

  #reader(roomId: RoomId): AnswerReader {
    const { verifier, known } = this.#parts;
    const isKnown = (id: EventId): boolean => known.has(id);
    return { verifier, rules: this.#rules, roomId, isKnown, dropped: this.#dropped };
  }

  async #readJoin(bytes: Uint8Array): Promise<CheckedPdu> {
    const read = await readOne({ verifier: this.#parts.verifier, rules: this.#rules }, bytes);
    if ('code' in read) throw refused(read.code, `the join itself is bad: ${read.reason}`);
    const { pdu } = read;
    const isJoin =
      pdu.type === MEMBER_TYPE &&
      pdu.stateKey === pdu.sender &&
      own(pdu.content, 'membership') === 'join' &&
      pdu.prevEvents.length > 0;
    if (!isJoin) throw this.#refused(pdu, 'NOT_JOIN', 'the event is no join');
    const room = this.#parts.rooms.find(pdu.roomId);
    if (room !== undefined && room.rules !== pdu.rules) {
      throw this.#refused(
        pdu,
        'ROOM_VERSION_UNKNOWN',
        `the room is known, with version ${room.rules.version}`,
      );
    }
    return read;
  }

  /** The id of the create event that begins the room, where the join's auth events do not name it. */
  #createOf(pdu: Pdu): EventId | undefined {
    return this.#rules.authorisation.createIsImplied ? createIdOfRoom(pdu.roomId) : undefined;
  }

  async #storeOutliers(
    roomId: RoomId,
    events: readonly AnswerEvent[],
    state: ReadonlySet<EventId>,
  ): Promise<void> {
    const { known, rooms } = this.#parts;
    const isFresh = rooms.find(roomId) === undefined;
    const room = { roomId, rules: this.#rules, from: this.#answer.from };
    const isNews = ({ eventId }: AnswerEvent): boolean => {
      if (isFresh || !known.has(eventId)) return true;
      if (state.has(eventId)) this.#noteKnown(eventId);
      return false;
    };
    await storeOutliers(this.#parts, room, events, isNews, ({ pdu }, verdict) => {
      const { verdict: is, known: was, eventId, code, reason } = verdict;
      if (is === 'rejected') this.#rejected++;
      if (is === 'accepted' || is === 'rejected') this.#stored++;
      else if (is !== 'duplicate') this.#dropped.add(eventId, code, reason);
      const entry = state.has(pdu.eventId) ? givenEntryOf(pdu) : undefined;
      if ((is === 'duplicate' ? was : is) === 'accepted' && entry !== undefined) this.#noteEntry(entry);
    });
  }

  /** An event of the state that is stored already. */
  #noteKnown(eventId: EventId): void {
    const event = this.#parts.known.get(eventId);
    if (event === undefined || event.verdict === 'rejected') return;
    const entry = givenEntryOf(event.pdu);
    if (entry !== undefined) this.#noteEntry(entry);
  }

  #noteEntry(entry: GivenEntry): void {
    const { eventId } = entry.event;
    const key = keyOf(entry.type, entry.stateKey);
    if (this.#state.has(eventId)) return;
    if (this.#keys.has(key)) {
      this.#dropped.addFor(eventId, 'STATE_KEY_TWICE');
      return;
    }
    this.#keys.add(key);
    this.#state.set(eventId, entry);
  }

  /** The join gets its place, and the room with it. */
  async #place({ pdu, isRedacted }: CheckedPdu, bytes: Uint8Array): Promise<JoinOutcome> {
    const { decider, inTurn, now } = this.#parts;
    const { from, isPartial, servers = [] } = this.#answer;
    const join: VerifiedEvent = {
      pdu,
      bytes,
      isRedacted,
      receivedFrom: from,
      receivedAt: now(),
      asOutlier: false,
      givenState: [...this.#state.keys()],
      givenEntries: this.#state,
      rewrites: true,
      isPartial: isPartial === true,
      servers,
    };
    const verdict = await inTurn<Verdict>(pdu.roomId, (settle) => {
      decider.decideWhole(join, settle);
    });
    const became = verdict.verdict === 'duplicate' ? verdict.known : verdict.verdict;
    if (became !== 'accepted') throw this.#refused(pdu, verdict.code, verdict.reason);
    return {
      verdict,
      roomId: pdu.roomId,
      eventId: pdu.eventId,
      stored: this.#stored,
      rejected: this.#rejected,
      state: this.#state.size,
      dropped: this.#dropped.list,
      droppedCount: this.#dropped.count,
    };
  }

  #refused({ eventId, roomId }: Pdu, cause: string, reason: string): Error {
    return refused(cause, reason, { event_id: eventId, room_id: roomId });
  }
}
